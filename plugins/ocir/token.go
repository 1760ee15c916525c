package ocir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// tokenUser goes with a registry's token as the password.
const tokenUser = "BEARER_TOKEN"

// registryToken asks a registry for its token, which is good for whatever the
// principal may read there. The registry gives one to whoever is known, with or
// without a right.
type registryToken struct {
	endpoints *endpoints
	registry  registry
	path      string
	principal principal
}

func (s *registryToken) String() string { return s.registry.host + " as " + s.principal.String() }

// Key holds the host: whether a token is good at another name of the same
// region's registry is not documented.
func (s *registryToken) Key() credential.Key {
	return slices.Concat(credential.Key{"ocir", "token", s.registry.host, s.path}, s.principal.Key())
}

// Fetch asks with the principal's key, and once more with a new one where the
// registry does not take it.
func (s *registryToken) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	return credential.Redeem(ctx, s.principal.getter(getter), s.principal, func(token credential.Token) (credential.Token, bool, error) {
		return s.ask(ctx, token)
	})
}

func (s *registryToken) ask(ctx context.Context, principal credential.Token) (token credential.Token, refused bool, err error) {
	key, err := keyOf(principal)
	if err == nil && s.principal.node == nil {
		err = s.registry.check(placeOf(key.id))
	}
	if err != nil {
		return credential.Token{}, false, err
	}
	reply := s.endpoints.signed(ctx, cloudhttp.Call{Stage: stageToken, URL: "https://" + s.registry.host + s.path}, key, signedHeaders)
	token, err = readToken(reply)
	if err != nil {
		// What is not known there may be of before its dynamic group.
		refused = denies(reply) || reply.Status == http.StatusNotFound
		return credential.Token{}, refused, s.explainToken(reply, err, principal.Caller)
	}
	token.Caller = principal.Caller
	return token, false, nil
}

// shortLife is that of a token whose answer does not say when it ends.
const shortLife = 5 * time.Minute

// readToken reads the token that a registry answered with.
func readToken(reply cloudhttp.Reply) (credential.Token, error) {
	if !reply.OK() {
		return credential.Token{}, errRefused
	}
	// Either name will do, as of other registries' token services.
	var answer struct {
		Token       string            `json:"token"`
		AccessToken string            `json:"access_token"`
		ExpiresIn   cloudhttp.Seconds `json:"expires_in"`
	}
	if reply.Decode(&answer) != nil {
		return credential.Token{}, cloudhttp.ErrUnreadable
	}
	life := shortLife
	if answer.ExpiresIn > 0 {
		life = answer.ExpiresIn.Duration()
	}
	return credential.NewToken(cmp.Or(answer.Token, answer.AccessToken), reply.Received.Add(life))
}

// renew asks for another token with another key, as a dynamic group that was
// made later has no effect on either.
func (s *registryToken) renew(ctx context.Context, getter credential.Getter, refused credential.Token) (credential.Token, error) {
	principals := s.principal.getter(getter)
	old, err := principals.Token(ctx, s.principal)
	if err == nil {
		_, err = principals.Renew(ctx, s.principal, old)
	}
	if err != nil {
		return credential.Token{}, err
	}
	return getter.Renew(ctx, s, refused)
}

// pull is what the kubelet is answered: the registry's token as a login.
type pull struct {
	token *registryToken

	// repository is read from before the token is handed out. Empty means that
	// it is handed out as it is.
	repository string

	// pod is whose the principal is. Nil means the node's.
	pod *serviceaccount.Token
}

func (s *pull) String() string {
	if s.repository != "" {
		return s.token.String() + ", verified for " + s.repository
	}
	return s.token.String()
}

// Key has the place in it too where that decides who is asked.
func (s *pull) Key() credential.Key {
	key := slices.Concat(credential.Key{"ocir", "pull", s.repository}, s.token.Key())
	if node := s.token.principal.node; node != nil {
		key = append(key, node.Key()...)
	}
	return key
}

// Fetch asks the registry, unless it is of another realm: nothing is signed for
// that.
func (s *pull) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	c, err := s.fetch(ctx, getter)
	if err != nil && s.pod != nil {
		err = fmt.Errorf("%s: %w", s.pod, err)
	}
	return c, err
}

func (s *pull) fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	if node := s.token.principal.node; node != nil {
		place, err := node.place(ctx, getter)
		if err == nil {
			err = s.token.registry.check(place)
		}
		if errors.Is(err, errForeign) {
			return anonymous{}.Fetch(ctx, getter)
		}
		if err != nil {
			return credential.Credential{}, err
		}
	}
	fetch := s.token.Fetch
	if s.repository != "" {
		fetch = s.verified
	}
	token, err := fetch(ctx, getter)
	if err != nil {
		return credential.Credential{}, err
	}
	return token.Login(tokenUser), nil
}

// verified returns a token that may read the repository. Tokens are shared by
// all repositories.
func (s *pull) verified(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	token, err := getter.Token(ctx, s.token)
	if err != nil {
		return credential.Token{}, err
	}
	reply := s.probe(ctx, token)
	if denies(reply) {
		renewed, err := s.token.renew(ctx, getter, token)
		if err != nil {
			return credential.Token{}, err
		}
		if renewed.Value.Reveal() != token.Value.Reveal() {
			token, reply = renewed, s.probe(ctx, renewed)
		}
	}
	switch {
	case reply.OK() || reply.Status == http.StatusNotFound:
	case denies(reply):
		return credential.Token{}, s.explainProbe(reply, token.Caller)
	default:
		// What cannot be verified is not kept for long.
		token.Refresh = time.Now().Add(unverifiedLife)
	}
	return token, nil
}

// denies reports whether the owner of a token may not read a repository.
func denies(r cloudhttp.Reply) bool { return r.Unauthorized() || r.Status == http.StatusForbidden }

// unverifiedLife is for how long a token is kept that could not be verified.
const unverifiedLife = time.Minute

// manifests are what a manifest may be.
var manifests = []string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
}

// probe asks for a manifest, as a pull does. Whether there is one with that tag
// does not matter; the kubelet does not say which it wants.
func (s *pull) probe(ctx context.Context, token credential.Token) cloudhttp.Reply {
	return cloudhttp.Call{
		Stage:  stageProbe,
		URL:    "https://" + s.token.registry.host + "/v2/" + s.repository + "/manifests/latest",
		Method: http.MethodHead,
		Header: http.Header{"Accept": manifests},
		Bearer: token.Value,
	}.Do(ctx, s.token.endpoints.clients.API())
}

// anonymousLife is for how long it is believed that an image needs no
// credential.
const anonymousLife = 5 * time.Minute

// anonymous asks nobody: everybody may pull the images that OKE's nodes start
// with, which they do before they have an identity.
type anonymous struct{}

func (anonymous) String() string      { return "OKE's public images without a credential" }
func (anonymous) Key() credential.Key { return credential.Key{"ocir", "anonymous"} }

// Fetch returns the anonymous credential.
func (anonymous) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	return credential.Anonymous(time.Now().Add(anonymousLife)), nil
}
