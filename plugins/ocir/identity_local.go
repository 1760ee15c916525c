package ocir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/jwt"
	"regcred/shared/settings"
)

// profile is the principal of a profile in a configuration file of Oracle's
// command line: a user with an API key, or a session's security token.
type profile struct{ file, name, home string }

func (s *profile) String() string { return "profile " + s.name + " in " + s.file }

func (s *profile) Key() credential.Key {
	return credential.Key{"ocir", "profile", s.file, s.name, s.home}
}

// localLife is for how long a key from a file counts as a token. It is not kept.
const localLife = time.Hour

// Fetch reads the files.
func (s *profile) Fetch(context.Context, credential.Getter) (credential.Token, error) {
	token, err := s.read()
	if err == nil {
		return token, nil
	}
	failure := &credential.Failure{Problem: s.String() + ": " + err.Error(), Permanent: true}
	if errors.Is(err, errSessionOver) {
		failure.Advice = "oci session refresh --profile " + s.name + " makes another"
	}
	return credential.Token{}, failure
}

func (s *profile) read() (credential.Token, error) {
	text, err := file.Read(s.file)
	if err != nil {
		return credential.Token{}, err
	}
	values, found := parseProfile(string(text), s.name)
	if !found {
		return credential.Token{}, errors.New("no such profile in the file")
	}
	path := inHome(values["key_file"], s.home)
	private, err := file.Read(path)
	if err != nil {
		return credential.Token{}, fmt.Errorf("key_file: %w: %s", err, path)
	}
	passphrase := cmp.Or(values["pass_phrase"], values["passphrase"])
	credential.NewSecret(passphrase) // which no message may repeat
	secret := credential.NewSecret(string(private))
	if path := values["security_token_file"]; path != "" && values["user"] == "" {
		securityToken, err := file.ReadSecret(inHome(path, s.home))
		if err != nil {
			return credential.Token{}, fmt.Errorf("security_token_file: %w", err)
		}
		return localToken(securityToken.Reveal(), secret, passphrase)
	}
	// The SDK checks what an API key has to have, and puts its id together.
	raw := common.NewRawConfigurationProvider(values["tenancy"], values["user"], values["region"], values["fingerprint"], secret.Reveal(), &passphrase)
	id, err := raw.KeyID()
	if err != nil {
		return credential.Token{}, err
	}
	if secret, err = plainKey(secret, passphrase); err != nil {
		return credential.Token{}, fmt.Errorf("key_file: %w: %s", err, path)
	}
	token, err := credential.NewToken(id, time.Now().Add(localLife))
	token.PrivateKey, token.Caller = secret, id
	return token, err
}

// inHome returns what Oracle's files and variables name: ~ is the home of whoever
// runs the plugin.
func inHome(name, home string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return name
}

// parseProfile returns the values of a profile, and DEFAULT's for those that it
// does not have. A value goes to the end of its line, whatever is in it.
func parseProfile(text, name string) (values map[string]string, found bool) {
	profiles := map[string]map[string]string{}
	in := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "["); ok {
			title, _, _ := strings.Cut(rest, "]")
			if profiles[title] == nil {
				profiles[title] = map[string]string{}
			}
			in = profiles[title]
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			in[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	own, found := profiles[name]
	values = map[string]string{}
	maps.Copy(values, profiles["DEFAULT"])
	if own["user"] != "" || own["security_token_file"] != "" {
		// Who it is of is one or the other.
		delete(values, "user")
		delete(values, "security_token_file")
	}
	maps.Copy(values, own)
	return values, found
}

// plainKey returns a private key without its passphrase.
func plainKey(text credential.Secret, passphrase string) (credential.Secret, error) {
	private, err := parseKey(text, passphrase)
	if err != nil {
		return credential.Secret{}, err
	}
	return encodeKey(private), nil
}

// localToken makes the token of a security token that is on the node.
func localToken(securityToken string, private credential.Secret, passphrase string) (credential.Token, error) {
	private, err := plainKey(private, passphrase)
	if err != nil {
		return credential.Token{}, err
	}
	token, err := newToken(securityToken, private, cloudhttp.Reply{})
	if errors.Is(err, credential.ErrExpired) {
		expired, _ := jwt.Expiry(securityToken)
		err = fmt.Errorf("%w at %s; here it is %s", errSessionOver, expired.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	}
	return token, err
}

// errSessionOver is the error of a security token on the node that nobody has
// replaced in time.
var errSessionOver = errors.New("the security token expired")

// resource is the resource principal of version 2.2, which variables describe:
// each holds a value, or the absolute path of a file with it.
type resource struct {
	getenv func(string) string
}

// Variables of a resource principal.
const (
	resourceVersion    = "OCI_RESOURCE_PRINCIPAL_VERSION"
	resourceToken      = "OCI_RESOURCE_PRINCIPAL_RPST" //nolint:gosec // The name of a variable.
	resourceKey        = "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"
	resourcePassphrase = "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE" //nolint:gosec // The name of a variable.
)

func (s *resource) String() string { return "the node's resource principal" }

func (s *resource) Key() credential.Key {
	return append(credential.Key{"ocir", "resource principal"}, settings.Environment(s.getenv, resourceToken, resourceKey, resourcePassphrase)...)
}

// Fetch reads the variables and their files.
func (s *resource) Fetch(context.Context, credential.Getter) (credential.Token, error) {
	var values [3]credential.Secret
	for i, name := range []string{resourceToken, resourceKey, resourcePassphrase} {
		var err error
		if values[i], err = s.value(name); err != nil {
			return credential.Token{}, &credential.Failure{Problem: name + ": " + err.Error(), Permanent: true}
		}
	}
	token, err := localToken(values[0].Reveal(), values[1], values[2].Reveal())
	if err != nil {
		return credential.Token{}, &credential.Failure{Problem: s.String() + ": " + err.Error(), Err: err}
	}
	return token, nil
}

// value returns what a variable holds or its file does.
func (s *resource) value(name string) (credential.Secret, error) {
	value := s.getenv(name)
	if value == "" && name != resourcePassphrase {
		return credential.Secret{}, errors.New("not set, which the resource principal needs")
	}
	if filepath.IsAbs(value) {
		text, err := file.Read(value)
		if err != nil {
			return credential.Secret{}, fmt.Errorf("%w: %s", err, value)
		}
		value = strings.TrimSpace(string(text))
	}
	return credential.NewSecret(value), nil
}
