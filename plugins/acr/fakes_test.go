package acr

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// cloudFake answers requests in a row, and keeps what it was sent.
type cloudFake struct {
	t       *testing.T
	answers []answer
	asked   []*http.Request
	forms   []url.Values
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (s *cloudFake) RoundTrip(r *http.Request) (*http.Response, error) {
	form := url.Values{}
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		form, _ = url.ParseQuery(string(text))
	}
	s.asked, s.forms = append(s.asked, r), append(s.forms, form)
	if len(s.asked) > len(s.answers) {
		s.t.Fatalf("asked once too often: %s", r.URL)
	}
	a := s.answers[len(s.asked)-1]
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// endpoints lead to the fake and nowhere else.
func (s *cloudFake) endpoints() *endpoints { return &endpoints{clients: cloudhttp.Through(s)} }

// tokens is a Getter that nothing is kept by.
type tokens func(credential.TokenSource) (credential.Token, error)

func (f tokens) Token(_ context.Context, s credential.TokenSource) (credential.Token, error) {
	return f(s)
}

func (f tokens) Renew(context.Context, credential.TokenSource, credential.Token) (credential.Token, error) {
	return credential.Token{}, errors.New("nothing to renew")
}

// holding is a Getter that has one token for every source.
func holding(text string) tokens {
	return func(credential.TokenSource) (credential.Token, error) { return held(text), nil }
}

func held(text string) credential.Token {
	return credential.Token{Value: credential.NewSecret(text), Expires: time.Now().Add(time.Hour)}
}
