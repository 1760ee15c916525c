// Package helper is docker's credential helper protocol, spoken for the node's
// credential providers: docker-credential-regcred.
//
// Clients do with it what they do with a keychain. They ask for registries of
// all sorts, take any failure but one for the end of the pull, and any answer
// for the truth; they store and erase what they were given. So it knows what it
// is not for, says that in the one way that lets a client go on without a
// login, and fails in one line otherwise.
//
// https://github.com/docker/docker-credential-helpers is the protocol.
package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"regcred/shared/dockerconfig"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
	"regcred/shared/version"
)

// Name is the program's name. docker takes what follows docker-credential- for
// the helper's.
const Name = "docker-credential-regcred"

// Guard is an environment variable that providers get from here. A provider
// that runs docker's helpers must not run this one, which would run it again.
const Guard = "REGCRED_DOCKER_CREDENTIAL"

const (
	// budget is for all providers that an answer takes. Somebody is waiting,
	// and clients ask one helper after the other.
	budget = 7 * time.Second

	// maxInput bounds what a client writes.
	maxInput = 1 << 20

	// notFound tells clients to go on without a login, in these words.
	notFound = "credentials not found in native keychain"
)

// Providers are the node's.
type Providers struct {
	Config *kubelet.Config
	Runner kubelet.Runner
}

// Helper is a run of the program.
type Helper struct {
	Stdin  io.Reader
	Stdout io.Writer
	Getenv func(string) string

	// Find finds the node's providers. It is called where there is something to
	// ask them.
	Find func() (Providers, error)
}

// Run does what the arguments say and returns the exit code. Failures go to
// stdout, where clients look for them.
func (h Helper) Run(ctx context.Context, args []string) int {
	action := ""
	if len(args) == 1 {
		action = args[0]
	}
	switch action {
	case "get":
		return h.end(h.get(ctx))
	case "store":
		return h.end(h.store())
	case "erase":
		// There is nothing to erase, and no reason to fail: logging out of a
		// registry erases everywhere.
		_, _ = io.Copy(io.Discard, io.LimitReader(h.Stdin, maxInput))
		return 0
	case "list":
		// Clients ask for each registry of a list. There is no end of those
		// that a provider is for.
		h.print("{}")
		return 0
	case "version", "--version", "-v":
		_, _ = io.WriteString(h.Stdout, version.Describe(Name, "text"))
		return 0
	case "help", "--help", "-h":
		h.print(usage)
		return 0
	default:
		h.print("want one of get, store, erase, list and version as the only argument")
		return 1
	}
}

const usage = `docker-credential-regcred answers docker, podman, skopeo, crane, nerdctl and other
clients with what this node's credential providers answer the kubelet.

Usage:
  docker-credential-regcred get|store|erase|list|version

It is named in docker's configuration for each registry that a provider is for,
in ~/.docker/config.json:

  {"credHelpers": {"123456789012.dkr.ecr.eu-west-1.amazonaws.com": "regcred"}}

"regcred config docker" prints that, and what podman, skopeo and buildah read,
for this node. Not as credsStore, where logins of other registries are kept.

  get    a registry on stdin; its user name and secret on stdout, as JSON
  store  nothing, for a registry that a provider is for; else a failure
  erase  nothing
  list   no registries

The providers are those of the node's kubelet, or of REGCRED_CONFIG and
REGCRED_BIN_DIR, as the kubelet's --image-credential-provider-config and
--image-credential-provider-bin-dir. To see what they do: regcred get IMAGE`

// end prints how an action ended, and returns the exit code.
func (h Helper) end(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errNotFound) {
		h.print(notFound)
	} else {
		h.print(redact.Line(err.Error()))
	}
	return 1
}

func (h Helper) print(text string) { _, _ = io.WriteString(h.Stdout, text+"\n") }

var errNotFound = errors.New(notFound)

