//go:build linux

package dockerconfig_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// A vault of logins is the cloud here: a credential helper asks it.
const (
	vaultHost     = "vault.example.com"
	helperProgram = "docker-credential-vault"
	user          = "robot"
	unknown       = "credentials not found in native keychain"
)

// askVault is the credential helper: it prints what the vault answers, and on
// failure, as the protocol has it, why there is nothing.
func askVault(args []string, stdin io.Reader, stdout io.Writer) (exit int) {
	server, err := io.ReadAll(io.LimitReader(stdin, 1<<10))
	if err != nil || len(args) != 1 || args[0] != "get" {
		_, _ = fmt.Fprintf(stdout, "asked for %q", args)
		return 1
	}
	response, err := http.Get("http://" + vaultHost + "/login?server=" + url.QueryEscape(string(server)))
	if err != nil {
		_, _ = fmt.Fprintln(stdout, err)
		return 1
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(stdout, err)
	case response.StatusCode == http.StatusNotFound:
		_, _ = fmt.Fprintln(stdout, unknown)
	case response.StatusCode != http.StatusOK:
		_, _ = fmt.Fprintf(stdout, "%s: status %d: %s\n", vaultHost, response.StatusCode, body)
	default:
		_, _ = stdout.Write(body)
		return 0
	}
	return 1
}

// vault has the logins of registries.
type vault struct {
	*fake.Core[settings]
	issued fake.Ledger[string] // passwords, and the server that each is for
	hosts  []string            // registries that it knows
}

type settings struct{ lost bool }

func (v *vault) service() http.Handler {
	return v.Front(&cloud.Service{
		Name:      "vault",
		Operation: func(*cloud.Request) string { return "Get" },
		Answer:    v.answer,
		Refuse: func(refusal cloud.Refusal) (string, []byte) {
			return "text/plain", []byte(refusal.Code + ": " + refusal.Message)
		},
	})
}

func (v *vault) answer(x *cloud.Exchange, r *cloud.Request) error {
	server := r.URL.Query().Get("server")
	x.Summarize("%s", server)
	switch {
	case r.Method != http.MethodGet || server == "" || strings.TrimSpace(server) != server:
		return fake.RefuseForm(http.StatusBadRequest, "bad_request", "%s for %q", r.Method, server)
	case v.Current().lost:
		return fake.Refuse(http.StatusForbidden, "sealed", "the vault is sealed")
	case !v.knows(server):
		return fake.Refuse(http.StatusNotFound, "unknown", "there is no login for it")
	}
	password := fake.Text(32)
	v.issued.Add(password, server)
	return json.NewEncoder(x).Encode(map[string]string{"ServerURL": server, "Username": user, "Secret": password})
}

func (v *vault) knows(server string) bool {
	for _, host := range v.hosts {
		if host == server || host == hub && server == hubServer {
			return true
		}
	}
	return false
}

const (
	hub       = "docker.io"
	hubServer = "https://index.docker.io/v1/"
)

// whose is the user that a login is of, if the vault gave it for the image's
// registry.
func (v *vault) whose(image, username, password string) (string, error) {
	host, _, _ := strings.Cut(image, "/")
	server, ok := v.issued.Find(password)
	if !ok || username != user || server != host && (host != hub || server != hubServer) {
		return "", fmt.Errorf("no login of %s: it is for %q", host, server)
	}
	return user, nil
}

// registries have names of every form that a key has.
func registry(number int) string {
	if number == 0 {
		return "docker.corp.example"
	}
	return fmt.Sprintf("r%d.corp.example", number)
}

// boot starts a machine whose docker configuration names the helper for each
// registry, by its host.
func boot(c *cloud.Cloud) (*vault, *fake.Node, error) {
	v := &vault{Core: fake.NewCore(c.Calls, c.Faults, func(settings) time.Duration { return 0 })}
	helpers := map[string]string{}
	for number := range 16 {
		v.hosts = append(v.hosts, registry(number))
		helpers[registry(number)] = "vault"
	}
	dir := cloud.OwnDir + "/helpers"
	own, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	config, err := json.Marshal(map[string]any{"credHelpers": helpers})
	if err != nil {
		return nil, nil, err
	}
	file, err := c.WriteFile("config.json", config)
	if err := errors.Join(
		err,
		c.AddHosts(netip.MustParseAddr("192.0.2.90"), vaultHost),
		c.Serve(netip.MustParseAddrPort("192.0.2.90:80"), v.service()),
		os.Mkdir(c.Path(dir), 0o755),
		os.Symlink(own, filepath.Join(c.Path(dir), helperProgram)),
	); err != nil {
		return nil, nil, err
	}
	asked := []string{"vault Get " + vaultHost}
	return v, &fake.Node{
		Kind:       fake.Kind{Name: "dockerconfig", Plugin: "dockerconfig-credential-provider"},
		Cloud:      c,
		Issuer:     oidc.NewCluster("https://kubernetes.default.svc"),
		Args:       []string{"--file=" + file, "--helper-path=" + dir},
		Registry:   registry,
		Repository: "team/app",
		LookAlike:  registry(0) + ".evil.com",
		Username:   user,
		Whose:      v.whose,
		Secrets:    v.issued.Secrets,
		Machine:    fake.Identity{Owner: user, Calls: asked, Refresh: asked, Fetch: "vault Get"},
		Workload:   func(...oidc.ServiceAccount) fake.Identity { return fake.Identity{} },
		Audience:   "nobody",
		Services:   []string{"vault"},
		Local:      []string{"vault"},
		Denied:     fake.Refuse(http.StatusForbidden, "denied", "no"),
		Lose: func() []string {
			v.Configure(func(s *settings) { s.lost = true })
			return []string{helperProgram + ", which " + file + " has for", "has failed: " + vaultHost + ": status 403: sealed: the vault is sealed"}
		},
		Regain: func() { v.Configure(func(s *settings) { s.lost = false }) },
	}, nil
}
