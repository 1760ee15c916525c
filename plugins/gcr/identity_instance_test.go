package gcr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// fakeMetadata answers paths with values; an answer that begins with a number
// is a status, of a page or, with a text behind it, of that.
type fakeMetadata struct {
	values   map[string]string
	bare     bool   // without Metadata-Flavor
	unmarked string // the path whose answer is without it
	name     string

	mu    sync.Mutex
	asked []string
}

func (f *fakeMetadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/")
	f.mu.Lock()
	f.asked = append(f.asked, path)
	f.mu.Unlock()
	if f.name != "" {
		w.Header().Set("Server", f.name)
	}
	if !f.bare && path != f.unmarked {
		w.Header().Set(flavorHeader, flavor)
	}
	value, found := f.values[path]
	switch {
	case r.Header.Get(flavorHeader) != flavor:
		w.WriteHeader(http.StatusForbidden)
	case !found:
		w.WriteHeader(http.StatusNotFound)
	default:
		status := http.StatusOK
		if _, err := fmt.Sscanf(value, "%d", &status); err == nil {
			w.Header().Set("Content-Type", "text/html")
			if strings.Contains(value, " ") {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			}
			w.WriteHeader(status)
		}
		_, _ = fmt.Fprint(w, value)
	}
}

// serve starts the fake and lets the environment name it.
func (f *fakeMetadata) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	t.Setenv("GCE_METADATA_HOST", address)
	return address
}

