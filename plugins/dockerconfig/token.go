package dockerconfig

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
)

// candidate is what a docker configuration has for an image: a login, or a
// credential helper that may know one.
type candidate struct {
	file string
	// key is that of the entry. Empty means a helper that is for whatever has
	// none.
	key   string
	entry dockerconfig.Entry

	// helper is what follows "docker-credential-", and server what it is asked
	// about. Store means that it is the one of "credsStore".
	helper, server string
	store          bool
}

// String says what is looked at, without what it says.
func (c candidate) String() string {
	if c.helper == "" {
		text := "entry " + quote(withoutUser(c.key)) + " of " + c.file
		if _, _, err := c.fileLogin(); err != nil {
			text += ", which is no login"
		}
		return text
	}
	what := ", the credsStore of " + c.file
	if c.key != "" {
		what = " of entry " + quote(withoutUser(c.key)) + " of " + c.file
	}
	return prefix + cloudhttp.Bounded(c.helper, 40) + what + ", for " + c.server
}

// search is the way through what the configurations have for an image.
type search struct {
	candidates []candidate
	helpers    *helpers
	problems   []error
}

// String says what is looked at, in this order.
func (s *search) String() string {
	looks := make([]string, 0, len(s.candidates))
	for _, c := range s.candidates {
		looks = append(looks, c.String())
	}
	return strings.Join(looks, ", then ")
}

// Key lists what is looked at.
func (s *search) Key() credential.Key {
	key := credential.Key{"dockerconfig", s.String()}
	for _, c := range s.candidates {
		if c.helper == "" {
			continue
		}
		if answer, err := s.helpers.of(c); err == nil {
			key = append(key, answer.Key()...)
		}
	}
	return key
}

const (
	// fileLife stands for the life of a login in a file, which has none. It is
	// read again in every run.
	fileLife = 24 * time.Hour

	// helperLife is for how long what a helper said is used: helpers do not tell
	// when a login ends. It keeps a node that starts a hundred pods from running
	// one a hundred times.
	helperLife = 30 * time.Second

	// unknownLife is the same for a registry that a helper does not know.
	unknownLife = 10 * time.Second
)

// Fetch returns the first login. What cannot be used is passed over, as the
// kubelet does, except for the helper of a registry: it is there because the
// login is nowhere else. Where nothing has a login the pull is anonymous, unless
// something could not be used.
func (s *search) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	var passed []error
	for _, c := range s.candidates {
		found, problem := c.login(ctx, s.helpers, getter)
		switch {
		case problem == nil && !found.IsAnonymous():
			for _, p := range slices.Concat(passed, s.problems) {
				cloudhttp.Log(ctx).Warn("passed over on the way to a login", "problem", p)
			}
			return found, nil
		case problem != nil && c.helper != "" && c.key != "":
			return credential.Credential{}, problem
		case problem != nil:
			passed = append(passed, problem)
		}
	}
	if all := slices.Concat(passed, s.problems); len(all) > 0 {
		return credential.Credential{}, all[0]
	}
	return credential.Anonymous(time.Now().Add(unknownLife)), nil
}

// login returns what the candidate has, which may be nothing.
func (c candidate) login(ctx context.Context, h *helpers, getter credential.Getter) (credential.Credential, error) {
	if c.helper != "" {
		return h.ask(ctx, c, getter)
	}
	username, password, err := c.fileLogin()
	if err != nil {
		return credential.Credential{}, err
	}
	return credential.Credential{Username: username, Password: password, Expires: time.Now().Add(fileLife)}, nil
}

// fileLogin returns the login of an entry.
func (c candidate) fileLogin() (username string, password credential.Secret, err error) {
	username, password, err = c.entry.Login()
	switch {
	case err != nil:
		return "", credential.Secret{}, c.useless(c.entry.Err)
	case !isText(username + password.Reveal()):
		return "", credential.Secret{}, c.useless(errNoText)
	}
	return username, password, nil
}

var errNoText = errors.New("a login with control characters, or not in UTF-8")

// isText reports whether a login can be sent. In place of what is not UTF-8,
// JSON is read as utf8.RuneError.
func isText(login string) bool {
	return !strings.ContainsFunc(login, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}
