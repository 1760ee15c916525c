package registry

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"regcred/e2e/cloud"
)

const (
	registryHost = "us-docker.pkg.dev"
	manifestPath = "/v2/project/app/manifests/v1"
)

// newFront is a registry whose token endpoint knows one password, and that has
// one repository for who shows it.
func newFront() http.Handler {
	login := &Bearer{
		Realm:   "/v2/token",
		Service: registryHost,
		Identify: func(user, password string, shown bool) (string, error) {
			switch {
			case !shown:
				return "anybody", nil
			case user == "oauth2accesstoken" && password == "good":
				return "reader", nil
			default:
				return "", denied(http.StatusForbidden, "no such token")
			}
		},
		Admit: func(who, repository string) error {
			if who == "reader" && repository == registryHost+"/project/app" {
				return nil
			}
			return denied(http.StatusForbidden, "%s may not read %s", who, repository)
		},
	}
	found := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return Front{Login: login.Login}.service(&cloud.Cloud{Calls: &cloud.Calls{}, Faults: &cloud.Faults{}}, found)
}

func ask(front http.Handler, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, "https://"+registryHost+path, nil)
	change(request)
	answer := httptest.NewRecorder()
	front.ServeHTTP(answer, request)
	return answer
}

func nothing(*http.Request) {}

// token fetches one as a client does that has the password, or none.
func token(front http.Handler, password string) (string, error) {
	answer := ask(front, http.MethodGet, "/v2/token?service="+registryHost, func(r *http.Request) {
		if password != "" {
			r.SetBasicAuth("oauth2accesstoken", password)
		}
	})
	if answer.Code != http.StatusOK {
		return "", errors.New(answer.Body.String())
	}
	var body struct{ Token string }
	return body.Token, json.Unmarshal(answer.Body.Bytes(), &body)
}

func TestABearerRegistrySendsEverybodyForAToken(t *testing.T) {
	answer := ask(newFront(), http.MethodGet, manifestPath, nothing)
	want := `Bearer realm="https://us-docker.pkg.dev/v2/token",service="us-docker.pkg.dev"`
	if got := answer.Header().Get("WWW-Authenticate"); answer.Code != http.StatusUnauthorized || got != want {
		t.Errorf("status %d, challenge %s, want 401 and %s", answer.Code, got, want)
	}
}

func TestABearerRegistryServesWhoMayRead(t *testing.T) {
	front := newFront()
	for _, test := range []struct {
		name, password, path string
		status               int
	}{
		{"the reader", "good", manifestPath, http.StatusOK},
		{"the reader pings", "good", "/v2/", http.StatusOK},
		{"the reader elsewhere", "good", "/v2/project/other/manifests/v1", http.StatusForbidden},
		{"anybody", "", manifestPath, http.StatusForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			bearer, err := token(front, test.password)
			if err != nil {
				t.Fatal(err)
			}
			answer := ask(front, http.MethodGet, test.path, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+bearer) })
			if answer.Code != test.status {
				t.Errorf("status %d, want %d: %s", answer.Code, test.status, answer.Body)
			}
		})
	}
}

func TestABearerRegistryRefusesWhatItDidNotIssue(t *testing.T) {
	front := newFront()
	if bearer, err := token(front, "bad"); err == nil {
		t.Errorf("a wrong password got the token %s", bearer)
	}
	if answer := ask(front, http.MethodPost, "/v2/token", nothing); answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST to the token endpoint: status %d, want 405", answer.Code)
	}
	if answer := ask(front, http.MethodGet, "/v2/token?service=gcr.io", nothing); answer.Code != http.StatusBadRequest {
		t.Errorf("a token for another service: status %d, want 400", answer.Code)
	}
	for _, shown := range []string{"Bearer made-up", "Basic b2F1dGgyYWNjZXNzdG9rZW46Z29vZA=="} {
		answer := ask(front, http.MethodGet, manifestPath, func(r *http.Request) { r.Header.Set("Authorization", shown) })
		if answer.Code == http.StatusOK {
			t.Errorf("%s was let in", shown)
		}
	}
}