// server returns the metadata server that the environment names.
func server(t *testing.T, u universe) metadataServer {
	t.Helper()
	s, err := newEndpoints(u, "", nil).metadataServer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// uncached is a Getter that always fetches.
type uncached struct{}

func (uncached) Token(ctx context.Context, s credential.TokenSource) (credential.Token, error) {
	return s.Fetch(ctx, uncached{})
}

func (uncached) Renew(_ context.Context, _ credential.TokenSource, refused credential.Token) (credential.Token, error) {
	return refused, nil
}

const (
	goodToken  = `{"access_token":"ya29.token","expires_in":3599,"token_type":"Bearer"}`
	goodScopes = "https://www.googleapis.com/auth/devstorage.read_only\nhttps://www.googleapis.com/auth/logging.write\n"
)

func TestTheInstancesToken(t *testing.T) {
	for name, tc := range map[string]struct {
		values   map[string]string
		bare     bool
		unmarked string
		server   string
		universe universe
		life     time.Duration
		wantErr  string
	}{
		"a token":                           {values: map[string]string{tokenPath: goodToken, scopesPath: goodScopes}, life: 3599 * time.Second},
		"which is good for everything":      {values: map[string]string{tokenPath: goodToken, scopesPath: "https://www.googleapis.com/auth/cloud-platform"}, life: 3599 * time.Second},
		"with little life left":             {values: map[string]string{tokenPath: `{"access_token":"ya29.token","expires_in":3}`}, life: 3 * time.Second},
		"with more life than a token has":   {values: map[string]string{tokenPath: `{"access_token":"ya29.token","expires_in":9223372036854775807}`}, life: 24 * time.Hour},
		"whose scopes are a JSON array":     {values: map[string]string{tokenPath: goodToken, scopesPath: `["https://www.googleapis.com/auth/logging.write","https://www.googleapis.com/auth/devstorage.read_only"]`}, life: 3599 * time.Second},
		"whose scopes are not to be known":  {values: map[string]string{tokenPath: goodToken, scopesPath: "403"}, life: 3599 * time.Second},
		"of a node that names its universe": {values: map[string]string{tokenPath: goodToken, universePath: "googleapis.com\n"}, life: 3599 * time.Second},
		"of one that names it by nothing":   {values: map[string]string{tokenPath: goodToken, universePath: ""}, life: 3599 * time.Second},
		"whose universe is not marked":      {values: map[string]string{tokenPath: goodToken, universePath: "googleapis.com"}, unmarked: universePath, life: 3599 * time.Second},
		"of another universe":               {values: map[string]string{tokenPath: goodToken, universePath: berlin.domain}, universe: berlin, life: 3599 * time.Second},
		"no account":                        {wantErr: "no service account is attached to the instance: attach one that may read registries; off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env [metadata at ADDRESS: status 404; as the node's service account]"},
		"the endpoint is disabled":          {values: map[string]string{tokenPath: "403"}, wantErr: "the metadata server is disabled for this instance, or refuses this process: see the instance's metadata settings, metadata concealment, and what else keeps processes from it [metadata at ADDRESS: status 403; as"},
		"no scope, in a JSON array":         {values: map[string]string{tokenPath: goodToken, scopesPath: `["https://www.googleapis.com/auth/logging.write"]`}, wantErr: "the node's service account has no scope for registries"},
		"no scope":                          {values: map[string]string{tokenPath: goodToken, scopesPath: "https://www.googleapis.com/auth/logging.write"}, wantErr: "the node's service account has no scope for registries: give the instance the scope https://www.googleapis.com/auth/devstorage.read_only or cloud-platform [metadata at ADDRESS; as the node's service account]"},
		"which is not marked":               {values: map[string]string{tokenPath: goodToken, scopesPath: goodScopes}, bare: true, life: 3599 * time.Second},
		"another cloud's server":            {values: map[string]string{tokenPath: `{"compute":{"vmId":"0"}}`}, bare: true, wantErr: "what answers at ADDRESS is not Google's metadata server, or does not say so: off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env [metadata at ADDRESS; as"},
		"which knows no such path":          {bare: true, server: "EC2ws", wantErr: `what answers at ADDRESS is not Google's metadata server (it calls itself "EC2ws"): off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env [metadata at ADDRESS: status 404; as`},
		"an empty object":                   {values: map[string]string{tokenPath: `{}`}, wantErr: "the answer holds no token"},
		"an empty token":                    {values: map[string]string{tokenPath: `{"access_token":"","expires_in":3599}`}, wantErr: "the answer holds no token"},
		"a token that is none":              {values: map[string]string{tokenPath: `{"access_token":"a\nb","expires_in":3599}`}, wantErr: "characters that no token has"},
		"no expiry":                         {values: map[string]string{tokenPath: `{"access_token":"ya29.token"}`}, wantErr: "the answer holds a token without an expiry [metadata at ADDRESS; as"},
		"an expiry that is past":            {values: map[string]string{tokenPath: `{"access_token":"ya29.token","expires_in":-1}`}, wantErr: "the answer holds a token without an expiry"},
		"garbage":                           {values: map[string]string{tokenPath: `ya29.token`}, wantErr: "the answer cannot be read [metadata"},
		"a node of another universe":        {values: map[string]string{tokenPath: goodToken, universePath: s3ns.domain}, universe: berlin, wantErr: `the node is of another universe: "s3nsapis.fr", not apis-berlin-build0.goog`},
		"a node of none but Google's":       {values: map[string]string{tokenPath: goodToken}, universe: berlin, wantErr: `the node is of another universe: "googleapis.com", not apis-berlin-build0.goog`},
		"a universe of another kind":        {values: map[string]string{tokenPath: goodToken, universePath: "203 s3nsapis.fr"}, wantErr: "the answer cannot be read [metadata"},
		"a universe of nobody":              {values: map[string]string{tokenPath: goodToken, universePath: "<html>"}, unmarked: universePath, wantErr: "what answers at ADDRESS is not Google's metadata server, or does not say so"},
		"a node of none that it names":      {values: map[string]string{tokenPath: goodToken, universePath: ""}, universe: berlin, wantErr: `the node is of another universe: "googleapis.com", not apis-berlin-build0.goog`},
		"no account, and no mark":           {bare: true, wantErr: "what answers at ADDRESS is not Google's metadata server, or does not say so: off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env; if it is, no service account is attached to the instance [metadata at ADDRESS: status 404; as"},
		"an account that GKE may not use":   {values: map[string]string{tokenPath: "403 Unable to generate access token; IAM returned 403 Forbidden: The caller does not have permission"}, bare: true, wantErr: "IAM gives the metadata server no token of the service account: check the account's email, and that roles/iam.workloadIdentityUser on it is granted to who asks [metadata at ADDRESS: status 403: 403 Unable to generate access token; IAM returned 403 Forbidden: The caller does not have permission; as"},
		"no account, in other words":        {values: map[string]string{tokenPath: "400 Service account not enabled on this instance"}, wantErr: "no service account is attached to the instance: attach one"},
		"an account that is disabled":       {values: map[string]string{tokenPath: "403 Service account is disabled"}, wantErr: "the node's service account is disabled: enable it, or attach another ["},
		"an API that GKE may not use":       {values: map[string]string{tokenPath: "403 Unable to generate access token; IAM returned 403 Forbidden: IAM Service Account Credentials API has not been used in project 1 before or it is disabled."}, bare: true, wantErr: "the IAM Service Account Credentials API is not enabled: enable iamcredentials.googleapis.com in the service account's project ["},
		"an answer of another kind":         {values: map[string]string{tokenPath: `203 {"access_token":"ya29.token","expires_in":3599}`}, wantErr: "the answer cannot be read [metadata at ADDRESS; as"},
		"an account that GKE cannot find":   {values: map[string]string{tokenPath: "404 Unable to generate access token; IAM returned 404 Not Found: Not found; Gaia id not found for email a@b"}, wantErr: "IAM gives the metadata server no token of the service account: check the account's email"},
		"a node that does not say where":    {values: map[string]string{tokenPath: goodToken, universePath: "403"}, wantErr: "the metadata server is disabled"},
		"a node that is not Google's":       {values: map[string]string{tokenPath: goodToken, universePath: berlin.domain}, wantErr: `another universe: "apis-berlin-build0.goog", not googleapis.com`},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMetadata{values: tc.values, bare: tc.bare, unmarked: tc.unmarked, name: tc.server}
			address := fake.serve(t)
			if tc.universe == (universe{}) {
				tc.universe = googleCloud
			}
			begin := time.Now()
			token, err := (&instanceToken{server(t, tc.universe)}).Fetch(t.Context(), nil)
			if tc.wantErr != "" {
				want := strings.ReplaceAll(tc.wantErr, "ADDRESS", address)
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ya29") {
					t.Errorf("got %v, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if early := token.Expires.Sub(begin) - tc.life; early < 0 || early > time.Minute || token.Value.Reveal() != "ya29.token" || token.Caller != instanceCaller {
				t.Errorf("got %+v, which lives %s too long", token, early)
			}
		})
	}
}

