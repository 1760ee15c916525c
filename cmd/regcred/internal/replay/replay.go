// Package replay is one image as the kubelet sees it: which providers it asks,
// what they answer, and in which order it tries what it has.
package replay

import (
	"context"
	"path/filepath"
	"slices"

	"regcred/cmd/regcred/internal/suite"
	"regcred/shared/kubelet"
)

// Node is what a kubelet has.
type Node struct {
	Config *kubelet.Config
	Runner kubelet.Runner
	Files  kubelet.NodeFiles
}

// Request is what is to be pulled, and for whom.
type Request struct {
	// Image is as a pod has it.
	Image string

	// Pod is for whom. The zero Pod has no service account.
	Pod kubelet.Pod

	// Secrets are the pod's pull secrets, in its order.
	Secrets []kubelet.Secret

	// Fresh keeps plugins of this suite from what they have in their cache, and
	// from the failures there.
	Fresh bool
}

// Replay is what came of it.
type Replay struct {
	// Image is as it was asked for, and Name what the kubelet asks for.
	Image, Name string

	// Matches says of each provider whether it is for the image.
	Matches []kubelet.Match

	// Outcomes are of those that are, in the same order.
	Outcomes []kubelet.Outcome

	// Foreign are providers that Fresh did nothing about: they are not of this
	// suite.
	Foreign []string

	// File is the node's docker configuration.
	File kubelet.NodeFile

	// Secret is a pull secret that cannot be read, for which the kubelet pulls
	// nothing. It does not even ask its providers then.
	Secret error

	// Candidates are what the kubelet tries, in its order. None means that it
	// pulls as anybody.
	Candidates []kubelet.Candidate
}

// Ask replays the kubelet.
func (n Node) Ask(ctx context.Context, r Request) (*Replay, error) {
	name, err := kubelet.ImageName(r.Image)
	if err != nil {
		return nil, err
	}
	result := &Replay{Image: r.Image, Name: name}
	if n.Config != nil {
		result.Matches = n.Config.Match(name)
	}
	var keyring kubelet.Keyring
	if result.Secret = addSecrets(&keyring, r.Secrets); result.broken() {
		return result, nil
	}
	result.File = n.Files.Read()
	keyring.AddFile(result.File)
	for _, match := range result.Matches {
		if !match.Matched {
			continue
		}
		provider := match.Provider
		if r.Fresh {
			if fresh := n.withoutCache(ctx, provider); fresh != nil {
				provider = fresh
			} else {
				result.Foreign = append(result.Foreign, provider.Name)
			}
		}
		outcome := n.Runner.Ask(ctx, provider, name, r.Pod)
		result.Outcomes = append(result.Outcomes, outcome)
		keyring.AddOutcome(outcome)
	}
	result.Candidates = keyring.Candidates(name)
	return result, nil
}

// addSecrets adds pull secrets to a keyring, unless one cannot be read.
func addSecrets(keyring *kubelet.Keyring, secrets []kubelet.Secret) error {
	for _, secret := range secrets {
		if err := keyring.AddSecret(secret); err != nil {
			return err
		}
	}
	return nil
}

// broken reports whether a pull secret keeps the kubelet from pulling.
func (r *Replay) broken() bool { return r.Secret != nil }

// Failures are why providers that were asked gave nothing.
func (r *Replay) Failures() []kubelet.Outcome {
	return slices.DeleteFunc(slices.Clone(r.Outcomes), func(o kubelet.Outcome) bool { return o.Err == nil })
}

// withoutCache returns a provider that keeps nothing, or nil if it is not of
// this suite.
func (n Node) withoutCache(ctx context.Context, p *kubelet.Provider) *kubelet.Provider {
	if !n.OfThisSuite(ctx, p) {
		return nil
	}
	fresh := *p
	fresh.Args = append(slices.Clip(p.Args), "--cache-dir=") // the last one counts
	return &fresh
}

// OfThisSuite asks a provider's program whether it is one of this suite.
func (n Node) OfThisSuite(ctx context.Context, p *kubelet.Provider) bool {
	release, _ := suite.Ask(ctx, filepath.Join(n.Runner.BinDir, p.Name), n.Runner.Env(p), n.Runner.Dir)
	return release != nil
}
