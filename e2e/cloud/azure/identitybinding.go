package azure

import (
	"errors"
	"net/http"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// BindingAudience is whom a pod's token is for that identity bindings exchange.
const BindingAudience = "api://AKSIdentityBinding"

// IdentityBinding is the endpoint in a cluster of AKS that makes pods
// identities of HomeTenant. Its one operation is GrantToken.
func (f *Fake) IdentityBinding() http.Handler {
	return fake.Identified("X-Ms-Request-Id", f.Front(&cloud.Service{
		Name:      "identitybinding",
		Operation: func(*cloud.Request) string { return "GrantToken" },
		Answer:    f.answerIdentityBinding,
		Refuse:    wordEntra,
	}))
}

func (f *Fake) answerIdentityBinding(x *cloud.Exchange, r *cloud.Request) error {
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/" {
		return fake.RefuseForm(http.StatusNotFound, invalidRequest, "no operation %s %s", r.Method, r.URL.RequestURI())
	}
	asked, err := parseCredentials(r)
	switch {
	case err != nil:
		return err
	case asked.proof != byFederation:
		return fake.RefuseForm(http.StatusBadRequest, invalidRequest, "pods are exchanged here by their tokens, not by %s", asked.proof)
	case asked.audience != ACRAudience:
		return fake.RefuseForm(http.StatusBadRequest, "invalid_scope", "the scope %s is not bound", asked.audience)
	}
	claims, err := f.Issuer.Verify(asked.assertion)
	x.Summarize("%s as %s for %s", asked.clientID, claims.Subject, asked.audience)
	if err != nil {
		return fake.Refuse(http.StatusUnauthorized, invalidClient, "AADSTS50013: Assertion failed signature validation.")
	}
	switch err := claims.Check(BindingAudience, f.Now()); {
	case errors.Is(err, oidc.ErrAudience):
		return fake.Refuse(http.StatusUnauthorized, invalidClient, "the token is for %v, not for %s", []string(claims.Audience), BindingAudience)
	case err != nil:
		return fake.Refuse(http.StatusUnauthorized, invalidClient, "AADSTS700024: Client assertion is not within its valid time range.")
	case !f.directory.bound(asked.clientID, claims.Subject):
		return fake.Refuse(http.StatusForbidden, "access_denied", "%s is not bound to %s", claims.Subject, asked.clientID)
	}
	issued := f.issue(f.Current().IdentityBinding, Token{
		Principal: Principal{HomeTenant, asked.clientID}, Service: "identitybinding", Audience: asked.audience, Subject: "app-" + asked.clientID,
	})
	return f.answerToken(x, issued)
}
