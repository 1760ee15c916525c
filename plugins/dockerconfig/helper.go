package dockerconfig

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
	"regcred/shared/file"
	"regcred/shared/program"
	"regcred/shared/settings"
)

// prefix is how the name of a credential helper's program begins.
const prefix = "docker-credential-"

// standardPath is where programs are looked for where there is no $PATH.
const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// helpers are the programs that keep logins, by docker's protocol: the name of a
// registry is written to "docker-credential-NAME get", which prints a login.
type helpers struct {
	dirs   []string
	limit  time.Duration
	getenv func(string) string

	// outer is the helper that runs this plugin, or empty.
	outer string

	// found are those that configurations name, by what follows the prefix.
	found map[string]executable
}

// executable is a helper's program, or why it is not run.
type executable struct {
	path string
	info fs.FileInfo

	// absent, circle and unfit are what is wrong: it is not there, it runs this
	// plugin, or something else.
	absent        bool
	circle, unfit string
}

func newHelpers(path string, limit time.Duration, getenv func(string) string) *helpers {
	h := &helpers{limit: limit, getenv: getenv, outer: getenv(dockerconfig.InsideHelper), found: map[string]executable{}}
	path = cmp.Or(path, getenv("PATH"), standardPath)
	for _, dir := range filepath.SplitList(path) {
		// Others are relative to wherever the kubelet happens to be.
		if filepath.IsAbs(dir) {
			h.dirs = append(h.dirs, dir)
		}
	}
	return h
}

// find looks for the programs that a configuration names.
func (h *helpers) find(config *dockerconfig.Config) {
	for _, name := range append(slices.Collect(maps.Values(config.CredHelpers)), config.CredsStore) {
		if _, known := h.found[name]; !known && name != "" {
			h.found[name] = h.look(name)
		}
	}
}

// look looks for a program. It has to be one that nobody else could have put
// there.
func (h *helpers) look(name string) executable {
	switch {
	case len(name) > 100 || !settings.IsFrom(name, "-_."):
		return executable{unfit: "not the name of a helper: " + quote(name)}
	case isOurs(prefix + name):
		return executable{circle: "it would run this plugin in a circle"}
	case h.outer != "":
		return executable{circle: "this plugin was itself run by a helper, " + bounded(h.outer)}
	}
	for _, dir := range h.dirs {
		// With a slash in it, it is not looked for, but looked at.
		path, err := exec.LookPath(filepath.Join(dir, prefix+name))
		if err != nil {
			continue
		}
		if target, err := filepath.EvalSymlinks(path); err == nil && isOurs(filepath.Base(target)) {
			return executable{circle: "it is " + target + ", which would run this plugin in a circle"}
		}
		info, err := file.Check(path)
		if err != nil {
			return executable{unfit: "not a program to trust: " + path + ": " + err.Error()}
		}
		return executable{path: path, info: info}
	}
	return executable{absent: true}
}

// of returns what a candidate's helper is asked by, or why it is not run.
func (h *helpers) of(c candidate) (*helperAnswer, error) {
	switch program := h.found[c.helper]; {
	case program.absent:
		return nil, c.absent(h.dirs)
	case program.circle != "":
		return nil, c.circle(program.circle)
	case program.unfit != "":
		return nil, c.unfit(program.unfit)
	default:
		return &helperAnswer{candidate: c, helpers: h, executable: program}, nil
	}
}

// ask returns what a helper has for a registry, which may be nothing.
func (h *helpers) ask(ctx context.Context, c candidate, getter credential.Getter) (credential.Credential, error) {
	source, err := h.of(c)
	if err != nil {
		return credential.Credential{}, err
	}
	printed, err := getter.Token(ctx, source)
	if err != nil {
		return credential.Credential{}, err
	}
	a, err := parseAnswer([]byte(printed.Value.Reveal()))
	if err != nil {
		return credential.Credential{}, c.failed(source.path, err)
	}
	return credential.Credential{Username: a.Username, Password: credential.NewSecret(a.Secret), Expires: printed.Expires}, nil
}

// isOurs reports whether a program is this suite's tool, which answers as a
// credential helper by running the kubelet's plugins.
func isOurs(name string) bool {
	name = strings.TrimSuffix(name, ".exe")
	return name == "regcred" || name == prefix+"regcred"
}

// helperAnswer is what a helper prints about a registry.
type helperAnswer struct {
	candidate
	*helpers
	executable
}

// String says who is asked, and for what.
func (a *helperAnswer) String() string { return a.path + " for the login of " + a.server }

