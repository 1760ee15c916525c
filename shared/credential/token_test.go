package credential_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"regcred/shared/credential"
)

func TestNewToken(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name, value string
		expires     time.Time
		wantErr     string
	}{
		{"an hour", "abc", now.Add(time.Hour), ""},
		{"empty", "", now.Add(time.Hour), "the answer holds no token"},
		{"with a line feed", "a\nb", now.Add(time.Hour), "the answer holds a token with characters that no token has"},
		{"not in ASCII", "é", now.Add(time.Hour), "the answer holds a token with characters that no token has"},
		{"without an expiry", "abc", time.Time{}, "the answer holds a token without an expiry"},
	} {
		t.Run(test.name, func(t *testing.T) {
			token, err := credential.NewToken(test.value, test.expires)
			if test.wantErr != "" {
				if err == nil || err.Error() != test.wantErr {
					t.Errorf("got %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil || token.Value.Reveal() != test.value || !token.Expires.Equal(test.expires) {
				t.Errorf("got %+v, %v", token, err)
			}
		})
	}
	if _, err := credential.NewToken("abc", now.Add(-time.Second)); !errors.Is(err, credential.ErrExpired) {
		t.Errorf("got %v for a token of the past", err)
	}
	// A time in milliseconds, say.
	if token, err := credential.NewToken("abc", now.Add(50000*24*time.Hour)); err != nil || token.Expires.After(now.Add(25*time.Hour)) {
		t.Errorf("believes in a life until %s, %v", token.Expires, err)
	}
}

// fixed is a TokenSource of one token.
type fixed credential.Token

func (fixed) String() string      { return "the service as somebody" }
func (fixed) Key() credential.Key { return credential.Key{"fixed"} }
func (f fixed) Fetch(context.Context, credential.Getter) (credential.Token, error) {
	return credential.Token(f), nil
}

// through is a Getter that asks each time.
type through struct{}

func (g through) Token(ctx context.Context, source credential.TokenSource) (credential.Token, error) {
	return source.Fetch(ctx, g)
}

func (through) Renew(_ context.Context, _ credential.TokenSource, refused credential.Token) (credential.Token, error) {
	return refused, nil
}

func TestLogin(t *testing.T) {
	expires, refresh := time.Now().Add(time.Hour), time.Now().Add(time.Minute)
	source := credential.Login("user", fixed{Value: credential.NewSecret("abc"), Expires: expires, Refresh: refresh, Caller: "somebody"})
	if key := source.Key(); !slices.Equal(key, credential.Key{"login", "user", "fixed"}) || source.String() != "the service as somebody" {
		t.Errorf("source is %s, %v", source, key)
	}
	if username, token, ok := credential.TokenOf(source); !ok || username != "user" || token.String() != source.String() {
		t.Errorf("made of %q, %v, %t", username, token, ok)
	}
	if _, _, ok := credential.TokenOf(named("another")); ok {
		t.Error("another source is taken for a login")
	}
	c, err := source.Fetch(t.Context(), through{})
	if err != nil || c.Username != "user" || c.Password.Reveal() != "abc" || !c.Expires.Equal(expires) || !c.Refresh.Equal(refresh) || c.Caller != "somebody" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestFailureIsOneLine(t *testing.T) {
	cause := errors.New("cause")
	for want, failure := range map[string]credential.Failure{
		"cause":                 {Err: cause},
		"AWS refuses":           {Err: cause, Problem: "AWS refuses"},
		"AWS refuses: grant it": {Problem: "AWS refuses", Advice: "grant it"},
		"AWS refuses: grant it [sts at host, as node]": {Problem: "AWS refuses", Advice: "grant it", Evidence: "sts at host, as node"},
	} {
		if got := failure.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !errors.Is(&credential.Failure{Err: cause, Problem: "p"}, cause) {
		t.Error("the cause is lost")
	}
}
