package cloudhttp

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/json"
)

// OAuthToken is the answer of an OAuth 2.0 token endpoint (RFC 6749, section
// 5.1), with the field that several clouds add.
type OAuthToken struct {
	AccessToken string  `json:"access_token"`
	ExpiresIn   Seconds `json:"expires_in"`
	// ExpiresOn counts from 1970, by the server's clock.
	ExpiresOn Seconds `json:"expires_on"`
}

// Expires returns the earlier of the two ends, by this machine's clock, or zero
// if the answer states none. What a service remembers of a token's life may be
// of when it was new.
func (t OAuthToken) Expires(r Reply) time.Time {
	var expires time.Time
	if t.ExpiresIn > 0 {
		expires = r.Received.Add(t.ExpiresIn.Duration())
	}
	if t.ExpiresOn > 0 {
		if on := r.OwnTime(time.Unix(int64(t.ExpiresOn), 0)); expires.IsZero() || on.Before(expires) {
			expires = on
		}
	}
	return expires
}

// Seconds is a whole number of seconds, which some services write as a text.
// What is neither is zero. It is never more than a time can be.
type Seconds int64

const mostSeconds = Seconds(math.MaxInt64 / int64(time.Second) / 2)

// UnmarshalJSON reads a number or the text of one.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(string(bytes.Trim(data, `"`)), 64)
	switch {
	case err != nil || math.IsNaN(f) || f < 0:
		*s = 0
	case f > float64(mostSeconds):
		*s = mostSeconds
	default:
		*s = Seconds(f)
	}
	return nil
}

// Duration returns the seconds as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Said is what the body of a failure says of it. Whatever is empty was not said.
type Said struct {
	Code, Text string
	// ID is what the service knows the request by, with what that is called:
	// "request id abc".
	ID string
}

// OAuthError reads the body of a failure as OAuth has it (RFC 6749, section
// 5.2), and reports whether it is one.
func (r Reply) OAuthError() (Said, bool) {
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(r.Body, &body) != nil || body.Error == "" {
		return Said{}, false
	}
	return Said{Code: Bounded(body.Error, 80), Text: Bounded(body.Description, 400)}, true
}

// PlainText reads the body of a failure that is a line for people, and nothing
// of a page.
func (r Reply) PlainText() Said {
	contentType := r.Header.Get("Content-Type")
	if !strings.HasPrefix(contentType, "text/plain") && !strings.HasPrefix(contentType, "application/text") {
		return Said{}
	}
	return Said{Text: Bounded(string(r.Body), 200)}
}

// Bounded returns the first bytes of a text that came from elsewhere, at most so
// many.
func Bounded(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.TrimSpace(strings.ToValidUTF8(text, ""))
}
