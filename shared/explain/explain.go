// Package explain says what a plugin would do with a request: who would be asked
// for what and as whom, and what the cache holds of it. It asks nobody.
package explain

import (
	"slices"
	"time"

	"regcred/shared/cache"
	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/redact"
	"regcred/shared/resolve"
	"regcred/shared/version"
)

// What an Explanation is, as JSON. A later version adds fields and changes
// none.
const (
	APIVersion = "regcred/v1"
	Kind       = "CredentialExplanation"
)

// Explanation is what a run of a plugin would do. It holds no secret.
type Explanation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Plugin is the plugin's own name, which the kubelet may call otherwise, and
	// Version its release.
	Plugin  string `json:"plugin"`
	Version string `json:"version"`

	// Image is the request's, normalised, and Registry its registry as it is written there.
	// AliasOf is the registry whose credential the operator wants for it, if
	// that is another.
	Image    string `json:"image"`
	Registry string `json:"registry"`
	AliasOf  string `json:"aliasOf,omitempty"`

	// Own is whether the registry is one of this plugin's. Others get an empty
	// answer, and the fields up to Cache are empty.
	Own bool `json:"own"`

	// Source says who is asked for what and as whom, and Key what the
	// credential depends on. They are empty if the request is refused.
	Source string         `json:"source,omitempty"`
	Key    credential.Key `json:"key,omitempty"`

	// Identity is whose identity answers, and Why says why.
	Identity Identity `json:"identity,omitempty"`
	Why      string   `json:"why,omitempty"`

	// Refused is the error of a request that fails before anybody is asked.
	Refused string `json:"refused,omitempty"`

	// ServiceAccount is whose token the request carries, as NAMESPACE/NAME, with
	// the annotations in it.
	ServiceAccount string            `json:"serviceAccount,omitempty"`
	Annotations    map[string]string `json:"annotations,omitempty"`

	// PerImage is whether the kubelet may use the credential for this image
	// alone. AnonymousFor is the pattern of registries that the kubelet is to
	// try without a credential after it.
	PerImage     bool   `json:"perImage,omitempty"`
	AnonymousFor string `json:"anonymousFor,omitempty"`

	// Unkept is whether the answer is made in every run, of what is kept on the
	// way to it and of what may change at any time.
	Unkept bool `json:"unkept,omitempty"`

	Cache Cache `json:"cache"`

	// Next is what a run would do now, with what the cache holds.
	Next Next `json:"next,omitempty"`
}

// Identity is whose identity answers a request.
type Identity string

// The identities. Nobody's is that of an answer which needs none.
const (
	Node   Identity = "node"
	Pod    Identity = "pod"
	Nobody Identity = "nobody"
)

// Cache is what is kept for a request.
type Cache struct {
	// Directory is where; empty means that nothing is kept.
	Directory string `json:"directory"`

	// Problem says why nothing in the directory is trusted, or is empty.
	Problem string `json:"problem,omitempty"`

	// Entry is the credential's own. Nil means that there is none.
	Entry *cache.Entry `json:"entry,omitempty"`

	// Tokens are the tokens on the way to the credential.
	Tokens []cache.Entry `json:"tokens,omitempty"`
}

// Next is what a run does.
type Next string

// What a run may do: answer that the registry is somebody else's, serve what is
// kept, serve it and ask for a newer one, ask before it can answer, or fail with
// a failure that is recorded, or at once.
const (
	Pass    Next = "pass"
	Serve   Next = "serve"
	Refresh Next = "refresh"
	Ask     Next = "ask"
	Fail    Next = "fail"
)

// Request explains what the plugin called name, whose settings make cloud, would
// do with a request at a time. Text that may come from elsewhere is redacted.
func Request(name string, cloud *plugin.Cloud, request credential.Request, now time.Time) Explanation {
	e := Explanation{
		APIVersion: APIVersion, Kind: Kind, Plugin: name, Version: version.Version(),
		Image: request.Image.String(), Registry: request.Registry.String(),
		Cache: Cache{Directory: cloud.Common.CacheDir},
		Next:  Pass,
	}
	if target, aliased := cloud.Common.Registry(request.Registry); aliased {
		e.AliasOf = target.String()
	}
	if request.Pod != nil {
		e.ServiceAccount = clean(request.Pod.Namespace + "/" + request.Pod.Name)
		e.Annotations = cleanAll(request.Annotations)
	}
	listing, err := cache.New(cache.Options{Dir: cloud.Common.CacheDir}).List()
	if err != nil {
		e.Cache.Problem = clean(err.Error())
	}
	answer, err := resolve.Answer(cloud, request)
	switch {
	case err != nil:
		e.Own, e.Refused, e.Next = true, clean(err.Error()), Fail
		return e
	case answer.Source == nil:
		return e
	}
	e.Own = true
	e.Source = clean(answer.Source.String())
	e.Key = answer.Source.Key()
	e.Identity, e.Why = whose(cloud, request, answer.Source)
	e.PerImage, e.AnonymousFor = answer.PerImage, answer.Anonymous
	e.Cache.Entry, e.Cache.Tokens = listing.Of(answer.Source)
	e.Unkept = answer.Unkept
	decides := e.Cache.Entry
	if e.Unkept && len(e.Cache.Tokens) > 0 {
		decides = &e.Cache.Tokens[0]
	}
	e.Next = next(decides, now)
	return e
}

// whose says whose identity a source asks with, and why.
func whose(cloud *plugin.Cloud, request credential.Request, source credential.Source) (Identity, string) {
	pod := request.Pod
	if pod == nil {
		return Node, "the request carries no service account token"
	}
	if source.Key().Contains(pod.Identity(cloud.Common.IdentityScope)) {
		return Pod, clean(pod.String()) + " names an identity"
	}
	request.Pod, request.Annotations = nil, nil
	own, err := resolve.Answer(cloud, request)
	switch {
	case err != nil || own.Source == nil || !slices.Equal(own.Source.Key(), source.Key()):
		return Nobody, "nobody's identity is needed there"
	case cloud.Common.NodeFallback.Allows(pod):
		return Node, clean(pod.String()) + " names no identity, and --node-fallback=" + cloud.Common.NodeFallback.String() + " lets it pull as the node"
	default:
		return Node, "the settings have the node's identity for this registry, whoever asks"
	}
}

// next is what a run does with what the cache holds.
func next(e *cache.Entry, now time.Time) Next {
	waits := e != nil && now.Before(e.Retry)
	switch {
	case e == nil:
		return Ask
	case e.State == cache.Fresh, e.State == cache.Due && waits:
		return Serve
	case e.State == cache.Due:
		return Refresh
	case waits:
		return Fail
	default:
		return Ask
	}
}

func clean(text string) string { return redact.Line(text, credential.Known()...) }

func cleanAll(texts map[string]string) map[string]string {
	cleaned := make(map[string]string, len(texts))
	for name, text := range texts {
		cleaned[clean(name)] = clean(text)
	}
	return cleaned
}
