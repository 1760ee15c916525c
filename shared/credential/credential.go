// Package credential holds the words that every plugin and the core share:
// what a credential is, where one comes from, and who asks for it.
package credential

import (
	"context"
	"time"

	"regcred/shared/image"
	"regcred/shared/serviceaccount"
)

// Credential is a user name and password for a registry.
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

// Source is one way to obtain one credential.
type Source interface {
	// Key is computed without I/O.
	Key() Key

	// Fetch asks the cloud and never caches. A Source that needs an
	// intermediate token gets it from the Getter, so that it is cached and
	// shared like any other credential. Errors that should not be retried at
	// once are a *Failure.
	Fetch(ctx context.Context, getter Getter) (Credential, error)
}

// Getter answers for a Source, from a cache or by calling Fetch.
type Getter interface {
	Get(ctx context.Context, source Source) (Credential, error)

	// Renew is for a credential from Get that was refused in spite of its
	// life: it asks for another, unless that has been done or the credential
	// is only just new. Then it returns what is there, which may be the
	// refused one.
	Renew(ctx context.Context, source Source, refused Credential) (Credential, error)
}

// Request is what the kubelet asks, parsed.
type Request struct {
	// Image is what is to be pulled.
	Image image.Reference

	// Registry is the registry whose credential is wanted. It is the image's
	// own, unless the operator said that another one's credential is to be
	// used for it.
	Registry image.Registry

	// Pod is the identity of the pod, or nil when the kubelet sent none. A
	// request with a pod must not be answered with the node's identity.
	Pod *serviceaccount.Token

	// Annotations of the pod's service account, as far as the kubelet's
	// configuration names them. Whoever may edit the service account chose
	// their values.
	Annotations map[string]string
}

// Provider is one cloud.
type Provider interface {
	// Source decides, by parsing alone, whether the registry is one of this
	// cloud's and which Source answers for it. A nil Source means that it is
	// not. It does no I/O and looks at no clock: everything a reviewer must
	// trust about who gets which token is decided here.
	Source(Request) (Source, error)
}
