package azure

import (
	"net/http"
	"regexp"
	"strings"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Entra is the token endpoint of one cloud's Entra, for programs that have no
// user. Its one operation is GrantToken.
func (f *Fake) Entra(of Cloud) http.Handler {
	return fake.Identified("X-Ms-Request-Id", f.Front(&cloud.Service{
		Name:      "entra",
		Operation: func(*cloud.Request) string { return "GrantToken" },
		Answer: func(x *cloud.Exchange, r *cloud.Request) error {
			return f.answerEntra(of, x, r)
		},
		Refuse: wordEntra,
	}))
}

var entraPath = regexp.MustCompile(`^/([a-zA-Z0-9.-]+)/oauth2/v2\.0/token$`)

func (f *Fake) answerEntra(of Cloud, x *cloud.Exchange, r *cloud.Request) error {
	path := entraPath.FindStringSubmatch(r.URL.RequestURI())
	if path == nil || r.Method != http.MethodPost {
		return fake.RefuseForm(http.StatusNotFound, invalidRequest, "no operation %s %s", r.Method, r.URL.RequestURI())
	}
	asked, err := parseCredentials(r)
	if err != nil {
		return err
	}
	x.Summarize("%s in %s by %s for %s", asked.clientID, path[1], asked.proof, asked.audience)
	tenant, ok := f.directory.tenant(path[1])
	if !ok || tenant.Cloud != of {
		return fake.Refuse(http.StatusBadRequest, invalidRequest,
			"AADSTS90002: Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", path[1])
	}
	app, ok := f.directory.app(asked.clientID, tenant.ID)
	if !ok {
		return fake.Refuse(http.StatusBadRequest, "unauthorized_client",
			"AADSTS700016: Application with identifier '%s' was not found in the directory '%s'.", asked.clientID, path[1])
	}
	switch asked.proof {
	case bySecret:
		err = f.checkSecret(asked)
	case byCertificate:
		err = f.checkSigned(asked.assertion, asked.clientID, "https://"+r.Host+r.URL.Path)
	case byFederation:
		var subject string
		subject, err = f.checkFederated(asked.assertion, app)
		x.Summarize("%s in %s as %s for %s", asked.clientID, path[1], subject, asked.audience)
	}
	if err != nil {
		return err
	}
	if !f.knownAudience(asked.audience) {
		return fake.Refuse(http.StatusBadRequest, "invalid_resource",
			"AADSTS500011: The resource principal named %s was not found in the tenant named %s.", asked.audience, path[1])
	}
	issued := f.issue(f.Current().Entra, Token{
		Principal: Principal{tenant.ID, asked.clientID}, Service: "entra", Audience: asked.audience, Subject: "app-" + asked.clientID,
	})
	return f.answerToken(x, issued)
}

// How a program proves to be an app.
const (
	bySecret      = "secret"
	byCertificate = "certificate"
	byFederation  = "federation"
)

// credentials is what the grant of RFC 6749, section 4.4, is asked with.
type credentials struct {
	clientID, audience string
	proof              string
	secret, assertion  string
}

func parseCredentials(r *cloud.Request) (credentials, error) {
	if r.Header.Get("Authorization") != "" {
		return credentials{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "AADSTS900144: the credentials belong into the body")
	}
	fields, err := fake.Form(r, "grant_type", "client_id", "scope", "client_secret", "client_assertion_type", "client_assertion")
	if err != nil {
		return credentials{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "AADSTS900144: %v", err)
	}
	audience, isDefault := strings.CutSuffix(fields["scope"], "/.default")
	asked := credentials{clientID: fields["client_id"], audience: audience, secret: fields["client_secret"], assertion: fields["client_assertion"]}
	_, typed := fields["client_assertion_type"]
	switch {
	case fields["grant_type"] != "client_credentials":
		return asked, fake.RefuseForm(http.StatusBadRequest, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type '%s'.", fields["grant_type"])
	case asked.clientID == "":
		return asked, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "AADSTS900144: The request body must contain the following parameter: 'client_id'.")
	case !isDefault || audience == "" || strings.ContainsAny(audience, " "):
		return asked, fake.RefuseForm(http.StatusBadRequest, "invalid_scope",
			"AADSTS1002012: The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.", fields["scope"])
	case (asked.secret == "") == (asked.assertion == ""):
		return asked, fake.RefuseForm(http.StatusUnauthorized, invalidClient, "AADSTS7000216: 'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.")
	case typed != (asked.assertion != "") || typed && fields["client_assertion_type"] != assertionType:
		return asked, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "AADSTS90023: Unsupported 'client_assertion_type' value.")
	}
	asked.proof = bySecret
	if asked.assertion != "" {
		asked.proof = proofOf(asked.assertion)
	}
	return asked, nil
}

// proofOf tells assertions apart by who signed them: an app names its
// certificate and nobody else names one.
func proofOf(assertion string) string {
	var header map[string]any
	first, _, _ := strings.Cut(assertion, ".")
	if fake.DecodeSegment(first, &header) == nil && (header["x5t#S256"] != nil || header["x5t"] != nil || header["x5c"] != nil) {
		return byCertificate
	}
	return byFederation
}

func (f *Fake) checkSecret(asked credentials) error {
	secret, ok := f.directory.secrets.Find(asked.secret)
	switch {
	case !ok || !strings.EqualFold(secret.clientID, asked.clientID):
		return fake.Refuse(http.StatusUnauthorized, invalidClient,
			"AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", asked.clientID)
	case !f.Now().Before(secret.expires):
		return fake.Refuse(http.StatusUnauthorized, invalidClient, "AADSTS7000222: The provided client secret keys for app '%s' are expired.", asked.clientID)
	default:
		return nil
	}
}
