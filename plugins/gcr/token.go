package gcr

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// tokenUser goes with an access token as the password, on GKE's nodes too.
const tokenUser = "_token"

// everything is the scope of a token that may do what its owner may.
const everything = "https://www.googleapis.com/auth/cloud-platform"

// readsRegistries reports whether a scope is enough for a registry. Access to
// storage is, since images were kept there.
func readsRegistries(scope string) bool {
	return strings.HasPrefix(scope, "https://www.googleapis.com/auth/devstorage") || strings.HasPrefix(scope, everything)
}

// readToken reads what the metadata server and STS answer.
func readToken(reply cloudhttp.Reply) (credential.Token, error) {
	if !reply.OK() {
		return credential.Token{}, errRefused
	}
	var answer cloudhttp.OAuthToken
	if err := reply.Decode(&answer); err != nil {
		return credential.Token{}, err
	}
	return credential.NewToken(answer.AccessToken, answer.Expires(reply))
}

// exchange is the call of STS that exchanges one token for another (RFC 8693).
func exchange(sts, audience, tokenType string, token credential.Secret, scopes []string) cloudhttp.Call {
	return cloudhttp.Call{
		Stage: stageSTS,
		URL:   sts,
		Form: url.Values{
			"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
			"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			"subject_token_type":   {tokenType},
			"subject_token":        {token.Reveal()},
			"audience":             {audience},
			"scope":                {strings.Join(scopes, " ")},
		},
	}
}

// accountRequest is the question for a token of a Google service account.
type accountRequest struct {
	Delegates []string `json:"delegates,omitempty"`
	Scopes    []string `json:"scope"`
	Lifetime  string   `json:"lifetime"`
}

// accountLife is how long a token is asked to live: what any account's may.
const accountLife = "3600s"

// accountToken asks IAM, as whom the bearer is, for the token of a Google
// service account.
func (e *endpoints) accountToken(ctx context.Context, address string, bearer credential.Token, question accountRequest) (credential.Token, cloudhttp.Reply, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return credential.Token{}, cloudhttp.Reply{}, err
	}
	reply := cloudhttp.Call{
		Stage: stageIAM, URL: address, Body: body, ContentType: "application/json", Bearer: bearer.Value,
	}.Do(ctx, e.clients.API())
	if !reply.OK() {
		return credential.Token{}, reply, errRefused
	}
	var answer struct {
		AccessToken string    `json:"accessToken"`
		ExpireTime  time.Time `json:"expireTime"`
	}
	if err := reply.Decode(&answer); err != nil {
		return credential.Token{}, reply, err
	}
	expires := answer.ExpireTime
	if !expires.IsZero() {
		expires = reply.OwnTime(expires)
	}
	token, err := credential.NewToken(answer.AccessToken, expires)
	return token, reply, err
}
