package gcp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// IAMCredentials is the IAM Service Account Credentials API. Its one operation
// is GenerateAccessToken.
func (f *Fake) IAMCredentials() http.Handler {
	return f.Front(&cloud.Service{
		Name:      "iamcredentials",
		Operation: func(*cloud.Request) string { return "GenerateAccessToken" },
		Answer:    f.answerIAMCredentials,
		Refuse:    wordAPI,
	})
}

var generatePath = regexp.MustCompile(
	`^/v1/projects/-/serviceAccounts/([a-zA-Z0-9-]{1,100}@[a-zA-Z0-9.-]{1,100}\.gserviceaccount\.com):generateAccessToken$`)

func (f *Fake) answerIAMCredentials(x *cloud.Exchange, r *cloud.Request) error {
	path := generatePath.FindStringSubmatch(r.URL.Path)
	switch {
	case path == nil || r.Method != http.MethodPost:
		return fake.RefuseForm(http.StatusNotFound, "NOT_FOUND", "no method %s %s", r.Method, r.URL.Path)
	case r.URL.RawQuery != "" && r.URL.RawQuery != "alt=json":
		return fake.RefuseForm(http.StatusBadRequest, "INVALID_ARGUMENT", "unknown query %q", r.URL.RawQuery)
	}
	email := path[1]
	wanted, err := parseGenerate(r)
	if err != nil {
		return err
	}
	caller, err := f.authenticate(r)
	if err != nil {
		return err
	}
	x.Summarize("%s as %s", email, caller.Principal)
	if !caller.allows(CloudPlatform) && !caller.allows("https://www.googleapis.com/auth/iam") {
		return fake.Refuse(http.StatusForbidden, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
	}
	// Each may have tokens of the next.
	holder := caller.Principal
	for _, next := range append(wanted.delegates, email) {
		if !f.identities.mayImpersonate(holder, next) {
			return Denied()
		}
		holder = Account(next)
	}
	settings := f.Current().IAMCredentials
	if settings.Life == 0 {
		settings.Life = wanted.life
	}
	issued := f.issue(settings, Token{Principal: Account(email), Service: "iamcredentials", Scopes: wanted.scopes})
	// There is an expiry where OAuth has a life.
	return fake.AnswerJSON(x, issued.Shape.Apply(map[string]any{
		"accessToken": issued.Token,
		"expireTime":  issued.Expires.UTC().Format(time.RFC3339),
	}, "accessToken", "expireTime"))
}

// generate is what generateAccessToken is asked for.
type generate struct {
	life      time.Duration
	scopes    []string
	delegates []string // emails
}

var delegateName = regexp.MustCompile(`^projects/-/serviceAccounts/([^/@\s]+@[^/\s]+)$`)

func parseGenerate(r *cloud.Request) (generate, error) {
	if !fake.HasKind(r, "application/json") {
		return generate{}, fake.RefuseForm(http.StatusBadRequest, "INVALID_ARGUMENT", "content type is %q", r.Header.Get("Content-Type"))
	}
	var body struct {
		Lifetime  string   `json:"lifetime"`
		Scope     []string `json:"scope"`
		Delegates []string `json:"delegates"`
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return generate{}, fake.RefuseForm(http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid JSON payload received. %v", err)
	}
	if len(body.Scope) == 0 || slices.ContainsFunc(body.Scope, func(scope string) bool { return !wellFormedScope(scope) }) {
		return generate{}, fake.RefuseForm(http.StatusBadRequest, "INVALID_ARGUMENT", "Scope required.")
	}
	wanted := generate{life: time.Hour, scopes: body.Scope}
	if body.Lifetime != "" {
		// Google's JSON writes a duration as seconds; an hour is the most.
		number, ok := strings.CutSuffix(body.Lifetime, "s")
		seconds, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil || seconds <= 0 || seconds > 3600 {
			return generate{}, fake.RefuseForm(http.StatusBadRequest, "INVALID_ARGUMENT", "The access token lifetime %q is not between 0s and 3600s.", body.Lifetime)
		}
		wanted.life = time.Duration(seconds * float64(time.Second))
	}
	for _, name := range body.Delegates {
		delegate := delegateName.FindStringSubmatch(name)
		if delegate == nil {
			return generate{}, fake.RefuseForm(http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid delegate %q.", name)
		}
		wanted.delegates = append(wanted.delegates, delegate[1])
	}
	return wanted, nil
}

// authenticate finds whose token a request carries. One that was never issued
// is a defect of who shows it.
func (f *Fake) authenticate(r *cloud.Request) (Token, error) {
	const invalid = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential."
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return Token{}, fake.RefuseForm(http.StatusUnauthorized, "UNAUTHENTICATED", "Request is missing required authentication credential.")
	}
	token, known := f.Token(shown)
	switch {
	case !known:
		return Token{}, fake.RefuseForm(http.StatusUnauthorized, "UNAUTHENTICATED", invalid)
	case !f.Now().Before(token.Expires):
		return Token{}, fake.Refuse(http.StatusUnauthorized, "UNAUTHENTICATED", invalid)
	default:
		return token, nil
	}
}

// Denied is how IAM refuses a principal that may not have tokens of a service
// account, or names one that does not exist.
func Denied() cloud.Refusal {
	return fake.Refuse(http.StatusForbidden, "PERMISSION_DENIED",
		"Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).")
}

// wordAPI words a refusal as Google's APIs do: the code is the status.
func wordAPI(refusal cloud.Refusal) (string, []byte) {
	return fake.WordJSON(map[string]any{"error": map[string]any{
		"code":    refusal.Status,
		"message": refusal.Message,
		"status":  refusal.Code,
	}})
}