// Key names the program, the registry and the file. A program that was replaced
// is another one.
func (a *helperAnswer) Key() credential.Key {
	return credential.Key{"dockerconfig", "helper", a.path, strconv.FormatInt(a.info.Size(), 10), strconv.FormatInt(a.info.ModTime().UnixNano(), 10), a.server, a.file}
}

// Fetch runs the program. That it does not know the registry is an answer too.
func (a *helperAnswer) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	command := program.New(a.path, "get")
	command.Stdin = []byte(a.server)
	command.Env = a.environment(prefix + a.helper)
	command.Dir = "/" // the kubelet's may be anywhere
	command.Limit = a.limit
	printed, err := command.Run(ctx)
	switch {
	case err != nil && isUnknown(printed):
		return credential.Token{Value: credential.NewSecret("{}"), Expires: time.Now().Add(unknownLife)}, nil
	case err != nil:
		return credential.Token{}, a.failed(a.path, withReason(err, printed))
	}
	answer, err := parseAnswer(printed)
	switch {
	case err != nil:
		return credential.Token{}, a.failed(a.path, err)
	case answer.isEmpty():
		return credential.Token{Value: credential.NewSecret("{}"), Expires: time.Now().Add(unknownLife)}, nil
	case answer.Username == tokenUser:
		return credential.Token{}, a.identityToken(a.path)
	case answer.Username == "" || answer.Secret == "":
		return credential.Token{}, a.failed(a.path, errors.New("half a login, without a password or without a user name"))
	case answer.ServerURL != "" && !sameServer(answer.ServerURL, a.server):
		return credential.Token{}, a.failed(a.path, fmt.Errorf("a login for another server, %s", quote(withoutUser(answer.ServerURL))))
	}
	return credential.Token{Value: credential.NewSecret(answer.text()), Expires: time.Now().Add(helperLife)}, nil
}

// environment is the plugin's own. A service has often neither $HOME, in which
// most helpers keep something, nor $PATH, by which some find what they run.
func (h *helpers) environment(name string) []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, dockerconfig.InsideHelper+"=") })
	env = append(env, dockerconfig.InsideHelper+"="+name)
	if h.getenv("PATH") == "" {
		env = append(env, "PATH="+strings.Join(h.dirs, string(filepath.ListSeparator)))
	}
	if h.getenv("HOME") == "" {
		if owner, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
			env = append(env, "HOME="+owner.HomeDir)
		}
	}
	return env
}

// tokenUser stands for a user name where the secret is a token that a client has
// to exchange.
const tokenUser = "<token>"

// answer is what a helper prints, and what is kept of that.
type answer struct {
	ServerURL string `json:"ServerURL,omitempty"`
	Username  string `json:"Username,omitempty"`
	Secret    string `json:"Secret,omitempty"`
}

func (a answer) isEmpty() bool { return a.Username == "" && a.Secret == "" }

func (a answer) text() string {
	text, _ := json.Marshal(a) //nolint:gosec // The Secret of what is kept.
	return string(text)
}

// parseAnswer reads what a helper printed. No error repeats any of that.
func parseAnswer(printed []byte) (answer, error) {
	var a answer
	if json.Unmarshal(printed, &a) != nil || strings.TrimSpace(string(printed)) == "null" {
		return answer{}, errors.New("not the JSON of a login")
	}
	if !isText(a.Username + a.Secret) {
		return answer{}, errNoText
	}
	return a, nil
}

// isUnknown reports whether a helper said, in the words of the protocol, that it
// has no login for a registry.
func isUnknown(printed []byte) bool {
	return strings.TrimSpace(string(printed)) == "credentials not found in native keychain"
}

// withReason adds what a helper printed on stdout when it failed: there it says
// why. What looks like a login is not repeated.
func withReason(err error, printed []byte) error {
	reason := strings.TrimSpace(string(printed))
	if reason == "" || strings.ContainsAny(reason, "{}") {
		return err
	}
	return fmt.Errorf("%s: %w", bounded(reason), err)
}

// sameServer reports whether two names are of one server.
func sameServer(a, b string) bool { return hostOf(a) == hostOf(b) }

// withoutUser returns a name of a server without what stands before an @, which
// may be a password.
func withoutUser(server string) string {
	scheme, rest, found := strings.Cut(server, "://")
	if !found {
		scheme, rest = "", server
	} else {
		scheme += "://"
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	return scheme + rest
}

// hostOf returns the host of a name such as helpers are asked with, and its
// port where it is not that of HTTPS.
func hostOf(server string) string {
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	parsed, err := url.Parse(server)
	if err != nil {
		return server
	}
	switch host := strings.TrimSuffix(strings.ToLower(parsed.Host), ":443"); host {
	case hubKey, "registry-1.docker.io":
		return hubHost
	default:
		return host
	}
}
