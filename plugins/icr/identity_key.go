package icr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sigs.k8s.io/json"

	"regcred/shared/credential"
	"regcred/shared/file"
)

// keyToken is the token of whoever an API key is of. The key goes to IAM alone,
// and is in no answer.
type keyToken struct {
	file      string
	endpoints *endpoints
}

func (s *keyToken) identity() string { return "the owner of the API key in " + s.file }

// String says who is asked for what, and as whom.
func (s *keyToken) String() string { return s.endpoints.describe(s.identity()) }

// Key names the file, not what it says.
func (s *keyToken) Key() credential.Key {
	return slices.Concat(s.endpoints.key("api-key"), credential.Key{s.file})
}

// Fetch reads the key, which may have been replaced, and asks IAM.
func (s *keyToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	key, err := readKey(s.file)
	if err != nil {
		failure := file.Failure("the API key", "apiKeyFile", file.Unread, err)
		failure.Evidence = stageFile + "; as " + s.identity()
		return credential.Token{}, failure
	}
	r := s.endpoints.askIAM(ctx, stageKey, url.Values{
		"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"},
		"apikey":     {key.Reveal()},
	})
	return s.service().token(r)
}

// readKey reads an API key: by itself, with white space around it, or as IBM's
// command line saves it, a JSON object. Errors end with the name of the file:
// what follows a name such as apikey and a colon may be hidden as a secret.
func readKey(path string) (credential.Secret, error) {
	text, err := file.Read(path)
	if err != nil {
		return credential.Secret{}, fmt.Errorf("%w: %s", err, path)
	}
	text = bytes.TrimSpace(text)
	key := string(text)
	if bytes.HasPrefix(text, []byte("{")) {
		var saved struct {
			Key string `json:"apikey"`
		}
		if json.UnmarshalCaseSensitivePreserveInts(text, &saved) != nil {
			return credential.Secret{}, fmt.Errorf("%w: %s", errKey, path)
		}
		key = saved.Key
	}
	if key == "" || len(key) > 1024 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return credential.Secret{}, fmt.Errorf("%w: %s", errKey, path)
	}
	return credential.NewSecret(key), nil
}

var errKey = errors.New("neither an API key nor what IBM's command line saves of one")
