package gcr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/image"
)

// documentLife is for how long a docker configuration is used before it is
// read again. Its passwords have no expiry, and whoever changes one waits so
// long.
const documentLife = 5 * time.Minute

// dockerConfig is the docker configuration of the node, whole: a document that
// is kept as if it were a password, since it holds some.
type dockerConfig struct {
	server string
	byURL  bool
	caFile string
}

// Key says where the document is.
func (s *dockerConfig) Key() credential.Key {
	return credential.Key{"gcr", s.attribute(), s.server}
}

func (s *dockerConfig) attribute() string {
	if s.byURL {
		return "google-dockercfg-url"
	}
	return "google-dockercfg"
}

// Fetch reads the attribute, and then what it points to.
func (s *dockerConfig) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	server := newMetadataServer(ctx)
	text, err := server.get(ctx, "instance/attributes/"+s.attribute())
	if err != nil {
		p := server.problem(err)
		advice := ""
		if p.status == http.StatusNotFound && !p.impostor() {
			p.text, advice = "the instance has no attribute "+s.attribute(), ": set it, or leave out --authFlow"
		}
		return credential.Credential{}, &credential.Failure{Err: fmt.Errorf("%s%s", p, advice), Permanent: p.hopeless(), RetryAfter: p.retryAfter}
	}
	if s.byURL {
		if text, err = s.download(ctx, strings.TrimSpace(text)); err != nil {
			return credential.Credential{}, fmt.Errorf("%s: %w", s.attribute(), err)
		}
	}
	if _, err := parseDockerConfig([]byte(text)); err != nil {
		return credential.Credential{}, &credential.Failure{Err: fmt.Errorf("%s: %w", s.attribute(), err), Permanent: true}
	}
	return credential.Credential{Username: s.attribute(), Password: credential.NewSecret(text), Expires: time.Now().Add(documentLife)}, nil
}

// download gets the document from where the attribute says: over TLS, or from
// a metadata server.
func (s *dockerConfig) download(ctx context.Context, text string) (string, error) {
	address, err := url.Parse(text)
	if err != nil || address.Host == "" {
		return "", &credential.Failure{Err: errors.New("is not a URL"), Permanent: true}
	}
	local := cloudhttp.IsMetadata(address.Hostname()) || address.Host == s.server
	if address.Scheme != "https" && (address.Scheme != "http" || !local) {
		return "", &credential.Failure{Err: fmt.Errorf("is an address of %.80q that is not https", address.Host), Permanent: true}
	}
	api, err := cloudhttp.API(s.caFile)
	if err != nil {
		return "", err
	}
	transport := api.Transport
	if address.Scheme == "http" {
		transport = cloudhttp.Metadata().Transport
	}
	client, witness := observe(ctx, transport)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		p := dissect(err, witness.seen())
		p.stage = "document"
		return "", &credential.Failure{Err: errors.New(p.String()), Permanent: p.hopeless(), RetryAfter: p.retryAfter}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// dockerPassword is what the docker configuration has for an image.
type dockerPassword struct {
	image    string
	document *dockerConfig
}

// Key names the image: a docker configuration may have passwords for parts of a
// registry.
func (s *dockerPassword) Key() credential.Key {
	return slices.Concat(s.document.Key(), credential.Key{s.image})
}

// Fetch looks the image up. Where the document has nothing for it, it is pulled
// anonymously.
func (s *dockerPassword) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	document, err := getter.Get(ctx, s.document)
	if err != nil {
		return credential.Credential{}, err
	}
	config, err := parseDockerConfig([]byte(document.Password.Reveal()))
	if err != nil {
		return credential.Credential{}, err
	}
	c, err := config.lookUp(s.image)
	if err != nil {
		return credential.Credential{}, &credential.Failure{Err: fmt.Errorf("%s: %w", s.document.attribute(), err), Permanent: true}
	}
	c.Expires = document.Expires
	return c, nil
}

// dockerEntries are the entries of a docker configuration by what they are for.
type dockerEntries map[string]dockerEntry

// dockerEntry is a user name and password, or both in base64, which counts if
// it is there.
type dockerEntry struct {
	Auth     string `json:"auth"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// parseDockerConfig reads .dockercfg, a map of entries, or config.json, which
// has that map under "auths".
func parseDockerConfig(text []byte) (dockerEntries, error) {
	var wrapped struct {
		Auths dockerEntries `json:"auths"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(text, &wrapped) == nil && wrapped.Auths != nil {
		return wrapped.Auths, nil
	}
	var bare dockerEntries
	if json.UnmarshalCaseSensitivePreserveInts(text, &bare) != nil || bare == nil {
		return nil, errors.New("is not a docker configuration")
	}
	return bare, nil
}

// lookUp returns the credential for an image, or the anonymous one. Of several
// entries that match, the kubelet tries the last in alphabetical order first.
func (entries dockerEntries) lookUp(name string) (credential.Credential, error) {
	type match struct {
		pattern string
		entry   dockerEntry
	}
	var found []match
	for key, entry := range entries {
		pattern := patternOf(key)
		if matched, err := image.Match(pattern, name); err == nil && matched && endsWithPart(pattern, name) {
			found = append(found, match{pattern, entry})
		}
	}
	if len(found) == 0 {
		return credential.Credential{}, nil
	}
	best := slices.MaxFunc(found, func(a, b match) int { return strings.Compare(a.pattern, b.pattern) })
	username, password, err := best.entry.decode()
	if err != nil {
		return credential.Credential{}, fmt.Errorf("entry %.80q: %w", best.pattern, err)
	}
	return credential.Credential{Username: username, Password: credential.NewSecret(password)}, nil
}

// patternOf returns what an entry is for as a pattern of the kubelet's. Docker
// wrote URLs with the version of the registry's API, and has a name of its own
// for Docker Hub.
func patternOf(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, path, _ := strings.Cut(key, "/")
	host = strings.ToLower(host)
	if host == "index.docker.io" {
		host = "docker.io"
	}
	path = strings.Trim(path, "/")
	for _, version := range []string{"v1", "v2"} {
		if path == version {
			path = ""
		}
		path = strings.TrimPrefix(path, version+"/")
	}
	if path == "" {
		return host
	}
	return host + "/" + path
}

// endsWithPart reports whether a pattern's path ends where a part of the
// image's does: an entry for a/team is not one for a/team-b.
func endsWithPart(pattern, name string) bool {
	_, want, scoped := strings.Cut(pattern, "/")
	_, path, _ := strings.Cut(name, "/")
	rest, _ := strings.CutPrefix(path, want)
	return !scoped || rest == "" || strings.HasPrefix(rest, "/")
}

// decode returns the user name and password. Base64 is found with padding and
// without.
func (e dockerEntry) decode() (username, password string, err error) {
	username, password = e.Username, e.Password
	if e.Auth != "" {
		plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(e.Auth, "="))
		if err != nil {
			return "", "", errors.New("auth is not base64")
		}
		username, password, _ = strings.Cut(string(plain), ":")
	}
	if username == "" || password == "" {
		return "", "", errors.New("holds no user name and password")
	}
	return username, password, nil
}
