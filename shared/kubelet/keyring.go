package kubelet

import (
	"slices"
	"strings"

	"regcred/shared/dockerconfig"
	"regcred/shared/image"
)

// Kind is where credentials come from.
type Kind string

// The kinds, in the order in which the kubelet tries them.
const (
	PullSecret Kind = "pull secret"
	DockerFile Kind = "docker file"
	Plugin     Kind = "provider"
)

// Origin is where a credential comes from.
type Origin struct {
	Kind Kind

	// Name is namespace/name of a secret, the path of a file, or the name of a
	// provider.
	Name string

	// ServiceAccount is namespace/name of the service account that a provider's
	// answer is tied to. Empty means that the answer is the node's.
	ServiceAccount string
}

// String returns the kind and the name.
func (o Origin) String() string { return string(o.Kind) + " " + o.Name }

// Candidate is a credential with which an image is pulled if those before it
// are refused.
type Candidate struct {
	Auth
	Origin Origin

	// Pattern is what the kubelet makes of the key.
	Pattern string

	// Chance says that the kubelet leaves the order of this one and of its
	// neighbours with the same pattern and origin to chance: their keys are
	// different writings of the same.
	Chance bool
}

// Keyring is the credentials that a node has for a pod.
type Keyring struct {
	secrets, files, plugins ring
}

// AddSecret adds a secret of the pod. Secrets are added in the order in which
// the pod lists them. An error means that the kubelet pulls nothing for the
// pod.
func (k *Keyring) AddSecret(s Secret) error {
	auths, used, err := s.Auths()
	if err != nil || !used {
		return err
	}
	k.secrets.add(Origin{Kind: PullSecret, Name: s.String()}, auths)
	return nil
}

// AddFile adds the node's docker configuration. There is one at most.
func (k *Keyring) AddFile(f NodeFile) {
	k.files.add(Origin{Kind: DockerFile, Name: f.Path}, f.Auths)
}

// AddOutcome adds what a provider answered, in the order of the configuration.
// An answer that the kubelet refuses is not added.
func (k *Keyring) AddOutcome(o Outcome) {
	if o.Err != nil || o.Response == nil {
		return
	}
	origin := Origin{Kind: Plugin, Name: o.Provider.Name}
	if o.ServiceAccount != nil {
		origin.ServiceAccount = o.ServiceAccount.String()
	}
	k.plugins.add(origin, o.Response.Auth)
}

// Candidates returns the credentials with which the kubelet pulls an image, in
// the order in which it tries them until one is accepted. The image is what
// ImageName returns. If there are none the kubelet pulls without a credential;
// if there are, it never does.
func (k *Keyring) Candidates(image string) []Candidate {
	return slices.Concat(k.secrets.lookup(image), k.files.lookup(image), k.plugins.lookup(image))
}

// ring is the credentials of one kind.
type ring []Candidate

func (r *ring) add(origin Origin, auths []Auth) {
	seen := map[string]int{}
	for _, auth := range auths {
		pattern, ok := dockerconfig.Pattern(auth.Key)
		if !ok {
			continue
		}
		if first, again := seen[pattern]; again {
			(*r)[first].Chance = true
			*r = append(*r, Candidate{Auth: auth, Origin: origin, Pattern: pattern, Chance: true})
			continue
		}
		seen[pattern] = len(*r)
		*r = append(*r, Candidate{Auth: auth, Origin: origin, Pattern: pattern})
	}
}

// lookup returns what is for an image. What is for docker's own name of Docker
// Hub is so if nothing else of the kind is.
func (r ring) lookup(name string) []Candidate {
	found := r.where(func(pattern string) bool {
		matched, err := image.Match(pattern, name)
		return err == nil && matched
	})
	if len(found) == 0 && dockerconfig.IsHub(name) {
		found = r.where(func(pattern string) bool { return pattern == dockerconfig.Hub })
	}
	return found
}

// where returns the candidates in the order of their patterns, backwards, and
// for equal ones in that of adding.
func (r ring) where(matches func(pattern string) bool) []Candidate {
	var found []Candidate
	for _, candidate := range r {
		if matches(candidate.Pattern) {
			found = append(found, candidate)
		}
	}
	slices.SortStableFunc(found, func(a, b Candidate) int { return strings.Compare(b.Pattern, a.Pattern) })
	return found
}

// sortAuths brings the credentials of a map into the order in which the
// kubelet tries them. Where it leaves that to chance the keys decide.
func sortAuths(auths []Auth) {
	pattern := func(a Auth) string {
		p, _ := dockerconfig.Pattern(a.Key)
		return p
	}
	slices.SortFunc(auths, func(a, b Auth) int {
		if order := strings.Compare(pattern(b), pattern(a)); order != 0 {
			return order
		}
		return strings.Compare(a.Key, b.Key)
	})
}