// The HTTP client repeats what may pass, and the library above it must not do
// so again.
func TestTheMetadataServerIsNotAskedForEver(t *testing.T) {
	fake := &fakeMetadata{values: map[string]string{tokenPath: "503"}}
	address := fake.serve(t)
	_, err := (&instanceToken{server(t, googleCloud)}).Fetch(t.Context(), nil)
	want := "the metadata server has a fault: the next attempt is made after a pause [metadata at " + address + ": status 503; as the node's service account]"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	asked := slices.DeleteFunc(fake.asked, func(path string) bool { return path != tokenPath })
	if len(asked) != 4 {
		t.Errorf("asked %d times, want 4: %q", len(asked), fake.asked)
	}
}

func TestWithinItsTime(t *testing.T) {
	(&fakeMetadata{values: map[string]string{tokenPath: "503"}}).serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := (&instanceToken{server(t, googleCloud)}).Fetch(ctx, nil); err == nil || time.Since(begin) > time.Second {
		t.Errorf("got %v after %s", err, time.Since(begin))
	}
}

// slow answers each path after its time, as soon as it is asked.
type slow map[string]struct {
	value string
	after time.Duration
}

func (s slow) RoundTrip(request *http.Request) (*http.Response, error) {
	answer := s[strings.TrimPrefix(request.URL.Path, metadataPrefix)]
	select {
	case <-time.After(answer.after):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	response := httptest.NewRecorder()
	response.Header().Set(flavorHeader, flavor)
	_, _ = response.WriteString(answer.value)
	return response.Result(), nil
}

// Three questions take as long as the slowest of them, and the last is not
// waited for.
func TestQuestionsAreAskedAtTheSameTime(t *testing.T) {
	for name, tc := range map[string]struct {
		token, universe, scopes, want time.Duration
		domain                        string
	}{
		"all at once":             {token: 6 * time.Second, universe: 6 * time.Second, scopes: 6 * time.Second, want: 6 * time.Second},
		"a slow token":            {token: 12 * time.Second, want: 12 * time.Second},
		"a slow universe":         {universe: 5 * time.Second, want: 5 * time.Second},
		"scopes that never come":  {scopes: time.Hour, want: 2 * time.Second},
		"a universe that is none": {scopes: time.Hour, domain: "evil.com", want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tc.domain == "" {
					tc.domain = googleCloud.domain
				}
				m := metadataServer{&endpoints{googleCloud, cloudhttp.Through(slow{
					tokenPath: {goodToken, tc.token}, universePath: {tc.domain, tc.universe}, scopesPath: {goodScopes, tc.scopes},
				})}, "metadata"}
				begin := time.Now()
				_, err := (&instanceToken{m}).Fetch(t.Context(), nil)
				if took := time.Since(begin); took != tc.want || (err != nil) != errors.Is(err, errUniverse) {
					t.Errorf("got %v after %s, want it after %s", err, took, tc.want)
				}
			})
		})
	}
}

