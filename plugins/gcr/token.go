package gcr

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// tokenUser goes with an access token as the password, on GKE's nodes too.
const tokenUser = "_token"

// scope lets a token do what its owner may.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// longestLife bounds what is believed of a token's life. An hour is usual, and
// twelve the most that can be configured.
const longestLife = 24 * time.Hour

// newCredential makes the registry credential of an access token.
func newCredential(token string, life time.Duration) (credential.Credential, error) {
	switch {
	case token == "":
		return credential.Credential{}, errors.New("the answer holds no token")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return credential.Credential{}, errors.New("the answer holds a token with characters that no token has")
	case life <= 0:
		return credential.Credential{}, errors.New("the answer holds a token that has no life left, or does not say how much")
	}
	return credential.Credential{
		Username: tokenUser,
		Password: credential.NewSecret(token),
		Expires:  time.Now().Add(min(life, longestLife)),
	}, nil
}

// answer is what the metadata server and STS answer.
type answer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
}

// decode reads the JSON of an answer. What it says is in no error.
func decode(data []byte, into any) error {
	if json.UnmarshalCaseSensitivePreserveInts(data, into) != nil {
		return errors.New("the answer can not be read")
	}
	return nil
}

func (a answer) credential() (credential.Credential, error) {
	seconds := min(a.ExpiresIn, int64(longestLife/time.Second))
	return newCredential(a.AccessToken, time.Duration(seconds)*time.Second)
}

// call is one call of an API.
type call struct {
	url         string
	contentType string
	body        []byte
	// bearer is whose token the call carries. The zero value sends none.
	bearer credential.Secret
}

// exchangeForm is the call of STS that exchanges a token.
func exchangeForm(p place, token string, a audience) call {
	form := url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"subject_token_type":   {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":        {token},
		"audience":             {a.text},
		"scope":                {scope},
	}
	return call{
		url:         "https://" + p.universe.endpoint("sts") + "/v1/token",
		contentType: "application/x-www-form-urlencoded",
		body:        []byte(form.Encode()),
	}
}

// do sends the call and decodes its answer. The exchange tells what became of
// it also where there is an error.
func (c call) do(ctx context.Context, caFile string, into any) (exchange, error) {
	api, err := cloudhttp.API(caFile)
	if err != nil {
		return exchange{}, err
	}
	client, witness := observe(ctx, api.Transport)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(c.body))
	if err != nil {
		return exchange{}, err
	}
	request.Header.Set("Content-Type", c.contentType)
	if !c.bearer.Empty() {
		request.Header.Set("Authorization", "Bearer "+c.bearer.Reveal())
	}
	response, err := client.Do(request)
	if err != nil {
		return witness.seen(), err
	}
	defer func() { _ = response.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return witness.seen(), err
	}
	return witness.seen(), decode(text.Bytes(), into)
}
