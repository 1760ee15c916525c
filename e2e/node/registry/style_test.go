package registry

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const (
	path     = "/v2/project/team/app/manifests/v1"
	username = "user"
	good     = "password of the reader"
	other    = "password of another"
)

// styles are a style of each kind, and of each cloud.
var styles = map[string]struct {
	host  string
	style func(host string) Style
	asks  string // its challenge
}{
	"ECR":        {"123456789012.dkr.ecr.us-east-1.amazonaws.com", AWS, `Basic realm="https://123456789012.dkr.ecr.us-east-1.amazonaws.com/",service="ecr.amazonaws.com"`},
	"ECR Public": {"public.ecr.aws", AWS, `Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"`},
	"Google":     {"us-docker.pkg.dev", GCP, `Bearer realm="https://us-docker.pkg.dev/v2/token",service="us-docker.pkg.dev"`},
	"Azure":      {"example.azurecr.io", Azure, `Bearer realm="https://example.azurecr.io/oauth2/token",service="example.azurecr.io"`},
	"Oracle":     {"iad.ocir.io", Oracle, `Bearer realm="https://iad.ocir.io/20180419/docker/token",service="iad.ocir.io"`},
	"IBM":        {"us.icr.io", IBM, `Bearer realm="https://us.icr.io/oauth/token",service="registry"`},
}

// front is a registry at a host whose cloud has issued two passwords. The owner
// of one of them may read a repository.
type front struct {
	http.Handler
	t     *testing.T
	host  string
	asks  string
	style Style
}

// eachStyle runs a test with a front of every style.
func eachStyle(t *testing.T, readers []string, test func(f front)) {
	for name, s := range styles {
		t.Run(name, func(t *testing.T) {
			node := &fake.Node{Whose: func(image, user, password string) (string, error) {
				owner, ok := map[string]string{good: "reader", other: "stranger"}[password]
				if !ok || user != username || !strings.HasPrefix(image, s.host+"/") {
					return "", errors.New("no such login")
				}
				return owner, nil
			}}
			var policies Policies
			for _, reader := range readers {
				policies.Allow(s.host+"/project/team/app", reader)
			}
			found := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "image") })
			api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "api") })
			style := s.style(s.host)
			handler := style.Front(s.host, node, &policies).service(&cloud.Cloud{Calls: &cloud.Calls{}, Faults: &cloud.Faults{}}, found, api)
			test(front{handler, t, s.host, s.asks, style})
		})
	}
}

func (f front) ask(method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, "https://"+f.host+path, nil)
	change(request)
	answer := httptest.NewRecorder()
	f.ServeHTTP(answer, request)
	return answer
}

func nothing(*http.Request) {}

// get gets a path as a container runtime does that has the password, or none. It
// returns the answer by which that ends.
func (f front) get(path, password string) *httptest.ResponseRecorder {
	login := func(r *http.Request) {
		if password != "" {
			r.SetBasicAuth(username, password)
		}
	}
	if f.style.Realm == "" {
		return f.ask(http.MethodGet, path, login)
	}
	answer := f.ask(http.MethodGet, f.style.Realm+"?scope=repository:project/team/app:pull&service="+f.style.Service, login)
	if answer.Code != http.StatusOK {
		return answer
	}
	var body struct{ Token string }
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		f.t.Fatal(err)
	}
	return f.ask(http.MethodGet, path, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+body.Token) })
}

func TestARegistryAsksForALogin(t *testing.T) {
	eachStyle(t, []string{"reader"}, func(f front) {
		answer := f.ask(http.MethodGet, path, nothing)
		if asks := answer.Header().Get("WWW-Authenticate"); answer.Code != http.StatusUnauthorized || asks != f.asks {
			f.t.Errorf("status %d, challenge %s, want 401 and %s", answer.Code, asks, f.asks)
		}
	})
}

func TestARegistryServesWhoMayRead(t *testing.T) {
	for _, test := range []struct {
		name, path, password string
		readers              []string
		served               bool
	}{
		{"the reader", path, good, []string{"reader"}, true},
		{"the reader asks whether it is there", "/v2/", good, []string{"reader"}, true},
		{"another asks whether it is there", "/v2/", other, []string{"reader"}, true},
		{"the reader elsewhere", "/v2/project/other/manifests/v1", good, []string{"reader"}, false},
		{"another", path, other, []string{"reader"}, false},
		{"a made-up password", path, "made up", []string{"reader"}, false},
		{"a made-up password, for what everybody may read", path, "made up", []string{Everybody}, false},
		{"another, for what everybody may read", path, other, []string{Everybody}, true},
		{"nobody", path, "", []string{"reader"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachStyle(t, test.readers, func(f front) {
				answer := f.get(test.path, test.password)
				if served := answer.Code == http.StatusOK; served != test.served {
					f.t.Errorf("status %d: %s", answer.Code, answer.Body)
				}
			})
		})
	}
}

// ECR lets nobody read without a password.
func TestARegistryWithATokenEndpointServesEverybodyWhatIsForEverybody(t *testing.T) {
	eachStyle(t, []string{Everybody}, func(f front) {
		answer := f.get(path, "")
		if served := answer.Code == http.StatusOK; served != (f.style.Realm != "") {
			f.t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
	})
}

func TestARegistryRefusesWhatItDidNotIssue(t *testing.T) {
	eachStyle(t, []string{"reader"}, func(f front) {
		answer := f.ask(http.MethodGet, path, func(r *http.Request) { r.Header.Set("Authorization", "Bearer made-up") })
		if answer.Code != http.StatusUnauthorized {
			f.t.Errorf("a made-up token: status %d", answer.Code)
		}
		if f.style.Realm == "" {
			return
		}
		// The password is for the token endpoint.
		answer = f.ask(http.MethodGet, path, func(r *http.Request) { r.SetBasicAuth(username, good) })
		if answer.Code != http.StatusUnauthorized {
			f.t.Errorf("the password itself: status %d", answer.Code)
		}
		if answer := f.ask(http.MethodPost, f.style.Realm, nothing); answer.Code != http.StatusMethodNotAllowed {
			f.t.Errorf("POST to the token endpoint: status %d", answer.Code)
		}
		if answer := f.ask(http.MethodGet, f.style.Realm+"?service=elsewhere", nothing); answer.Code != http.StatusBadRequest {
			f.t.Errorf("a token for another service: status %d", answer.Code)
		}
	})
}

func TestTheCloudsOwnAPIAnswersBesideTheRegistry(t *testing.T) {
	eachStyle(t, []string{"reader"}, func(f front) {
		// Azure's is told by its path, and Oracle's by who signs.
		answer := f.ask(http.MethodPost, "/oauth2/exchange", func(r *http.Request) { r.Header.Set("Authorization", `Signature version="1"`) })
		if api := answer.Body.String() == "api"; api != (f.style.API != nil) {
			f.t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
	})
}
