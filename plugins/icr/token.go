package icr

import (
	"context"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
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

// login is an API key that is handed out as it is, as a registry's password.
type login struct{ host, username, passwordFile, setting string }

// loginLife is for how long a password is used before its file is read again.
// It has no expiry, and whoever changes it waits so long.
const loginLife = 5 * time.Minute

// String says whose password it is.
func (s *login) String() string {
	return s.passwordFile + " for the password of user " + s.username + " at " + s.host
}

// Key names the file, not what it says.
func (s *login) Key() credential.Key {
	return credential.Key{"icr", "login", s.host, s.username, s.passwordFile}
}

// Fetch reads the password.
func (s *login) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	password, err := file.ReadSecret(s.passwordFile)
	if err != nil {
		failure := onNode("the password of user "+s.username, s.setting, err)
		failure.Evidence = stageFile
		return credential.Credential{}, failure
	}
	return credential.Credential{Username: s.username, Password: password, Expires: time.Now().Add(loginLife), Caller: "user " + s.username}, nil
}
