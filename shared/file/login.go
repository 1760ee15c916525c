package file

import (
	"context"
	"time"

	"regcred/shared/credential"
)

// Login is the Source of a user name whose password is in a file: both are handed
// out as they are, for one registry.
type Login struct {
	Plugin                       string // whose settings have it, in keys
	Host, Username, PasswordFile string

	// Setting is what names the file, in messages.
	Setting string
}

// loginLife is for how long a password is used before its file is read again.
// It has no expiry, and whoever changes it waits so long.
const loginLife = 5 * time.Minute

// String says whose password it is.
func (l *Login) String() string {
	return l.PasswordFile + " for the password of user " + l.Username + " at " + l.Host
}

// Key names the file, not what it says.
func (l *Login) Key() credential.Key {
	return credential.Key{l.Plugin, "login", l.Host, l.Username, l.PasswordFile}
}

// Fetch reads the password.
func (l *Login) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	password, err := ReadSecret(l.PasswordFile)
	if err != nil {
		failure := Failure("the password of user "+l.Username, l.Setting, Unread, err)
		failure.Evidence = "credentials"
		return credential.Credential{}, failure
	}
	return credential.Credential{Username: l.Username, Password: password, Expires: time.Now().Add(loginLife), Caller: "user " + l.Username}, nil
}

// What is wrong with a file, for Failure.
const (
	Unread = "cannot be read"
	Unfit  = "cannot be used"
)

// Failure is the failure of a file on the node, with the setting that names it.
// The file's own name is in the error, at its end: what follows a name such as
// client-secret and a colon is taken for a secret, and hidden. The caller
// completes the evidence.
func Failure(what, setting, problem string, err error) *credential.Failure {
	return &credential.Failure{Problem: what + ", which " + setting + " names, " + problem + ": " + err.Error(), Err: err, Permanent: true}
}
