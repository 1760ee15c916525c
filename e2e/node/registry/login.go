package registry

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	"regcred/e2e/cloud"
)

// ErrAnswered says that a Login has written the answer.
var ErrAnswered = errors.New("registry: answered")

// answered makes an answer that is complete no error.
func answered(err error) error {
	if errors.Is(err, ErrAnswered) {
		return nil
	}
	return err
}

// Open lets everybody in.
func Open(*cloud.Exchange, *cloud.Request, string) error { return nil }

// Basic lets in who shows one user's password, as registries without a cloud
// do.
func Basic(user, password string) Login {
	return func(x *cloud.Exchange, r *cloud.Request, _ string) error {
		gotUser, gotPassword, ok := r.BasicAuth()
		if ok && gotUser == user && subtle.ConstantTimeCompare([]byte(gotPassword), []byte(password)) == 1 {
			return nil
		}
		return challenge(x, fmt.Sprintf(`Basic realm="https://%s/"`, r.Host))
	}
}

// challenge refuses a request and says what to show with the next one.
func challenge(x *cloud.Exchange, with string) error {
	x.Header().Set("WWW-Authenticate", with)
	return cloud.Refusal{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "Not Authorized"}
}

// denied is the refusal of a credential that is understood.
func denied(status int, format string, arguments ...any) error {
	return cloud.Refusal{Status: status, Code: "DENIED", Message: fmt.Sprintf(format, arguments...)}
}
