package gcr

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// federated is the token of a pod's own principal: the pod's service account
// token, exchanged at STS for a token of Google's.
type federated struct {
	place
	pod      *serviceaccount.Token
	scope    serviceaccount.Scope
	audience audience
}

// Key says who the pod is and to whom it is known.
func (s *federated) Key() credential.Key {
	return slices.Concat([]string{"gcr", "sts", s.universe.domain, s.audience.text}, s.pod.Identity(s.scope))
}

// Fetch exchanges the token.
func (s *federated) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	var a answer
	last, err := exchangeForm(s.place, s.pod.Reveal(), s.audience).do(ctx, s.caFile, &a)
	var c credential.Credential
	if err == nil {
		c, err = a.credential()
	}
	if err != nil {
		return credential.Credential{}, s.who().explain(dissect(err, last))
	}
	return c, nil
}

func (s *federated) who() who { return who{pod: s.pod, audience: s.audience} }

// impersonated is the token of a Google service account, which a pod's own
// principal may ask for.
type impersonated struct {
	self  *federated
	email string
}

// Key says who impersonates whom.
func (s *impersonated) Key() credential.Key {
	return slices.Concat([]string{"gcr", "iamcredentials", s.email}, s.self.Key())
}

// Fetch asks IAM for a token of the service account. The pod's own token is
// shared with whatever else is asked for with it, and replaced if IAM does not
// take it any more.
func (s *impersonated) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	return credential.Redeem(ctx, getter, s.self, func(own credential.Secret) (credential.Credential, bool, error) {
		c, last, err := s.generate(ctx, own)
		if err != nil {
			return credential.Credential{}, last.status == http.StatusUnauthorized, s.who().explain(dissect(err, last))
		}
		return c, false, nil
	})
}

// generate asks with one token.
func (s *impersonated) generate(ctx context.Context, bearer credential.Secret) (credential.Credential, exchange, error) {
	body, err := json.Marshal(struct {
		Scope    []string `json:"scope"`
		Lifetime string   `json:"lifetime"`
	}{[]string{scope}, "3600s"})
	if err != nil {
		return credential.Credential{}, exchange{}, err
	}
	var a struct {
		AccessToken string    `json:"accessToken"`
		ExpireTime  time.Time `json:"expireTime"`
	}
	last, err := call{
		url:         "https://" + s.self.universe.endpoint("iamcredentials") + "/v1/projects/-/serviceAccounts/" + s.email + ":generateAccessToken",
		contentType: "application/json",
		body:        body,
		bearer:      bearer,
	}.do(ctx, s.self.caFile, &a)
	if err != nil {
		return credential.Credential{}, last, err
	}
	c, err := newCredential(a.AccessToken, last.until(a.ExpireTime))
	return c, last, err
}

func (s *impersonated) who() who {
	return who{pod: s.self.pod, audience: s.self.audience, email: s.email}
}

// until returns how long it is until a time that the server stated.
func (e exchange) until(t time.Time) time.Duration {
	now := time.Now()
	if t.IsZero() {
		return 0
	}
	if !e.date.IsZero() {
		t = cloudhttp.ByOwnClock(t, e.date, now)
	}
	return t.Sub(now)
}
