package acr

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func jwt(claims string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestExpiryOf(t *testing.T) {
	for token, want := range map[string]int64{
		jwt(`{"exp":1800000000}`):                 1800000000,
		jwt(`{"exp":"1800000000"}`):               1800000000,
		jwt(`{"exp":1800000000.5}`):               1800000000,
		jwt(`{"exp":1.8e9}`):                      1800000000,
		jwt(`{"a":"???>>>~~~","exp":1800000000}`): 1800000000, // of the URL's alphabet
		"a." + base64.URLEncoding.EncodeToString([]byte(`{"exp":1800000000} `)) + ".c": 1800000000, // padded
		jwt(`{"exp":9223372036854775807}`):                                             int64(largestNumber),
		jwt(`{"exp":1e300}`):                                                           int64(largestNumber),
		jwt(`{}`):                                                                      0,
		jwt(`{"exp":0}`):                                                               0,
		jwt(`{"exp":-5}`):                                                              0,
		jwt(`{"exp":null}`):                                                            0,
		jwt(`{"exp":"soon"}`):                                                          0,
		jwt(`{"exp":"NaN"}`):                                                           0,
		jwt(`{"exp":[1]}`):                                                             0,
		jwt(`{"EXP":1800000000}`):                                                      0,
		jwt(`[]`):                                                                      0,
		jwt(`{`):                                                                       0,
		"":                                                                             0,
		"opaque":                                                                       0,
		"a.b":                                                                          0,
		"a.!.c":                                                                        0,
		"..":                                                                           0,
	} {
		got, ok := expiryOf(token)
		if ok != (want != 0) || ok && got.Unix() != want {
			t.Errorf("%s: got %d, %t; want %d", token, got.Unix(), ok, want)
		}
	}
}

func TestRegistryToken(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) string {
		text, _ := json.Marshal(map[string]int64{"exp": now.Add(d).Unix()})
		return jwt(string(text))
	}
	for name, tc := range map[string]struct {
		token string
		date  time.Time
		life  time.Duration
	}{
		"its own end":           {at(3 * time.Hour), now, 3 * time.Hour},
		"without a date":        {at(3 * time.Hour), time.Time{}, 3 * time.Hour},
		"by a clock ahead":      {at(3 * time.Hour), now.Add(time.Hour), 2 * time.Hour},
		"by a clock behind":     {at(3 * time.Hour), now.Add(-time.Hour), 4 * time.Hour},
		"more than a token has": {at(1e6 * time.Hour), now, longestLife},
		"one that says nothing": {jwt(`{}`), now, shortLife},
		"one that is no JWT":    {"opaque", now, shortLife},
	} {
		c, err := registryToken(tc.token, tc.date)
		if err != nil || (c.Expires.Sub(now)-tc.life).Abs() > 5*time.Second || c.Username != tokenUser || c.Password.Reveal() != tc.token {
			t.Errorf("%s: got %s, %v", name, c.Expires.Sub(now), err)
		}
		if (c.Refresh.Sub(now) - 30*time.Minute).Abs() > 5*time.Second {
			t.Errorf("%s: is asked for anew after %s", name, c.Refresh.Sub(now))
		}
	}
	for _, token := range []string{"", "a b", "a\nb", "a\x00", "ä"} {
		if _, err := registryToken(token, now); err == nil {
			t.Errorf("%q is taken for a token", token)
		}
	}
}

// What the metadata service says of a token's life may be of when it was new.
func TestTheEarlierEndCounts(t *testing.T) {
	now := time.Now()
	seconds := func(d time.Duration) number { return number(d / time.Second) }
	for name, tc := range map[string]struct {
		in, on number
		date   time.Time
		want   time.Duration
	}{
		"both agree":             {seconds(time.Hour), number(now.Add(time.Hour).Unix()), now, time.Hour},
		"in alone":               {seconds(time.Hour), 0, now, time.Hour},
		"on alone":               {0, number(now.Add(time.Hour).Unix()), now, time.Hour},
		"a life of when new":     {seconds(24 * time.Hour), number(now.Add(time.Hour).Unix()), now, time.Hour},
		"by a clock ahead":       {seconds(time.Hour), number(now.Add(2 * time.Hour).Unix()), now.Add(time.Hour), time.Hour},
		"more than a token has":  {largestNumber, largestNumber, now, longestLife},
		"neither says something": {0, 0, now, 0},
	} {
		c, err := entraAnswer{AccessToken: "t", ExpiresIn: tc.in, ExpiresOn: tc.on}.credential(tc.date)
		if (err == nil) != (tc.want > 0) || err == nil && (c.Expires.Sub(now)-tc.want).Abs() > 5*time.Second {
			t.Errorf("%s: got %s, %v", name, c.Expires.Sub(now), err)
		}
	}
}

func FuzzExpiry(f *testing.F) {
	f.Add(jwt(`{"exp":1800000000}`))
	f.Add(jwt(`{"exp":"1e400"}`))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := registryToken(token, time.Time{})
		if err == nil && (c.Expires.After(time.Now().Add(longestLife)) || c.Password.Empty() || strings.ContainsAny(token, " \r\n")) {
			t.Errorf("%q: got %+v", token, c)
		}
	})
}
