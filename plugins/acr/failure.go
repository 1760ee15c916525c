package acr

import (
	"strconv"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// Stages, as messages name them.
const (
	stageFile     = "credentials"
	stageMetadata = "imds"
	stageArc      = "arc"
	stageEntra    = "entra"
	stageBinding  = "identity binding"
	stageExchange = "exchange"
	stageToken    = "token"
)

// service is one that is asked for a token, as it is asked in one call.
type service struct {
	cloudhttp.Service

	// identity is as whom it is asked, and audience for whom the token is to be,
	// in messages. Empty means that the latter is not told.
	identity, audience string

	// diagnose says what the service's own refusal means.
	diagnose func(cloudhttp.Reply, cloudhttp.Said) cloudhttp.Diagnosis
}

// caller is who asks for what.
func (s service) caller() string {
	if s.audience == "" {
		return s.identity
	}
	return s.identity + " for audience " + s.audience
}

// entraToken reads the Entra token that the service answered with, or explains
// why there is none.
func (s service) entraToken(r cloudhttp.Reply) (credential.Token, error) {
	if !r.OK() {
		return credential.Token{}, s.failure(r)
	}
	var answer cloudhttp.OAuthToken
	if err := r.Decode(&answer); err != nil {
		return credential.Token{}, s.useless(r, err)
	}
	token, err := credential.NewToken(answer.AccessToken, answer.Expires(r))
	if err != nil {
		return credential.Token{}, s.useless(r, err)
	}
	token.Caller = claimsOf(token).complete(s.identity)
	return token, nil
}

// failure explains a reply that is no success.
func (s service) failure(r cloudhttp.Reply) *credential.Failure {
	said := readSaid(r)
	if server := r.Header.Get("Server"); s.Own != nil && !s.Own(r) && said.Text == "" && server != "" {
		said.Text = "Server: " + cloudhttp.Bounded(server, 80) // which tells other clouds
	}
	d, ok := r.Diagnose(s.Service)
	if !ok {
		d = s.diagnose(r, said)
	}
	return r.Failure(d, said, s.caller())
}

// useless explains a success that holds no token of use.
func (s service) useless(r cloudhttp.Reply, err error) *credential.Failure {
	return r.Useless(s.Service, correlation(r, ""), s.caller(), err)
}

// readSaid returns what the body of a failure says. Entra and the metadata
// service answer as OAuth does, and registries with a list.
func readSaid(r cloudhttp.Reply) cloudhttp.Said {
	said, ok := r.OAuthError()
	if ok {
		return readEntra(r, said)
	}
	var registry struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if r.Decode(&registry) == nil && len(registry.Errors) > 0 {
		first := registry.Errors[0]
		said = cloudhttp.Said{Code: cloudhttp.Bounded(first.Code, 80), Text: cloudhttp.Bounded(first.Message, 400)}
	} else {
		said = r.PlainText()
	}
	said.ID = correlation(r, "")
	return said
}

// readEntra returns the number that Entra's documentation has for a failure, or
// else its general name, and the text without the number and without what is of
// use to support alone.
func readEntra(r cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Said {
	var more struct {
		Codes       []int64 `json:"error_codes"`
		Correlation string  `json:"correlation_id"`
	}
	_ = r.Decode(&more) // what is not there is empty
	number, rest, _ := strings.Cut(said.Text, ":")
	switch {
	case isEntraNumber(number):
		said.Code, said.Text = number, rest
	case len(more.Codes) > 0:
		said.Code = "AADSTS" + strconv.FormatInt(more.Codes[0], 10)
	}
	said.Text, _, _ = strings.Cut(said.Text, "Trace ID:")
	said.Text = strings.TrimSpace(said.Text)
	said.ID = correlation(r, more.Correlation)
	return said
}

// isEntraNumber reports whether s is a number of a failure, such as AADSTS50013.
func isEntraNumber(s string) bool {
	digits, found := strings.CutPrefix(s, "AADSTS")
	return found && digits != "" && len(digits) <= 12 && strings.Trim(digits, "0123456789") == ""
}

// correlation is by which id the service finds the request in its own log.
func correlation(r cloudhttp.Reply, said string) string {
	if said == "" {
		said = r.Header.Get("X-Ms-Correlation-Request-Id")
	}
	if !isGUID(said) {
		return ""
	}
	return "correlation id " + said
}
