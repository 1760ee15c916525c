package jwt

import (
	"encoding/base64"
	"testing"
	"time"
)

func token(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestExpiry(t *testing.T) {
	for _, test := range []struct {
		name, token string
		want        time.Time
		found       bool
	}{
		{"a number of seconds", token(`{"exp":1767225600}`), time.Unix(1767225600, 0), true},
		{"with a fraction", token(`{"exp":1767225600.75}`), time.Unix(1767225600, 0), true},
		{"with padding", "e30." + base64.URLEncoding.EncodeToString([]byte(`{"exp":1767225600}`)) + ".c2ln", time.Unix(1767225600, 0), true},
		{"none", token(`{}`), time.Time{}, false},
		{"another name", token(`{"EXP":1767225600}`), time.Time{}, false},
		{"a text", token(`{"exp":"1767225600"}`), time.Time{}, false},
		{"negative", token(`{"exp":-1}`), time.Time{}, false},
		{"without a date", token(`{"exp":1e300}`), time.Time{}, false},
		{"not JSON", token(`exp`), time.Time{}, false},
		{"not base64", "e30.%.c2ln", time.Time{}, false},
		{"not a JWT", "opaque", time.Time{}, false},
		{"empty", "", time.Time{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, found := Expiry(test.token)
			if !got.Equal(test.want) || found != test.found {
				t.Errorf("got %v, %v; want %v, %v", got, found, test.want, test.found)
			}
		})
	}
}

func FuzzExpiry(f *testing.F) {
	f.Add(token(`{"exp":1767225600}`))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if end, found := Expiry(token); found != !end.IsZero() {
			t.Errorf("got %v, %v", end, found)
		}
	})
}
