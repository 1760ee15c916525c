package kubelet

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
)

const (
	typeConfigJSON = "kubernetes.io/dockerconfigjson"
	typeDockercfg  = "kubernetes.io/dockercfg"

	keyConfigJSON = ".dockerconfigjson"
	keyDockercfg  = ".dockercfg"
)

// Secret is a Secret of a pod's namespace that its imagePullSecrets name.
type Secret struct {
	Namespace, Name, UID string

	// Type is kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg. The
	// kubelet passes over any other.
	Type string

	// Data is decoded from base64.
	Data map[string][]byte
}

// String returns namespace/name.
func (s Secret) String() string { return s.Namespace + "/" + s.Name }

// Auths returns what is in the secret. Not used means that the kubelet passes
// over it. An error means that it pulls nothing for the pod: it does not get as
// far as its providers.
func (s Secret) Auths() (auths []Auth, used bool, err error) {
	form, text := s.text()
	if form == nil {
		return nil, false, nil
	}
	if auths, err = form.parse(text); err != nil {
		return nil, true, fmt.Errorf("secret %s: %w", s, err)
	}
	return auths, true, nil
}

// Problems says what the kubelet makes nothing of in the secret, and what it
// refuses.
func (s Secret) Problems() Problems {
	form, text := s.text()
	if form == nil {
		return Problems{{
			Level: Warning, Code: "secret-type", Field: "type", File: s.String(),
			Message: fmt.Sprintf("the kubelet passes over a secret of type %.80q with these keys", s.Type),
			Fix:     "create it with kubectl create secret docker-registry",
		}}
	}
	problems := form.lint(text)
	for i := range problems {
		problems[i].File = s.String()
	}
	return problems
}

// text returns what the kubelet reads of the secret, if it does.
func (s Secret) text() (*dockerForm, []byte) {
	if text := s.Data[keyConfigJSON]; s.Type == typeConfigJSON && len(text) > 0 {
		return configJSON, text
	}
	if text := s.Data[keyDockercfg]; s.Type == typeDockercfg && len(text) > 0 {
		return dockercfg, text
	}
	return nil, nil
}

// NodeFiles are the directories in which the kubelet looks for a docker
// configuration of the node.
type NodeFiles struct {
	// RootDir is --root-dir. Empty is /var/lib/kubelet.
	RootDir string

	// Dir is the kubelet's working directory. Empty is /.
	Dir string

	// Home is $HOME of the kubelet. Empty is not set, as under systemd.
	Home string

	// Root is the directory that the kubelet has for /, and that the others are
	// in. Empty is /.
	Root string
}

// NodeFile is a docker configuration of the node.
type NodeFile struct {
	// Path is the file. Empty means that there is none.
	Path string

	Auths []Auth

	// Problems are what the kubelet makes nothing of, and the files before it
	// that it could not read and passed over.
	Problems Problems
}

// Paths returns the files in the order in which the kubelet looks for them:
// four config.json, and then four .dockercfg.
func (n NodeFiles) Paths() []string {
	root, dir := n.RootDir, n.Dir
	if root == "" {
		root = "/var/lib/kubelet"
	}
	if dir == "" {
		dir = "/"
	}
	var paths []string
	add := func(parts ...string) {
		path := filepath.Join(parts...)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		paths = append(paths, filepath.Join(n.Root, path))
	}
	add(root, "config.json")
	add(dir, "config.json")
	add(n.Home, ".docker", "config.json")
	add("/", ".docker", "config.json")
	add(root, ".dockercfg")
	add(dir, ".dockercfg")
	add(n.Home, ".dockercfg")
	add("/", ".dockercfg")
	return paths
}

// Read reads the first file that can be read, which is the only one that
// counts: even one without a single login ends the search. The kubelet does so
// every five minutes.
func (n NodeFiles) Read() NodeFile {
	var found NodeFile
	for i, path := range n.Paths() {
		form := configJSON
		if i >= 4 {
			form = dockercfg
		}
		text, err := readConfig(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			found.Auths, err = form.parse(text)
		}
		if err != nil {
			found.Problems = append(found.Problems, Problem{
				Level: Warning, Code: "docker-file-unreadable", File: path, Message: fmt.Sprintf("the kubelet passes over it: %v", cause(err)),
				Fix: "correct it, or remove it",
			})
			continue
		}
		found.Path = path
		for _, problem := range form.lint(text) {
			problem.File = path
			found.Problems = append(found.Problems, problem)
		}
		return found
	}
	return found
}

// dockerForm is one of the two forms of a docker configuration.
type dockerForm struct {
	parse func(text []byte) ([]Auth, error)
	other func(text []byte) ([]Auth, error)
	name  string
}

var (
	configJSON = &dockerForm{parseConfigJSON, parseDockercfg, "config.json"}
	dockercfg  = &dockerForm{parseDockercfg, parseConfigJSON, ".dockercfg"}
)

