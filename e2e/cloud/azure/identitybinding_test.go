package azure

import (
	"net/url"
	"testing"
	"time"
)

func TestABoundPodIsGrantedATokenOfItsIdentity(t *testing.T) {
	g := newRig()
	g.Bind(appID, puller.Subject())
	good := assertionForm(g.workload(t, BindingAudience, time.Hour))
	for _, test := range []struct {
		name, target string
		form         url.Values
		status       int
		form2        bool
	}{
		{"bound", "https://ib.example/", good, 200, false},
		{"another path", "https://ib.example/" + HomeTenant + "/oauth2/v2.0/token", good, 404, true},
		{"a tenant", "https://ib.example/", changed(good, "tenant", HomeTenant), 400, true},
		{"another scope", "https://ib.example/", changed(good, "scope", ARMAudience+"/.default"), 400, true},
		{"a secret", "https://ib.example/", g.secretForm(), 400, true},
		{"not bound", "https://ib.example/", changed(good, "client_id", pull.ClientID), 403, false},
		{"a token for Entra", "https://ib.example/", assertionForm(g.workload(t, "api://AzureADTokenExchange", time.Hour)), 401, false},
		{"expired", "https://ib.example/", assertionForm(g.workload(t, BindingAudience, -time.Second)), 401, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			answer := post(g.IdentityBinding(), test.target, test.form)
			g.wantRefusal(t, answer, test.status, "", test.form2)
			if test.status != 200 {
				return
			}
			if known, ok := g.Token(text(t, answer, "access_token")); !ok || known.Principal != (Principal{HomeTenant, appID}) || known.Audience != ACRAudience {
				t.Errorf("known %+v, %t", known, ok)
			}
		})
	}
}
