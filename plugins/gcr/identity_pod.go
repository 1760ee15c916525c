package gcr

import (
	"context"
	"net/http"
	"slices"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// federatedToken is the token of a pod's own principal: the pod's service
// account token, exchanged at STS for a token of Google's.
type federatedToken struct {
	endpoints     *endpoints
	pod           *serviceaccount.Token
	identityScope serviceaccount.Scope
	audience      audience
	scopes        []string
}

// String says who is asked, and as whom.
func (t *federatedToken) String() string {
	return "STS of " + t.endpoints.universe.domain + " for a token as " + t.pod.String() + " of " + t.audience.text
}

// Key says who the pod is, to whom it is known, and for what the token is.
func (t *federatedToken) Key() credential.Key {
	return slices.Concat(credential.Key{"gcr", "sts", t.endpoints.universe.domain, t.audience.text}, t.scopes, t.pod.Identity(t.identityScope))
}

// Fetch exchanges the token.
func (t *federatedToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	reply := exchange(t.endpoints.sts(), t.audience.text, podTokenType, credential.NewSecret(t.pod.Reveal()), t.scopes).Do(ctx, t.endpoints.clients.API())
	token, err := readToken(reply)
	if err != nil {
		return credential.Token{}, explain(reply, err, t.pod.String(), t.diagnose(reply, err))
	}
	token.Caller = t.audience.member(t.pod)
	return token, nil
}

// podTokenType is what a service account token is to STS.
const podTokenType = "urn:ietf:params:oauth:token-type:jwt" //nolint:gosec // The name of a kind.

func (t *federatedToken) diagnose(reply cloudhttp.Reply, err error) cloudhttp.Diagnosis {
	return diagnoseExchange(reply, err, subjectOf(t.pod, "the pod's token", t.audience.text,
		"set serviceAccountTokenAudience in the kubelet's configuration to "+t.audience.accepted()))
}

// impersonatedToken is the token of a Google service account, which a pod's own
// principal may ask for.
type impersonatedToken struct {
	own    *federatedToken
	email  string
	scopes []string
}

// String says who is asked, and as whom.
func (t *impersonatedToken) String() string {
	return "IAM of " + t.own.endpoints.universe.domain + " for a token of " + t.email + " as " + t.own.pod.String() + " of " + t.own.audience.text
}

func (t *impersonatedToken) caller() string { return t.own.pod.String() + " for " + t.email }

// Key says who impersonates whom, and for what.
func (t *impersonatedToken) Key() credential.Key {
	return slices.Concat(credential.Key{"gcr", "iamcredentials", t.email}, t.scopes, t.own.Key())
}

// Fetch asks IAM for a token of the service account. The pod's own token is
// shared with whatever else is asked for with it, and replaced if IAM does not
// take it any more.
func (t *impersonatedToken) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	endpoints := t.own.endpoints
	return credential.Redeem(ctx, getter, t.own, func(own credential.Token) (credential.Token, bool, error) {
		token, reply, err := endpoints.accountToken(ctx, endpoints.generateAccessToken(t.email), own, accountRequest{Scopes: t.scopes, Lifetime: accountLife})
		if err != nil {
			return credential.Token{}, reply.Status == http.StatusUnauthorized, explain(reply, err, t.caller(), t.diagnose(reply, err))
		}
		token.Caller = t.email
		return token, false, nil
	})
}

func (t *impersonatedToken) diagnose(reply cloudhttp.Reply, err error) cloudhttp.Diagnosis {
	return diagnoseImpersonation(reply, err, t.email, t.own.audience.principal(t.own.pod), "roles/iam.workloadIdentityUser")
}