// get answers with the login of a registry.
func (h Helper) get(ctx context.Context) error {
	input, err := h.read()
	if err != nil {
		return err
	}
	url := strings.TrimSpace(string(input))
	if url == "" {
		return errors.New("no credentials server URL")
	}
	s, err := parseServer(url)
	if err != nil {
		return err
	}
	if h.Getenv(Guard) != "" || h.Getenv(dockerconfig.InsideHelper) != "" {
		return fmt.Errorf("%s: a provider of this node runs %s, which runs the providers: take it out of the docker configuration that the provider reads", s.host, Name)
	}
	providers, err := h.Find()
	if err != nil {
		return fmt.Errorf("%s: %w", s.host, err)
	}
	auth, err := providers.login(ctx, s)
	if err != nil {
		return err
	}
	// Clients compare the server with what they asked for.
	answer, err := json.Marshal(map[string]string{"ServerURL": url, "Username": auth.Username, "Secret": auth.Password.Reveal()})
	if err != nil {
		return errors.New("encode the answer")
	}
	_, err = h.Stdout.Write(append(answer, '\n'))
	return err
}

// login asks the providers for a server's login: the one that the kubelet
// would try first.
func (p Providers) login(ctx context.Context, s server) (kubelet.Auth, error) {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	p.Runner.Environ = append(slices.Clip(p.Runner.Environ), Guard+"=1")
	name := p.name(s)
	if name == "" {
		return kubelet.Auth{}, errNotFound
	}
	var keyring kubelet.Keyring
	var failures []error
	for _, match := range p.Config.Match(name) {
		if !match.Matched {
			continue
		}
		outcome := p.Runner.Ask(ctx, match.Provider, name, kubelet.Pod{})
		switch {
		case ctx.Err() != nil:
			failures = append(failures, fmt.Errorf("%s: %s: no answer within %v; see regcred get %s", s.host, match.Provider.Name, budget, name))
		case outcome.Err != nil:
			failures = append(failures, failure(s.host, outcome))
		default:
			keyring.AddOutcome(outcome)
		}
	}
	for _, candidate := range keyring.Candidates(name) {
		// An empty credential is a login to no client.
		if candidate.Username != "" && !candidate.Password.Empty() {
			return candidate.Auth, nil
		}
	}
	if len(failures) > 0 {
		return kubelet.Auth{}, failures[0]
	}
	return kubelet.Auth{}, errNotFound
}

// failure is what a provider says itself, which begins with the host.
func failure(host string, outcome kubelet.Outcome) error {
	if strings.HasPrefix(outcome.LastLine, host) {
		return errors.New(outcome.LastLine)
	}
	return fmt.Errorf("%s: %s: %w", host, outcome.Provider.Name, outcome.Err)
}

// name returns the server's image that a provider is for, or "".
func (p Providers) name(s server) string {
	for _, name := range s.names {
		if slices.ContainsFunc(p.Config.Match(name), func(m kubelet.Match) bool { return m.Matched }) {
			return name
		}
	}
	return ""
}

// store refuses to keep a login, unless a provider has another one anyway: then
// a client that has just logged in should not fail because of it.
func (h Helper) store() error {
	input, err := h.read()
	if err != nil {
		return err
	}
	var login struct{ ServerURL string }
	if err := json.Unmarshal(input, &login); err != nil {
		// The error may repeat what was read, and there is a password in that.
		return errors.New("no login in JSON to store")
	}
	if strings.TrimSpace(login.ServerURL) == "" {
		return errors.New("no credentials server URL")
	}
	s, err := parseServer(strings.TrimSpace(login.ServerURL))
	if err != nil {
		return err
	}
	providers, err := h.Find()
	if err != nil {
		return fmt.Errorf("%s: %w", s.host, err)
	}
	if providers.name(s) == "" {
		return fmt.Errorf("%s: no credential provider of this node is for it, and regcred stores no logins: remove credsStore from docker's configuration, and name regcred in credHelpers for the registries that providers are for", s.host)
	}
	return nil
}

// read reads what the client wrote.
func (h Helper) read() ([]byte, error) {
	input, err := io.ReadAll(io.LimitReader(h.Stdin, maxInput+1))
	if err != nil {
		return nil, errors.New("read the request on stdin")
	}
	if len(input) > maxInput {
		return nil, errors.New("request on stdin larger than 1 MiB")
	}
	return input, nil
}
