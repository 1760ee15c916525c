package acr

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"regcred/shared/credential"
	"regcred/shared/settings"
)

// readSecret reads a secret of one line.
func readSecret(file string) (credential.Secret, error) {
	text, err := readFile(file)
	if err != nil {
		return credential.Secret{}, err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case secret == "":
		return credential.Secret{}, fmt.Errorf("the file is empty: %s", file)
	case strings.ContainsAny(secret, "\r\n\x00"):
		return credential.Secret{}, fmt.Errorf("the file has more than one line: %s", file)
	}
	return credential.NewSecret(secret), nil
}

// readFile reads a file that holds a secret. Its errors have the name at the
// end: what follows a name such as client-secret and a colon is taken for the
// secret, and hidden.
func readFile(file string) ([]byte, error) {
	text, err := settings.ReadFile(file)
	if err == nil {
		return text, nil
	}
	if _, system := errors.AsType[syscall.Errno](err); !system {
		err = fmt.Errorf("the file %w", err)
	}
	return nil, fmt.Errorf("%w: %s", err, file)
}
