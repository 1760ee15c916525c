package acr

import (
	"context"
	"time"

	"regcred/shared/credential"
)

// loginLife is for how long a password is used before its file is read again.
// It has no expiry, and whoever changes it waits so long.
const loginLife = 5 * time.Minute

// plainLogin is a user name and password for one registry, handed out as they
// are.
type plainLogin struct {
	server string
	login  Login
}

// Key names the file, not what it says.
func (s *plainLogin) Key() credential.Key {
	return credential.Key{"acr", "login", s.server, s.login.Username, s.login.PasswordFile}
}

// Fetch reads the password.
func (s *plainLogin) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	password, err := readSecret(s.login.PasswordFile)
	if err != nil {
		return credential.Credential{}, who{name: "user " + s.login.Username}.explain(fileProblem(err))
	}
	return credential.Credential{Username: s.login.Username, Password: password, Expires: time.Now().Add(loginLife)}, nil
}
