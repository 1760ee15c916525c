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
	"runtime"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

const (
	// arcURL is where a machine that Azure Arc manages gets tokens: from an
	// agent that listens on the machine alone.
	arcURL = "http://127.0.0.1:40342/metadata/identity/oauth2/token"

	// maxArcKey bounds what the agent has one read to show that one may.
	maxArcKey = 4096
)

// arcFolder is where the agent keeps what it has one read.
func arcFolder(getenv func(string) string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(getenv("ProgramData"), "AzureConnectedMachineAgent", "Tokens")
	}
	return "/var/opt/azcmagent/tokens"
}

// arcIdentity is the token of an identity of a machine that Azure Arc manages.
type arcIdentity struct {
	selector selector
	audience string
	// folder is where the agent keeps what it has one read.
	folder string
}

// Key says which identity of the machine it is.
func (s *arcIdentity) Key() credential.Key {
	return credential.Key{"acr", "arc", s.selector.parameter, strings.ToLower(s.selector.value), s.audience}
}

// Fetch asks the agent, which names a file that only those may read who may
// have tokens, and asks again with what is in it.
func (s *arcIdentity) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	return s.fetch(ctx, cloudhttp.Metadata())
}

func (s *arcIdentity) fetch(ctx context.Context, client *http.Client) (credential.Credential, error) {
	ask := call{
		stage:  stageArc,
		url:    arcURL + "?" + s.selector.query("2020-06-01", s.audience),
		header: http.Header{"Metadata": {"true"}},
	}
	r := ask.do(ctx, client)
	if r.err != nil || r.status != http.StatusUnauthorized {
		// An agent that gives a token away unasked is none.
		return credential.Credential{}, s.who().explain(r.dissect(errors.New("the agent did not ask for proof")))
	}
	key, err := arcKey(r.header.Get("WWW-Authenticate"), s.folder)
	if err != nil {
		return credential.Credential{}, s.who().explain(r.dissect(err))
	}
	ask.header.Set("Authorization", "Basic "+key.Reveal())
	r = ask.do(ctx, client)
	c, err := s.who().readEntraToken(r)
	if err != nil {
		return credential.Credential{}, err
	}
	var a entraAnswer
	if err := r.decode(&a); err != nil || !s.selector.echoed(a) {
		return credential.Credential{}, s.who().explain(r.dissect(errEcho))
	}
	return c, nil
}

// errEcho is the error of an agent that answers for somebody else, or does not
// say for whom: old ones pass over what names a user-assigned identity.
var errEcho = errors.New("the agent does not say that the token is of this identity")

// echoed reports whether an answer is for the identity that was asked for.
func (s selector) echoed(a entraAnswer) bool {
	switch s.parameter {
	case "client_id":
		return strings.EqualFold(a.ClientID, s.value)
	case "object_id":
		return strings.EqualFold(a.ObjectID, s.value)
	case "msi_res_id":
		return strings.EqualFold(a.ResourceID, s.value)
	default:
		return true
	}
}

func (s *arcIdentity) who() who { return s.selector.who(s.audience) }

// arcKey reads the file that a challenge names, if it is one that an agent
// would name: whoever listens in its place must not have any file read to it.
func arcKey(challenge, folder string) (credential.Secret, error) {
	name, err := parseArcChallenge(challenge, folder)
	if err != nil {
		return credential.Secret{}, err
	}
	// The folder may be left by no link either.
	root, err := os.OpenRoot(folder)
	if err != nil {
		return credential.Secret{}, fmt.Errorf("%s: %w", folder, reason(err))
	}
	defer func() { _ = root.Close() }()
	// Opening a pipe would wait for its other end.
	if info, err := root.Lstat(name); err != nil {
		return credential.Secret{}, fmt.Errorf("%s: %w", filepath.Join(folder, name), reason(err))
	} else if !info.Mode().IsRegular() {
		return credential.Secret{}, fmt.Errorf("%s: is not a regular file", filepath.Join(folder, name))
	}
	file, err := root.Open(name)
	if err != nil {
		return credential.Secret{}, fmt.Errorf("%s: %w", filepath.Join(folder, name), reason(err))
	}
	defer func() { _ = file.Close() }()
	key, err := io.ReadAll(io.LimitReader(file, maxArcKey+1))
	switch {
	case err != nil:
		return credential.Secret{}, fmt.Errorf("%s: %w", filepath.Join(folder, name), reason(err))
	case len(key) == 0 || len(key) > maxArcKey || strings.ContainsAny(string(key), "\r\n\x00"):
		return credential.Secret{}, fmt.Errorf("%s: is not a key", filepath.Join(folder, name))
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

// parseArcChallenge returns the name of the file in the folder that a challenge
// names.
func parseArcChallenge(challenge, folder string) (string, error) {
	scheme, parameter, _ := strings.Cut(challenge, " ")
	name, path, _ := strings.Cut(parameter, "=")
	if !strings.EqualFold(scheme, "Basic") || !strings.EqualFold(strings.TrimSpace(name), "realm") {
		return "", errors.New("the agent's challenge is not Basic realm=FILE")
	}
	path = strings.Trim(path, `"`)
	file, found := strings.CutPrefix(path, folder+string(filepath.Separator))
	base, key := strings.CutSuffix(file, ".key")
	if !found || !key || base == "" || len(file) > 255 || !isFileName(base) {
		return "", fmt.Errorf("the agent's challenge names no .key file in %s", folder)
	}
	return file, nil
}

// isFileName reports whether s is a part of a file name and no way out of a
// folder.
func isFileName(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\:*?"<>|`, r)
	})
}
