package acr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
)

// maxArcKey bounds what the agent has one read to show that one may.
const maxArcKey = 4096

// arcIdentity is the token of an identity of a machine that Azure Arc manages.
type arcIdentity struct {
	selector  selector
	audience  string
	endpoints *endpoints
}

func (s *arcIdentity) identity() string { return s.selector.String() }

// String says who is asked for what, and as whom.
func (s *arcIdentity) String() string {
	return "Azure Arc's agent for " + s.audience + " as " + s.identity()
}

// Key says which identity of the machine it is.
func (s *arcIdentity) Key() credential.Key {
	return credential.Key{"acr", "arc", s.selector.parameter, strings.ToLower(s.selector.value), s.audience}
}

// Fetch asks the agent, which names a file that only those may read who may
// have tokens, and asks again with what is in it.
func (s *arcIdentity) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	client := s.endpoints.clients.Metadata()
	ask := cloudhttp.Call{
		Stage:  stageArc,
		URL:    arcURL + "?" + s.selector.query("2020-06-01", s.audience),
		Header: http.Header{"Metadata": {"true"}},
	}
	r := ask.Do(ctx, client)
	switch {
	case r.OK():
		// An agent that gives a token away unasked is none.
		return credential.Token{}, s.service().useless(r, errors.New("the agent did not ask for a key"))
	case r.Err != nil || !r.Unauthorized():
		return credential.Token{}, s.service().failure(r)
	}
	key, err := arcKey(r.Header.Get("WWW-Authenticate"), s.endpoints.arcDirectory)
	if err != nil {
		return credential.Token{}, s.errKey(r, err)
	}
	ask.Header.Set("Authorization", "Basic "+key.Reveal())
	r = ask.Do(ctx, client)
	token, err := s.service().entraToken(r)
	if err == nil && !s.selector.echoed(r) {
		return credential.Token{}, s.errEcho(r)
	}
	return token, err
}

// elsewhere says that the identity has one tenant.
func (s *arcIdentity) elsewhere(loginServer) string {
	return "a managed identity has no rights in other tenants: give the registry an application of its own tenant under registries"
}

// echoed reports whether an answer is for the identity that was asked for: old
// agents pass over what names a user-assigned one.
func (s selector) echoed(r cloudhttp.Reply) bool {
	var whose struct {
		ClientID   string `json:"client_id"`
		ObjectID   string `json:"object_id"`
		ResourceID string `json:"msi_res_id"`
	}
	if s.parameter == "" {
		return true
	}
	if r.Decode(&whose) != nil {
		return false
	}
	said := map[string]string{"client_id": whose.ClientID, "object_id": whose.ObjectID, "msi_res_id": whose.ResourceID}
	return strings.EqualFold(said[s.parameter], s.value)
}

// arcKey reads the file that a challenge names, if it is one that an agent
// would name: whoever listens in its place must not have any file read to it.
func arcKey(challenge, directory string) (credential.Secret, error) {
	name, err := parseArcChallenge(challenge, directory)
	if err != nil {
		return credential.Secret{}, err
	}
	path := filepath.Join(directory, name)
	// The directory may be left by no link either.
	root, err := os.OpenRoot(directory)
	if err != nil {
		return credential.Secret{}, fmt.Errorf("%s: %w", directory, reason(err))
	}
	defer func() { _ = root.Close() }()
	// An agent writes files, and no links.
	if info, err := root.Lstat(name); err != nil {
		return credential.Secret{}, fmt.Errorf("%s: %w", path, reason(err))
	} else if !info.Mode().IsRegular() {
		return credential.Secret{}, fmt.Errorf("%s: not a regular file", path)
	}
	kept, err := file.OpenIn(root, name)
	if err != nil {
		return credential.Secret{}, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = kept.Close() }()
	key, err := io.ReadAll(io.LimitReader(kept, maxArcKey+1))
	switch {
	case err != nil:
		return credential.Secret{}, fmt.Errorf("%s: %w", path, reason(err))
	case len(key) == 0 || len(key) > maxArcKey || strings.ContainsAny(string(key), "\r\n\x00"):
		return credential.Secret{}, fmt.Errorf("%s: not a key", path)
	}
	return credential.NewSecret(string(key)), nil
}

// reason returns what is wrong without the name, which the caller says.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// parseArcChallenge returns the name of the file in the directory that a
// challenge names.
func parseArcChallenge(challenge, directory string) (string, error) {
	scheme, parameter, _ := strings.Cut(challenge, " ")
	name, path, _ := strings.Cut(parameter, "=")
	if !strings.EqualFold(scheme, "Basic") || !strings.EqualFold(strings.TrimSpace(name), "realm") {
		return "", errors.New("the agent's challenge is not Basic realm=FILE")
	}
	path = strings.Trim(path, `"`)
	file, found := strings.CutPrefix(path, directory+string(filepath.Separator))
	base, key := strings.CutSuffix(file, ".key")
	if !found || !key || base == "" || len(file) > 255 || !isFileName(base) {
		return "", fmt.Errorf("the agent's challenge names no .key file in %s", directory)
	}
	return file, nil
}

// isFileName reports whether s is a part of a file name and no way out of a
// directory.
func isFileName(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\:*?"<>|`, r)
	})
}
