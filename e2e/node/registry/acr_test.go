package registry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
)

const (
	loginServer = "team.azurecr.io"
	clientID    = "0c1f6f2e-8d0b-4d46-9d0d-5c8a4e3f2b10"
)

// field asks a service and returns one field of its answer.
func field(t *testing.T, service http.Handler, request *http.Request, name string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	service.ServeHTTP(answer, request)
	var body map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v: status %d: %s", err, answer.Code, answer.Body)
	}
	text, _ := body[name].(string)
	if text == "" {
		t.Fatalf("status %d: no %s: %s", answer.Code, name, answer.Body)
	}
	return text
}

func TestAzureTakesTheTokensThatItExchanged(t *testing.T) {
	const repository = loginServer + "/team/app"
	inTime := time.Now()
	for _, test := range []struct {
		name, user string
		reader     string // who may read the image
		clock      time.Time
		forged     bool
		token      int // status of the token endpoint
		image      int // status of the image
	}{
		{name: "the reader", user: azure.TokenUser, reader: clientID, clock: inTime, token: 200, image: 200},
		{name: "everybody", user: azure.TokenUser, reader: AnonymousPull, clock: inTime, token: 200, image: 200},
		{name: "who shows nothing, and may", reader: AnonymousPull, clock: inTime, token: 200, image: 200},
		{name: "who shows nothing, and may not", reader: clientID, clock: inTime, token: 200, image: 403},
		{name: "somebody else", user: azure.TokenUser, reader: "another", clock: inTime, token: 200, image: 403},
		{name: "another user name", user: "admin", reader: AnonymousPull, clock: inTime, token: 401},
		{name: "a token that nobody issued", user: azure.TokenUser, reader: AnonymousPull, clock: inTime, forged: true, token: 401},
		{name: "a token of the past", user: azure.TokenUser, reader: AnonymousPull, clock: inTime.Add(4 * time.Hour), token: 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls, faults := &cloud.Calls{}, &cloud.Faults{}
			fake := azure.New(calls, faults)
			fake.Configure(func(s *azure.Settings) { s.IMDS.System = &azure.ManagedIdentity{ClientID: clientID} })
			fake.AddRegistry(azure.Registry{
				Hosts: []string{loginServer},
				Roles: []azure.Role{{Name: azure.AcrPull, Principal: azure.Principal{Tenant: azure.HomeTenant, ClientID: clientID}}},
			})
			var policies Policies
			policies.Allow(repository, test.reader)
			found := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			front := ACR(loginServer, fake, &policies, func() time.Time { return test.clock }).
				service(&cloud.Cloud{Calls: calls, Faults: faults}, found)

			machine := httptest.NewRequest(http.MethodGet, "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource="+url.QueryEscape(azure.ACRAudience), nil)
			machine.Header.Set("Metadata", "true")
			form := url.Values{"grant_type": {"access_token"}, "service": {loginServer}, "access_token": {field(t, fake.IMDS(), machine, "access_token")}}
			exchange := httptest.NewRequest(http.MethodPost, "https://"+loginServer+"/oauth2/exchange", strings.NewReader(form.Encode()))
			exchange.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			password := field(t, front, exchange, "refresh_token")
			if test.forged {
				password = "forged"
			}

			login := httptest.NewRequest(http.MethodGet, "https://"+loginServer+"/oauth2/token?scope=repository:team/app:pull&service="+loginServer, nil)
			if test.user != "" {
				login.SetBasicAuth(test.user, password)
			}
			answer := httptest.NewRecorder()
			front.ServeHTTP(answer, login)
			if answer.Code != test.token {
				t.Fatalf("the token endpoint answered %d, want %d: %s", answer.Code, test.token, answer.Body)
			}
			if test.token != http.StatusOK {
				return
			}
			var body struct{ Token string }
			if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			pull := httptest.NewRequest(http.MethodGet, "https://"+loginServer+"/v2/team/app/manifests/v1", nil)
			pull.Header.Set("Authorization", "Bearer "+body.Token)
			answer = httptest.NewRecorder()
			front.ServeHTTP(answer, pull)
			if answer.Code != test.image {
				t.Errorf("the image was answered with %d, want %d: %s", answer.Code, test.image, answer.Body)
			}
		})
	}
}
