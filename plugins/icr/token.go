package icr

import (
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/jwt"
)

// What goes as the user name, and says of which kind the password is.
const (
	// tokenUser is for an IAM token, which every registry takes from whoever it
	// is of. Registries may take one for some time after its end, which nothing
	// here counts on.
	tokenUser = "iambearer"

	keyUser      = "iamapikey"
	entitledUser = "cp"
)

// readToken reads the token that IAM or a metadata service answered with. The
// former writes its end as a number, the latter as a date; an account may have
// set it to less than the usual hour.
func readToken(r cloudhttp.Reply) (credential.Token, error) {
	var answer struct {
		Token      string            `json:"access_token"`
		ExpiresIn  cloudhttp.Seconds `json:"expires_in"`
		Expiration cloudhttp.Seconds `json:"expiration"`
		ExpiresAt  string            `json:"expires_at"`
	}
	if err := r.Decode(&answer); err != nil {
		return credential.Token{}, err
	}
	stated := cloudhttp.OAuthToken{ExpiresIn: answer.ExpiresIn, ExpiresOn: answer.Expiration}
	if at, err := time.Parse(time.RFC3339, answer.ExpiresAt); err == nil {
		stated.ExpiresOn = cloudhttp.Seconds(at.Unix())
	}
	expires := stated.Expires(r)
	if end, ok := jwt.Expiry(answer.Token); ok && expires.IsZero() {
		expires = r.OwnTime(end)
	}
	return credential.NewToken(answer.Token, expires)
}
