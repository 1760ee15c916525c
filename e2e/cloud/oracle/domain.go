package oracle

import (
	"net/http"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// ResourceType is what the identity domain's trust in the cluster impersonates.
const ResourceType = "k8sworkload"

// Domain is the identity domain. Its one operation is ExchangeToken.
func (f *Fake) Domain() http.Handler {
	return f.front(&cloud.Service{
		Name:      "exchange",
		Operation: func(*cloud.Request) string { return "ExchangeToken" },
		Answer:    f.answerDomain,
		Refuse:    fake.WordOAuth,
	})
}

// exchangedLife is the life of an exchanged token.
const exchangedLife = time.Hour

// Federated is the owner that a service account is in the identity domain.
func Federated(account oidc.ServiceAccount) string { return "domainapp:" + account.Subject() }

func (f *Fake) answerDomain(x *cloud.Exchange, r *cloud.Request) error {
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/oauth2/v1/token" {
		return fake.RefuseForm(http.StatusNotFound, "not_found", "no method %s %s", r.Method, r.URL.RequestURI())
	}
	fields, err := fake.Form(r, "grant_type", "requested_token_type", "subject_token", "subject_token_type", "public_key", "res_type", "rpst_exp")
	if err != nil {
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "%v", err)
	}
	// Who asks proves itself, and is not who the token is for.
	keyID, err := f.verify(r, true, f.findKey)
	if err != nil {
		return err
	}
	caller, _ := f.known.Find(keyID)
	resource := fields["requested_token_type"] == "urn:oci:token-type:oci-rpst"
	switch {
	case fields["grant_type"] != "urn:ietf:params:oauth:grant-type:token-exchange":
		return fake.RefuseForm(http.StatusBadRequest, "unsupported_grant_type", "grant_type")
	case !resource && fields["requested_token_type"] != "urn:oci:token-type:oci-upst":
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "requested_token_type")
	case fields["subject_token_type"] != "jwt":
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "subject_token_type")
	case resource != (fields["res_type"] != ""):
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "res_type")
	}
	public, err := parsePublic(fields["public_key"], 2048)
	if err != nil {
		return err
	}
	claims, err := f.Issuer.Verify(fields["subject_token"])
	if err == nil {
		err = claims.Check(ClusterAudience, f.Now())
	}
	x.Summarize("%s, asked for by %s", claims.Subject, caller)
	switch {
	case err != nil:
		return fake.Refuse(http.StatusBadRequest, "invalid_grant", "subject token: %v", err)
	case !caller.Member:
		return fake.Refuse(http.StatusForbidden, "unauthorized_client", "the principal may not GET_RPST in the tenancy")
	case resource && fields["res_type"] != ResourceType:
		return fake.Refuse(http.StatusBadRequest, "invalid_request", "no trust impersonates %s", fields["res_type"])
	}
	owner := "domainapp:" + claims.Subject
	return answerToken(x, f.grant(f.Current().Domain, exchangedLife, Principal{Owner: owner, public: public}, map[string]any{"ptype": "resource"}))
}
