// Package dockerconfig reads docker configurations, the files in which clients
// of registries keep logins, and finds what one has for an image.
//
// There are two forms. docker wrote .dockercfg until 2015, an object with an
// entry for each registry. config.json has that object under "auths", beside
// settings; podman's auth.json and the secrets of type
// kubernetes.io/dockerconfigjson are of this form too:
//
//	{"auths": {"registry.example.com": {"auth": "BASE64(USER:PASSWORD)"}}}
//
// An entry's key is what a client was told to log in to: a host, with a port or
// without, or a URL of it with the version of the registry's API
// (https://index.docker.io/v1/ is docker's name for Docker Hub), or a host with
// the beginning of a path. The kubelet also reads globs in the parts of a host.
//
// An entry has "auth", or "username" and "password", which count where there is
// no "auth". It may instead have tokens: "identitytoken", which a client
// exchanges at the registry, as after a login with single sign-on, or
// "registrytoken", which is sent as it is. The kubelet passes over both. An
// entry can be empty where a program keeps the login, which "credHelpers" names
// by registry and "credsStore" for all; the kubelet runs none.
//
// The package does no I/O. No error repeats what a configuration says, except
// for keys.
package dockerconfig

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regcred/shared/credential"
)

// Config is a docker configuration.
type Config struct {
	// Entries are in the order in which the kubelet tries them: by what they
	// are for, backwards, so that what is longer and more exact comes first.
	Entries []Entry

	// CredHelpers are the programs that have the logins of registries, by
	// registry, and CredsStore is the one that has all others. A name is what
	// follows "docker-credential-".
	CredHelpers map[string]string
	CredsStore  string
}

// Entry is what a configuration has for a registry or a part of one.
type Entry struct {
	// Key is as the configuration has it.
	Key string

	// Pattern is what the kubelet makes of the key: a host, which may have
	// globs and a port, and the beginning of a path.
	Pattern string

	// Username and Password are of "auth", or else of fields of their own.
	Username string
	Password credential.Secret

	// IdentityToken and RegistryToken are for clients that know what to do
	// with them, which the kubelet does not.
	IdentityToken, RegistryToken credential.Secret

	// Err is what is wrong with "auth", or nil. The kubelet reads no entry of a
	// configuration in which one is wrong.
	Err error
}

// Login returns the user name and password, or an error that says why there
// are none to log in with. What echo writes after a password before base64 reads
// it is no part of it, nor are the zeros of old releases of docker.
func (e Entry) Login() (username string, password credential.Secret, err error) {
	secret := strings.TrimRight(e.Password.Reveal(), "\r\n\x00")
	switch {
	case e.Err != nil:
		err = e.Err
	case e.Username != "" && secret != "":
		return e.Username, credential.NewSecret(secret), nil
	case !e.IdentityToken.Empty() || !e.RegistryToken.Empty():
		err = errors.New("a token instead of a user name and password")
	default:
		err = errors.New("no user name and password")
	}
	return "", credential.Secret{}, fmt.Errorf("entry %.80q: %w", e.Key, err)
}

// file is config.json.
type file struct {
	Auths       map[string]fileEntry `json:"auths"`
	CredHelpers map[string]string    `json:"credHelpers"`
	CredsStore  string               `json:"credsStore"`

	// HTTPHeaders are for docker alone, but the kubelet reads no configuration
	// in which they make no sense.
	HTTPHeaders map[string]string `json:"HttpHeaders"`
}

type fileEntry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// Parse reads either form: config.json if there is anything of one, and else
// .dockercfg.
func Parse(text []byte) (*Config, error) {
	var fields map[string]json.RawMessage
	if err := unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for name := range fields {
		switch strings.ToLower(name) {
		case "auths", "credhelpers", "credsstore":
			return ParseConfigJSON(text)
		}
	}
	return ParseDockercfg(text)
}

// ParseConfigJSON reads config.json. As for the kubelet, a .dockercfg is one
// without entries.
func ParseConfigJSON(text []byte) (*Config, error) {
	var f file
	if err := unmarshal(text, &f); err != nil {
		return nil, err
	}
	return &Config{Entries: entries(f.Auths, fileEntry.entry), CredHelpers: f.CredHelpers, CredsStore: f.CredsStore}, nil
}

// ParseDockercfg reads .dockercfg. As for the kubelet, a config.json is one
// with an entry "auths" that has nothing in it, or no configuration at all.
func ParseDockercfg(text []byte) (*Config, error) {
	var auths map[string]fileEntry
	if err := unmarshal(text, &auths); err != nil {
		return nil, err
	}
	return &Config{Entries: entries(auths, fileEntry.entry)}, nil
}

// unmarshal reads names of fields in any case, as docker and the kubelet do.
func unmarshal(text []byte, into any) error {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(string(text), mark) {
			return errors.New("not a docker configuration: a byte order mark before the JSON, which has to be plain UTF-8")
		}
	}
	err := json.Unmarshal(text, into)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not a docker configuration: invalid JSON at byte %d", syntax.Offset)
	}
	if err != nil || strings.TrimSpace(string(text)) == "null" {
		return errors.New("not a docker configuration")
	}
	return nil
}

// entry returns what an entry holds, without what it is for.
func (f fileEntry) entry() Entry {
	e := Entry{
		Username: f.Username, Password: credential.NewSecret(f.Password),
		IdentityToken: credential.NewSecret(f.IdentityToken), RegistryToken: credential.NewSecret(f.RegistryToken),
	}
	if f.Auth != "" {
		var password string
		e.Username, password, e.Err = decodeAuth(f.Auth)
		e.Password = credential.NewSecret(password)
	}
	return e
}

// entries orders what a configuration holds. Keys that the kubelet does not
// understand are left out, as it does.
func entries[V any](held map[string]V, entry func(V) Entry) []Entry {
	all := make([]Entry, 0, len(held))
	for key, value := range held {
		pattern, ok := Pattern(key)
		if !ok {
			continue
		}
		e := entry(value)
		e.Key, e.Pattern = key, pattern
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if order := strings.Compare(b.Pattern, a.Pattern); order != 0 {
			return order
		}
		return strings.Compare(a.Key, b.Key) // the kubelet leaves this to chance
	})
	return all
}

// decodeAuth reads the base64 of a user name and a password with a colon
// between them. It is written with padding and without. White space does no
// harm: base64(1) breaks lines after 76 characters and Python's encodebytes
// ends with one, and people paste what these print.
func decodeAuth(auth string) (username, password string, err error) {
	auth = strings.Join(strings.Fields(auth), "")
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(auth, "="))
	if err != nil {
		return "", "", errors.New("auth not in base64")
	}
	username, password, found := strings.Cut(string(plain), ":")
	if !found {
		return "", "", errors.New("auth without a colon between user name and password in it")
	}
	return username, password, nil
}