// Whatever names it in a URL, metadata is not for a proxy.
func TestMetadataIsNotForAProxy(t *testing.T) {
	clients := newEndpoints(googleCloud, "", nil).clients
	for host, want := range map[string]bool{
		"169.254.169.254": true, "metadata.google.internal": true, "metadata.google.internal.": true, "fd20:ce::254": true, "fd00:ec2::254": true,
		"sts.googleapis.com": false, "metadata.google.internal.evil.com": false,
	} {
		if clients.IsMetadata(host) != want {
			t.Errorf("%s: want %t", host, want)
		}
	}
}

// The library is the one that knows where metadata is.
func TestWhereMetadataIs(t *testing.T) {
	for value, want := range map[string]string{
		"":                              "169.254.169.254",
		"127.0.0.1:8080":                "127.0.0.1:8080",
		"metadata":                      "metadata",
		"metadata.google.internal.":     "metadata.google.internal.",
		"metadata.google.internal.:80":  "metadata.google.internal.:80",
		"[fd20:ce::254]:80":             "[fd20:ce::254]:80",
		"http://127.0.0.1":              `error: without a scheme: it leads to "http://http//127.0.0.1/computeMetadata/v1/"`,
		"evil.com/x":                    `error: without a scheme: it leads to "http://evil.com/x/computeMetadata/v1/"`,
		"evil.com?":                     "error: without a scheme",
		"evil.com#x":                    "error: without a scheme",
		"user@evil.com":                 "error: without a scheme",
		"evil.com\nmetadata":            "error: not a host or host:port",
		"[::1":                          "error: not a host or host:port",
		"metadata.google.internal:port": "error: not a host or host:port",
	} {
		t.Setenv("GCE_METADATA_HOST", value)
		got, err := newEndpoints(googleCloud, "", nil).metadataServer()
		if problem, wanted := strings.CutPrefix(want, "error: "); wanted {
			if err == nil || !strings.HasPrefix(err.Error(), "GCE_METADATA_HOST: ") || !strings.Contains(err.Error(), problem) {
				t.Errorf("%q: got %q, %v", value, got.host, err)
			}
		} else if err != nil || got.host != want {
			t.Errorf("%q: got %q, %v", value, got.host, err)
		}
	}
}
