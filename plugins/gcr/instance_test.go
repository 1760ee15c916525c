package gcr

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
)

// fakeMetadata answers paths with values; an answer that begins with a number
// is a status.
type fakeMetadata struct {
	values map[string]string
	bare   bool // without Metadata-Flavor
	asked  []string
}

func (f *fakeMetadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/")
	f.asked = append(f.asked, path)
	if !f.bare {
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

// uncached is a Getter that always fetches.
type uncached struct{}

func (uncached) Get(ctx context.Context, s credential.Source) (credential.Credential, error) {
	return s.Fetch(ctx, uncached{})
}

func (uncached) Renew(_ context.Context, _ credential.Source, refused credential.Credential) (credential.Credential, error) {
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
		universe universe
		life     time.Duration
		wantErr  string
	}{
		"a token":                           {values: map[string]string{tokenPath: goodToken, scopesPath: goodScopes}, life: 3599 * time.Second},
		"which is good for everything":      {values: map[string]string{tokenPath: goodToken, scopesPath: "https://www.googleapis.com/auth/cloud-platform"}, life: 3599 * time.Second},
		"with little life left":             {values: map[string]string{tokenPath: `{"access_token":"ya29.token","expires_in":3}`}, life: 3 * time.Second},
		"with more life than a token has":   {values: map[string]string{tokenPath: `{"access_token":"ya29.token","expires_in":9223372036854775807}`}, life: longestLife},
		"whose scopes are not to be known":  {values: map[string]string{tokenPath: goodToken, scopesPath: "403"}, life: 3599 * time.Second},
		"of a node that names its universe": {values: map[string]string{tokenPath: goodToken, universePath: "googleapis.com\n"}, life: 3599 * time.Second},
		"of another universe":               {values: map[string]string{tokenPath: goodToken, universePath: berlin.domain}, universe: berlin, life: 3599 * time.Second},
		"no account":                        {wantErr: "metadata at ADDRESS: status 404, asking as the node's service account: attach a service account with a scope"},
		"the endpoint is disabled":          {values: map[string]string{tokenPath: "403"}, wantErr: "status 403, asking as the node's service account: the metadata endpoint is disabled"},
		"no scope":                          {values: map[string]string{tokenPath: goodToken, scopesPath: "https://www.googleapis.com/auth/logging.write"}, wantErr: "the service account has no scope for registries, asking as the node's service account: give the instance the scope"},
		"another cloud's server":            {values: map[string]string{tokenPath: goodToken}, bare: true, wantErr: "does not identify itself as Google's metadata server; off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS"},
		"which knows no such path":          {bare: true, wantErr: "does not identify itself as Google's metadata server"},
		"an empty object":                   {values: map[string]string{tokenPath: `{}`}, wantErr: "the answer holds no token"},
		"an empty token":                    {values: map[string]string{tokenPath: `{"access_token":"","expires_in":3599}`}, wantErr: "the answer holds no token"},
		"a token that is none":              {values: map[string]string{tokenPath: `{"access_token":"a\nb","expires_in":3599}`}, wantErr: "characters that no token has"},
		"no expiry":                         {values: map[string]string{tokenPath: `{"access_token":"ya29.token"}`}, wantErr: "no life left, or does not say"},
		"an expiry that is past":            {values: map[string]string{tokenPath: `{"access_token":"ya29.token","expires_in":-1}`}, wantErr: "no life left"},
		"garbage":                           {values: map[string]string{tokenPath: `ya29.token`}, wantErr: "the answer can not be read"},
		"a node of another universe":        {values: map[string]string{tokenPath: goodToken, universePath: s3ns.domain}, universe: berlin, wantErr: `the node is of another universe: "s3nsapis.fr", not apis-berlin-build0.goog`},
		"a node of none but Google's":       {values: map[string]string{tokenPath: goodToken}, universe: berlin, wantErr: `the node is of another universe: "googleapis.com", not apis-berlin-build0.goog`},
		"a node that does not say where":    {values: map[string]string{tokenPath: goodToken, universePath: "403"}, wantErr: "metadata at 127.0.0.1:"},
		"a node that is not Google's":       {values: map[string]string{tokenPath: goodToken, universePath: berlin.domain}, wantErr: `another universe: "apis-berlin-build0.goog", not googleapis.com`},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeMetadata{values: tc.values, bare: tc.bare}
			address := fake.serve(t)
			if tc.universe == (universe{}) {
				tc.universe = googleCloud
			}
			begin := time.Now()
			c, err := (&instance{universe: tc.universe, server: address}).Fetch(t.Context(), nil)
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
			if early := c.Expires.Sub(begin) - tc.life; early < 0 || early > time.Minute || c.Username != "_token" || c.Password.Reveal() != "ya29.token" {
				t.Errorf("got %+v, which lives %s too long", c, early)
			}
		})
	}
}

// The HTTP client repeats what may pass, and the library above it must not do
// so again.
func TestTheMetadataServerIsNotAskedForEver(t *testing.T) {
	fake := &fakeMetadata{values: map[string]string{tokenPath: "503"}}
	address := fake.serve(t)
	_, err := (&instance{universe: googleCloud, server: address}).Fetch(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "status 503, asking as the node's service account: the metadata server is throttled or at fault") {
		t.Errorf("got %v", err)
	}
	if len(fake.asked) != 4 {
		t.Errorf("asked %d times, want 4: %q", len(fake.asked), fake.asked)
	}
}

func TestWithinItsTime(t *testing.T) {
	(&fakeMetadata{values: map[string]string{tokenPath: "503"}}).serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := (&instance{universe: googleCloud}).Fetch(ctx, nil); err == nil || time.Since(begin) > time.Second {
		t.Errorf("got %v after %s", err, time.Since(begin))
	}
}
