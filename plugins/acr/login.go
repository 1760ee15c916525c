package acr

import (
	"context"
	"fmt"
	"time"

	"regcred/shared/credential"
	"regcred/shared/file"
)

// loginLife is for how long a password is used before its file is read again.
// It has no expiry, and whoever changes it waits so long.
const loginLife = 5 * time.Minute

// plainLogin is a user name and password for one registry, handed out as they
// are.
type plainLogin struct {
	server loginServer
	login  Login
}

// String says whose password it is.
func (s *plainLogin) String() string {
	return s.login.PasswordFile + " for the password of user " + s.login.Username + " at " + s.server.host
}

// Key names the file, not what it says.
func (s *plainLogin) Key() credential.Key {
	return credential.Key{"acr", "login", s.server.host, s.login.Username, s.login.PasswordFile}
}

// Fetch reads the password.
func (s *plainLogin) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	password, err := file.ReadSecret(s.login.PasswordFile)
	if err != nil {
		failure := onNode("the password of user "+s.login.Username, fmt.Sprintf("registries[%q].login.passwordFile", s.server.host), unread, err)
		failure.Evidence = stageFile
		return credential.Credential{}, failure
	}
	return credential.Credential{Username: s.login.Username, Password: password, Expires: time.Now().Add(loginLife), Caller: "user " + s.login.Username}, nil
}
