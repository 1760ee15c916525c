package registry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/gcp"
)

const nodeAccount = "node@example-project.iam.gserviceaccount.com"

// instanceToken is what the instance gets from its metadata server.
func instanceToken(t *testing.T, google *gcp.Fake) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token", nil)
	request.Header.Set("Metadata-Flavor", "Google")
	answer := httptest.NewRecorder()
	google.Metadata().ServeHTTP(answer, request)
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body.AccessToken == "" {
		t.Fatalf("%v: status %d: %s", err, answer.Code, answer.Body)
	}
	return body.AccessToken
}

func TestGoogleTakesTheTokensThatItIssued(t *testing.T) {
	const path = "/v2/project/team/app/manifests/v1"
	inTime := time.Now()
	tests := []struct {
		name, user string
		reader     string // who may read the image
		scopes     []string
		clock      time.Time
		forged     bool
		token      int // status of the token endpoint
		image      int // status of the image
	}{
		{name: "the reader", user: "_token", reader: "serviceAccount:" + nodeAccount, clock: inTime, token: 200, image: 200},
		{name: "everybody", user: "_token", reader: AllUsers, clock: inTime, token: 200, image: 200},
		{name: "who shows nothing, and may", reader: AllUsers, clock: inTime, token: 200, image: 200},
		{name: "who shows nothing, and may not", reader: "serviceAccount:" + nodeAccount, clock: inTime, token: 200, image: 403},
		{name: "somebody else", user: "_token", reader: "serviceAccount:other@example-project.iam.gserviceaccount.com", clock: inTime, token: 200, image: 403},
		{name: "another user name", user: "token", reader: AllUsers, clock: inTime, token: 401},
		{name: "a token that nobody issued", user: "_token", reader: AllUsers, clock: inTime, forged: true, token: 401},
		{name: "a token of the past", user: "_token", reader: AllUsers, clock: inTime.Add(2 * time.Hour), token: 401},
		{name: "a token without a scope", user: "_token", reader: AllUsers, scopes: []string{gcp.LoggingWrite}, clock: inTime, token: 403},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls, faults := &cloud.Calls{}, &cloud.Faults{}
			google := gcp.New(calls, faults)
			google.Configure(func(s *gcp.Settings) {
				s.Metadata.ServiceAccount, s.Metadata.Scopes = nodeAccount, test.scopes
			})
			var policies Policies
			policies.Allow(registryHost+"/project/team/app", test.reader)
			found := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			front := Front{Login: GCR(registryHost, google, &policies, func() time.Time { return test.clock })}.
				service(&cloud.Cloud{Calls: calls, Faults: faults}, found)
			password := instanceToken(t, google)
			if test.forged {
				password = "ya29.forged"
			}

			answer := ask(front, http.MethodGet, "/v2/token?scope=repository:project/team/app:pull&service="+registryHost, func(r *http.Request) {
				if test.user != "" {
					r.SetBasicAuth(test.user, password)
				}
			})
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
			answer = ask(front, http.MethodGet, path, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+body.Token) })
			if answer.Code != test.image {
				t.Errorf("the image was answered with %d, want %d: %s", answer.Code, test.image, answer.Body)
			}
		})
	}
}
