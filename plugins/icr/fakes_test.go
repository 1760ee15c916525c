package icr

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/serviceaccount"
)

const (
	head     = "apiVersion: regcred/v1\nkind: ICRCredentialProviderConfig\n"
	one      = "Profile-11111111-2222-3333-4444-555555555555"
	two      = "Profile-66666666-7777-8888-9999-aaaaaaaaaaaa"
	crn      = "crn:v1:bluemix:public:iam-identity::a/0123456789abcdef0123456789abcdef::profile:"
	metadata = "169.254.169.254"
)

// asked is what a fake was sent.
type asked struct {
	*http.Request
	body string
	form url.Values
}

// cloudFake answers requests, and keeps what it was sent.
type cloudFake struct {
	answer func(asked) (answer, error)

	mu    sync.Mutex
	asked []asked
}

type answer struct {
	status int
	body   string
	header http.Header
}

// says is a fake that gives answers in a row.
func says(t *testing.T, answers ...answer) *cloudFake {
	t.Helper()
	return &cloudFake{answer: func(r asked) (answer, error) {
		if len(answers) == 0 {
			t.Errorf("asked once too often: %s", r.URL)
			return answer{}, errors.New("asked once too often")
		}
		next := answers[0]
		answers = answers[1:]
		return next, nil
	}}
}

func (f *cloudFake) RoundTrip(r *http.Request) (*http.Response, error) {
	text := []byte{}
	if r.Body != nil {
		text, _ = io.ReadAll(r.Body)
	}
	form, _ := url.ParseQuery(string(text))
	got := asked{r, string(text), form}
	f.mu.Lock()
	f.asked = append(f.asked, got)
	f.mu.Unlock()
	a, err := f.answer(got)
	if err != nil {
		return nil, err
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// endpoints lead to the fake and nowhere else.
func (f *cloudFake) endpoints(iam ...string) *endpoints {
	if iam == nil {
		iam = []string{publicHost}
	}
	return &endpoints{clients: cloudhttp.Through(f), iam: iam}
}

// urls are what was asked for, in order.
func (f *cloudFake) urls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, r := range f.asked {
		all = append(all, r.Method+" "+r.URL.String())
	}
	return all
}

// getter is a Getter that keeps nothing.
type getter struct{}

func (g getter) Token(ctx context.Context, s credential.TokenSource) (credential.Token, error) {
	return s.Fetch(ctx, g)
}

func (getter) Renew(context.Context, credential.TokenSource, credential.Token) (credential.Token, error) {
	return credential.Token{}, errors.New("nothing to renew")
}

func testPod(t testing.TB) *serviceaccount.Token { return plugintest.Pod(t, "sa", "uid-1", "pod-1") }

// write writes a file that is trusted.
func write(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func tryLoad(args ...string) (*plugin.Cloud, error) {
	c, _, err := Plugin().Load(args, plugintest.Getenv())
	return c, err
}

func load(t testing.TB, args ...string) *plugin.Cloud {
	t.Helper()
	c, err := tryLoad(args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantLife fails the test unless a token has so long to live.
func wantLife(t *testing.T, token credential.Token, life time.Duration) {
	t.Helper()
	if left := time.Until(token.Expires); (left - life).Abs() > 5*time.Second {
		t.Errorf("lives for %s, want %s", left, life)
	}
}
