package ibm

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Audience is whom the tokens of service accounts are for.
const Audience = "iam"

const grantType = "urn:ibm:params:oauth:grant-type:"

// IAM is IAM's token endpoint. Its operations are GetTokenAPIKey, GetTokenCRToken
// and GetTokenAssume, by the grant that is asked for.
func (f *Fake) IAM() http.Handler {
	return fake.Identified("Transaction-Id", f.Front(&cloud.Service{
		Name:      "iam",
		Operation: grantOperation,
		Answer:    f.answerIAM,
		Refuse:    wordIAM,
	}))
}

func grantOperation(r *cloud.Request) string {
	values, _ := url.ParseQuery(string(r.Body)) // a form that is none is of no grant
	switch strings.TrimPrefix(values.Get("grant_type"), grantType) {
	case "apikey":
		return "GetTokenAPIKey"
	case "cr-token":
		return "GetTokenCRToken"
	case "assume":
		return "GetTokenAssume"
	default:
		return "GetToken"
	}
}

// wordIAM words a refusal as the token endpoint does.
func wordIAM(refusal cloud.Refusal) (string, []byte) {
	message, details, _ := strings.Cut(refusal.Message, "|")
	body := map[string]any{
		"errorCode":    refusal.Code,
		"errorMessage": message,
		"context": map[string]string{
			"requestId": fake.Text(12), "requestType": "incoming.Identity_Token", "url": "https://" + IAMHost, "clusterName": "iam-id-prod-us-south-1",
		},
	}
	if details != "" {
		body["errorDetails"] = details
	}
	return fake.WordJSON(body)
}

// refuse is how IAM refuses what it is shown.
func refuse(code, format string, arguments ...any) cloud.Refusal {
	return fake.Refuse(http.StatusBadRequest, code, format, arguments...)
}

func (f *Fake) answerIAM(x *cloud.Exchange, r *cloud.Request) error {
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/identity/token" {
		return fake.RefuseForm(http.StatusNotFound, "BXNIM0001E", "no operation %s %s", r.Method, r.URL.RequestURI())
	}
	if r.Header.Get("Accept") != "application/json" || r.Header.Get("Authorization") != "" {
		return fake.RefuseForm(http.StatusBadRequest, "BXNIM0109E", "Accept is %q, and there may be credentials", r.Header.Get("Accept"))
	}
	fields, err := fake.Form(r, "grant_type", "apikey", "response_type", "cr_token", "access_token", "profile_id", "profile_crn", "profile_name", "account", "scope")
	if err != nil {
		return fake.RefuseForm(http.StatusBadRequest, "BXNIM0109E", "%v", err)
	}
	grant, found := strings.CutPrefix(fields["grant_type"], grantType)
	fieldsOf := map[string][]string{"apikey": {"apikey"}, "cr-token": {"cr_token", "profile_id"}, "assume": {"access_token", "profile_id"}}[grant]
	if !found || fieldsOf == nil {
		return fake.RefuseForm(http.StatusBadRequest, "BXNIM0119E", "Provided grant_type %s is not supported.", fields["grant_type"])
	}
	for name, value := range fields {
		if name != "grant_type" && name != "response_type" && !slices.Contains(fieldsOf, name) || value == "" {
			return fake.RefuseForm(http.StatusBadRequest, "BXNIM0109E", "Property %s is empty, or not one of %s.", name, grant)
		}
	}
	for _, name := range fieldsOf {
		if fields[name] == "" {
			return fake.RefuseForm(http.StatusBadRequest, "BXNIM0109E", "Property missing or empty: %s", name)
		}
	}
	var iamID, account string
	switch grant {
	case "apikey":
		iamID, err = f.byKey(fields["apikey"])
	case "cr-token":
		iamID, account, err = f.byServiceAccount(fields["cr_token"], fields["profile_id"])
	case "assume":
		iamID, account, err = f.byAssuming(fields["access_token"], fields["profile_id"])
	}
	x.Summarize("%s: %s", grant, iamID)
	if err != nil {
		return err
	}
	issued := f.issue(f.Current().IAM, iamID, account, "iam")
	return fake.AnswerJSON(x, issued.Shape.Apply(map[string]any{
		"access_token":  issued.Token,
		"refresh_token": "not_supported",
		"token_type":    "Bearer",
		"expires_in":    int(issued.Expires.Sub(f.Now()).Seconds()),
		"expiration":    issued.Expires.Unix(),
		"scope":         "ibm openid",
	}, "access_token", "expires_in", "expiration"))
}

func (f *Fake) byKey(key string) (string, error) {
	owner, ok := f.directory.owner(key)
	if !ok {
		return "", refuse("BXNIM0415E", "Provided API key could not be found.")
	}
	return owner.IAMID(), nil
}

// byServiceAccount exchanges a service account's token for one of a profile
// whose rules are for it.
func (f *Fake) byServiceAccount(text, id string) (iamID, account string, err error) {
	claims, err := f.Issuer.Verify(text)
	if err != nil {
		return "", "", refuse("BXNIM0407E", "Provided token is invalid: not of a cluster of this cloud.")
	}
	if err := claims.Check(Audience, f.Now()); err != nil {
		return "", "", refuse("BXNIM0407E", "Provided token is invalid: %v.", err)
	}
	if life := time.Duration(claims.Expires-claims.IssuedAt) * time.Second; life > time.Hour && !f.Current().LongTokens {
		return "", "", refuse("BXNIM0407E", "Provided token is invalid: it lives for %s.", life)
	}
	profile, ok := f.directory.profile(id)
	namespace, name := claims.Kubernetes.Namespace, claims.Kubernetes.ServiceAccount.Name
	if !ok || !profile.trusts(namespace, name) {
		pod := oidc.Object{}
		if claims.Kubernetes.Pod != nil {
			pod = *claims.Kubernetes.Pod
		}
		return "", "", refuse("BXNIM0398E", "Selected trusted profile not eligible.|tok2iks1:%s:%s:%s %s", namespace, name, pod.Name, id)
	}
	return profile.IAMID(), profile.Account, nil
}

// byAssuming exchanges an IAM token for one of a profile that its owner may
// assume.
func (f *Fake) byAssuming(text, id string) (iamID, account string, err error) {
	token, ok := f.tokens.Find(text)
	if !ok || !f.Now().Before(token.Expires) {
		return "", "", refuse("BXNIM0407E", "Provided token is invalid or expired.")
	}
	profile, ok := f.directory.profile(id)
	if !ok || !slices.Contains(profile.Assumers, token.IAMID) {
		return "", "", refuse("BXNIM0398E", "Selected trusted profile not eligible.|%s", id)
	}
	return profile.IAMID(), profile.Account, nil
}
