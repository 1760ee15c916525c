// Package credential holds the words that every plugin and the core share:
// what a credential is, where one comes from, and who asks for it.
package credential

import (
	"context"
	"fmt"
	"slices"
	"time"

	"regcred/shared/image"
	"regcred/shared/serviceaccount"
)

// Credential is a user name and password for a registry: what the kubelet is
// answered.
type Credential struct {
	// Username and Password are both empty for an anonymous credential: the
	// cloud has answered, and its answer is to pull without one.
	Username string
	Password Secret

	// Expires is when the registry stops accepting the password. A Source
	// always sets it.
	Expires time.Time

	// Refresh is when a new credential will be asked for. A Getter sets it; a
	// Source that sets it asks for that to be no later.
	Refresh time.Time

	// Caller is whom the cloud took the asker for, as far as it said so: a
	// role's ARN, an email, the ids of an application. It is for messages.
	Caller string
}

// Anonymous is the answer "pull without a credential", to be asked for again
// at expires.
func Anonymous(expires time.Time) Credential { return Credential{Expires: expires} }

// IsAnonymous reports whether the answer is to pull without a credential.
func (c Credential) IsAnonymous() bool { return c.Username == "" && c.Password.Empty() }

// Key lists everything a credential depends on. Two Sources with equal keys
// have interchangeable credentials; whatever makes a difference to who gets
// what (cloud, settings, registry scope, identity) must be in it. It is kept
// in the cache in the clear, so no secret may be.
type Key []string

// Contains reports whether part is in the key, one piece after the other. What a
// credential depends on includes what its tokens depend on and whose it is.
func (k Key) Contains(part Key) bool {
	for i := range k {
		if len(part) > 0 && len(k)-i >= len(part) && slices.Equal(k[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// Source is one way to obtain one credential.
type Source interface {
	// String says who is asked, as whom, and for what, in one phrase without
	// secrets: "ECR in us-east-1 as the node's identity".
	fmt.Stringer

	// Key is computed without I/O.
	Key() Key

	// Fetch asks the cloud and never caches. A token on the way is obtained
	// through the Getter, so that it is cached and shared like the credential.
	// Errors that say more than that something failed are a *Failure.
	Fetch(ctx context.Context, getter Getter) (Credential, error)
}

// TokenSource is one way to obtain one token on the way to a credential. Its
// methods are as a Source's.
type TokenSource interface {
	fmt.Stringer
	Key() Key
	Fetch(ctx context.Context, getter Getter) (Token, error)
}

// Getter answers for a TokenSource, from a cache or by calling Fetch.
type Getter interface {
	Token(ctx context.Context, source TokenSource) (Token, error)

	// Renew is for a token from Token that was refused in spite of its life: it
	// asks for another, unless that has been done or the token is only just
	// new. Then it returns what is there, which may be the refused one.
	Renew(ctx context.Context, source TokenSource, refused Token) (Token, error)
}

// Request is what the kubelet asks, parsed.
type Request struct {
	// Image is what is to be pulled.
	Image image.Reference

	// Registry is the registry whose credential is wanted. It is the image's
	// own, unless the operator said that another one's credential is to be
	// used for it.
	Registry image.Registry

	// Pod is the identity of the pod, or nil when the kubelet sent none.
	Pod *serviceaccount.Token

	// Annotations of the pod's service account, as far as the kubelet's
	// configuration names them. Whoever may edit the service account chose
	// their values.
	Annotations map[string]string
}

// Provider is one cloud, with its settings.
type Provider interface {
	// Answer decides, by parsing alone, whether the registry is one of this
	// cloud's and which Source answers for it. It does no I/O and looks at no
	// clock: everything a reviewer must trust about who gets which token is
	// decided here, and by Choose.
	Answer(Request) (Answer, error)
}

// NodeIdentifier is a Provider that can be asked for the node's identity by
// itself: what the node proves at any of the cloud's registries.
type NodeIdentifier interface {
	// NodeIdentity returns the source of the token that proves it, or nil where
	// there is none that counts. It does no I/O.
	NodeIdentity() (TokenSource, error)
}

// Answer is how a request is answered. The zero Answer means that the registry
// is not this cloud's.
type Answer struct {
	// Source has the credential. Nil means that there is none to be had here.
	Source Source

	// PerImage means that the kubelet may use the credential for its own image
	// alone, and not for every image of the registry.
	PerImage bool

	// Unkept means that the Source is asked in every run, and what it answers
	// is not kept: it asks nobody, or reads what may change at any time. What it
	// obtains through the Getter is kept.
	Unkept bool

	// Anonymous is the pattern of registries for which the kubelet is to go on
	// without a credential where the registry refuses this one. Empty means
	// that it is not to.
	Anonymous string
}
