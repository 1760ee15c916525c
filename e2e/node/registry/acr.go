package registry

import (
	"net/http"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
)

// AnonymousPull is everybody, to a registry of Azure's that lets them pull.
const AnonymousPull = "anonymous"

// ACR is a registry of Azure's at one host: beside it is the exchange of Entra's
// tokens, and its token endpoint takes the refresh token that this makes as the
// password of the user of zeros. Who shows none may read what is for everybody.
// Clock is the registry's time.
func ACR(host string, fake *azure.Fake, policies *Policies, clock func() time.Time) Front {
	login := &Bearer{
		Realm:   "/oauth2/token",
		Service: host,
		Identify: func(user, password string, shown bool) (string, error) {
			if !shown {
				return AnonymousPull, nil
			}
			token, issued := fake.Credential(password)
			if user != azure.TokenUser || !issued || token.Host != host || token.Repository != "" || !clock().Before(token.Expires) {
				return "", cloud.Refusal{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "authentication required, visit https://aka.ms/acr/authorization for more information."}
			}
			return token.Principal.ClientID, nil
		},
		Admit: func(who, repository string) error {
			if policies.allows(repository, AnonymousPull) || policies.allows(repository, who) {
				return nil
			}
			return denied(http.StatusForbidden, "%s may not pull from %s", who, repository)
		},
	}
	return Front{
		Hosts:  []string{host},
		Login:  login.Login,
		Beside: map[string]http.Handler{"/oauth2/exchange": fake.ACR()},
	}
}