// lint finds what the kubelet makes nothing of.
func (f *dockerForm) lint(text []byte) Problems {
	auths, err := f.parse(text)
	if err != nil {
		return Problems{problemf(Error, "docker-invalid", "", "write it again with docker login, or kubectl create secret docker-registry", "%v", err)}
	}
	var problems Problems
	add := func(level Level, code, field, fix, format string, args ...any) {
		problems = append(problems, problemf(level, code, field, fix, format, args...))
	}
	// What other clients of a registry read there.
	whole, err := dockerconfig.Parse(text)
	if err != nil {
		whole = &dockerconfig.Config{}
	}
	tokens := map[string]bool{}
	for _, e := range whole.Entries {
		tokens[e.Key] = !e.IdentityToken.Empty() || !e.RegistryToken.Empty()
	}
	helpers := len(whole.CredHelpers) > 0 || whole.CredsStore != ""
	if other, err := f.other(text); err == nil && len(other) > 0 && len(usable(auths)) == 0 && len(usable(other)) > 0 {
		add(Warning, "docker-form", "", "give it the other name: config.json has auths at the top, and .dockercfg the registries",
			"no login for the kubelet in a %s of the other form", f.name)
	} else if len(auths) == 0 && !helpers {
		add(Info, "docker-empty", "", "", "no login")
	}
	if helpers {
		add(Warning, "docker-helper", "", "use dockerconfig-credential-provider, which runs them, or log in without one",
			"credHelpers or credsStore, which the kubelet does not run")
	}
	for i, auth := range auths {
		at := authField(auth.Key)
		key, ok := dockerconfig.Pattern(auth.Key)
		if !ok {
			add(Warning, "docker-key-invalid", at, "write the registry's host", "a key that is no host: the kubelet passes over it")
			continue
		}
		if i > 0 {
			if before, _ := dockerconfig.Pattern(auths[i-1].Key); before == key {
				add(Warning, "docker-key-again", at, "remove one of them", "the same as key %.120q for the kubelet, which leaves their order to chance", auths[i-1].Key)
			}
		}
		if why, fix := lintKey(auth.Key, key); why != "" {
			add(Warning, "docker-key-never", at, fix, "%s", why)
		}
		if tokens[auth.Key] && auth.Password.Empty() {
			add(Warning, "docker-token", at, "log in with a user name and a password, such as a token with a name",
				"a token for clients that exchange it (identitytoken, registrytoken), which the kubelet passes over: it pulls with an empty password")
			continue
		}
		for _, p := range lintLogin(auth) {
			add(p.Level, p.Code, at, p.Fix, "%s", p.Message)
		}
	}
	return problems.bounded(maxFew)
}

// usable are the credentials with a password.
func usable(auths []Auth) []Auth {
	return slices.DeleteFunc(slices.Clone(auths), func(a Auth) bool { return a.Password.Empty() })
}

// hubKey is what docker login writes for Docker Hub.
const hubKey = "https://index.docker.io/v1/"

// lintKey says why a key is for no image.
func lintKey(written, key string) (why, fix string) {
	p, err := parsePattern(key)
	if err != nil {
		return "a key that is no host", ""
	}
	f := p.lint()
	switch {
	case key == dockerconfig.Hub:
		return "", "" // It counts for Docker Hub where nothing else does.
	case p.host == dockerconfig.Hub:
		return "it is for no image: docker's name for Docker Hub needs its final slash", "write " + hubKey
	case f.matchesNothing() && f.code != "pattern-docker-hub" || f.code == "pattern-docker-hub" && p.host != hub:
		if f.meant == hub {
			return "it " + f.what, "write " + hubKey
		}
		return "it " + f.what, f.fix
	case strings.Contains(written, "://") && !strings.HasPrefix(written, "http://") && !strings.HasPrefix(written, "https://"):
		return "it is for no image: the kubelet knows no such scheme", "write the host alone"
	}
	return "", ""
}

// entry is an entry of a docker configuration as the kubelet reads it.
type entry struct {
	username string
	password string
	email    string
}

// UnmarshalJSON reads "auth", or else "username" and "password".
func (e *entry) UnmarshalJSON(text []byte) error {
	var fields struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Email    string `json:"email"`
		Auth     string `json:"auth"`
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	e.username, e.password, e.email = fields.Username, fields.Password, fields.Email
	if fields.Auth == "" {
		return nil
	}
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(strings.TrimSpace(fields.Auth), "=") {
		encoding = base64.StdEncoding
	}
	plain, err := encoding.DecodeString(fields.Auth)
	if err != nil {
		return errAuthBase64
	}
	username, password, found := strings.Cut(string(plain), ":")
	if !found {
		return errAuthColon
	}
	e.username, e.password = username, password
	return nil
}

var (
	errAuthBase64 = errors.New("auth not in base64")
	errAuthColon  = errors.New("auth without a colon between user name and password")
)

func parseConfigJSON(text []byte) ([]Auth, error) {
	var file struct {
		Auths       map[string]entry  `json:"auths"`
		HTTPHeaders map[string]string `json:"HttpHeaders"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, dockerError(err)
	}
	return auths(file.Auths), nil
}

func parseDockercfg(text []byte) ([]Auth, error) {
	var entries map[string]entry
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, dockerError(err)
	}
	return auths(entries), nil
}

func auths(entries map[string]entry) []Auth {
	all := make([]Auth, 0, len(entries))
	for key, e := range entries {
		all = append(all, Auth{Key: key, Username: e.username, Password: credential.NewSecret(e.password), Email: e.email})
	}
	sortAuths(all)
	return all
}

// dockerError says what is wrong without a value.
func dockerError(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not a docker configuration: invalid JSON at byte %d", syntax.Offset)
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if kind.Field == "" {
			return fmt.Errorf("not a docker configuration, which is a JSON object: JSON %s", kind.Value)
		}
		return fmt.Errorf("not a docker configuration: JSON %s in %s", kind.Value, kind.Field)
	}
	return fmt.Errorf("docker configuration: %w", err)
}
