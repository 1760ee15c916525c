//go:build linux

package regcred_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/fake"
)

var update = flag.Bool("update", false, "write the golden files")

// getReport is what is looked at of a report of get.
type getReport struct {
	APIVersion, Kind, Kubelet, For string
	Notes                          []string
	Images                         []struct {
		Image, Name, Verdict, Message string
		Providers                     []struct {
			Name, Pattern, Reason, Skipped string
			Matched                        bool
			Run                            *struct {
				Error, ServiceAccount string
				ExitCode              int
			}
		}
		Candidates []struct {
			From, ServiceAccount, Key, Username, Password string
			PasswordLength                                int
			Registry                                      []endpointReport
		}
		Registry []endpointReport
	}
}

type endpointReport struct {
	Endpoint, Digest string
	OK               bool
	Stages           []struct {
		Name, Detail string
		OK           bool
	}
}

// get runs the tool and reads its report, which has no secret.
func (m *machine) get(args ...string) (exit int, report getReport) {
	m.t.Helper()
	exit, stdout, stderr := m.run(append([]string{"get", "-o", "json", m.kubeletFlag()}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		m.t.Fatalf("exit code %d, %v\n%s%s", exit, err, stdout, stderr)
	}
	if report.APIVersion != "regcred/v1" || report.Kind != "Get" {
		m.t.Errorf("report %s %s", report.APIVersion, report.Kind)
	}
	m.noSecret(stdout + stderr)
	return exit, report
}

// serveLogins puts a registry where images are pulled from that takes the
// cloud's logins, or, if it has one, an only one of its own.
func (m *machine) serveLogins(only string) {
	m.t.Helper()
	err := m.Cloud.ServeTLS(registryAddress, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		_, err := m.Whose(m.Image(0), user, password)
		switch {
		case !ok || only != "" && password != only || only == "" && err != nil:
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		}
	}), m.Registry(0))
	if err != nil {
		m.t.Fatal(err)
	}
}

// giveToken answers a TokenRequest.
func (m *machine) giveToken(w http.ResponseWriter, request *http.Request) {
	var asked struct {
		Spec struct {
			Audiences      []string
			BoundObjectRef struct{ Kind, Name, UID string }
		}
	}
	_ = json.NewDecoder(request.Body).Decode(&asked) // What is not there is refused.
	bound := asked.Spec.BoundObjectRef
	if len(asked.Spec.Audiences) != 1 || bound.Kind != "Pod" || bound.Name != fake.Shop.Pod || bound.UID != fake.Shop.PodUID {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","reason":"Forbidden","message":"node requested token not bound to a pod"}`)
		return
	}
	token, err := m.token(request.URL.Path, asked.Spec.Audiences[0])
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","reason":"Forbidden","message":%q}`, err.Error())
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": map[string]any{"token": token, "expirationTimestamp": time.Now().Add(time.Hour)}})
}

func TestGetFromEveryCloud(t *testing.T) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, kind)
			m.start()
			image := m.Image(0) + ":v1"
			exit, report := m.get(image)
			got := report.Images[0]
			if exit != 0 || got.Verdict != "credential" || got.Name != m.Image(0) || len(got.Candidates) != 1 || report.Kubelet == "" || len(report.Notes) != 0 {
				t.Fatalf("exit code %d, %+v", exit, report)
			}
			if c := got.Candidates[0]; c.From != "provider "+kind.Plugin || c.Username != m.Username || c.Password != "[redacted]" || c.PasswordLength < 20 {
				t.Errorf("candidate %+v", c)
			}

			// What the plugin has in its cache it uses, unless it is told not to.
			before := len(m.Cloud.Calls.All())
			if exit, _ = m.get(image); exit != 0 || len(m.Cloud.Calls.All()) != before {
				t.Errorf("exit code %d, and the cloud was asked again", exit)
			}
			if exit, _ = m.get("--fresh", image); exit != 0 || len(m.Cloud.Calls.All()) == before {
				t.Errorf("exit code %d, and the cloud was not asked again", exit)
			}

			// Programs are told the password.
			var config struct {
				Auths map[string]struct{ Auth string }
			}
			exit, stdout, stderr := m.run("get", "-o", "docker", m.kubeletFlag(), image)
			if err := json.Unmarshal([]byte(stdout), &config); exit != 0 || err != nil || stderr != "" {
				t.Fatalf("-o docker: exit code %d, %v, %s", exit, err, stderr)
			}
			pair, err := base64.StdEncoding.DecodeString(config.Auths[m.Registry(0)].Auth)
			user, password, _ := strings.Cut(string(pair), ":")
			if owner, pulls := m.Whose(m.Image(0), user, password); err != nil || pulls != nil || owner != m.Machine.Owner {
				t.Errorf("-o docker: a login of %q, %v, %v", owner, pulls, err)
			}
			var response struct {
				Kind string
				Auth map[string]struct{ Username, Password string }
			}
			exit, stdout, _ = m.run("get", "-o", "response", m.kubeletFlag(), image)
			if err := json.Unmarshal([]byte(stdout), &response); exit != 0 || err != nil || response.Kind != "CredentialProviderResponse" || response.Auth[m.Registry(0)].Password != password {
				t.Errorf("-o response: exit code %d, %v, kind %q", exit, err, response.Kind)
			}

			// People are not, unless they ask.
			exit, stdout, stderr = m.run("get", m.kubeletFlag(), image)
			m.noSecret(stdout + stderr)
			if exit != 0 || !strings.Contains(stdout, "[redacted]") || strings.Contains(stdout, "\x1b") {
				t.Errorf("exit code %d\n%s%s", exit, stdout, stderr)
			}
			_, stdout, stderr = m.run("get", "--show-secrets", m.kubeletFlag(), image)
			if !strings.Contains(stdout, password) || !strings.Contains(stderr, "has passwords in it") {
				t.Errorf("--show-secrets shows none, or does not say so: %s", stderr)
			}

			// An image of somebody else is nobody's.
			exit, report = m.get("registry.example.com/app")
			if got := report.Images[0]; exit != 0 || got.Verdict != "anonymous" || got.Providers[0].Matched || got.Providers[0].Reason == "" {
				t.Errorf("another's image: exit code %d, %+v", exit, got)
			}
		})
	}
}

func TestGetAsAPod(t *testing.T) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, kind)
			workload := m.Workload(fake.Shop)
			keys := []string{}
			for key := range workload.Annotations {
				keys = append(keys, key)
			}
			m.provider()["tokenAttributes"] = map[string]any{
				"serviceAccountTokenAudience": m.Audience, "cacheType": "ServiceAccount", "requireServiceAccount": true,
				"optionalServiceAccountAnnotationKeys": keys,
			}
			m.serveObjects(workload)
			m.start()

			exit, report := m.get("--pod", "shop/web-0")
			if exit != 0 || report.For != "pod shop/web-0" || len(report.Images) != 1 || report.Images[0].Image != m.Image(0)+":v1" {
				t.Fatalf("exit code %d, %+v", exit, report)
			}
			if c := report.Images[0].Candidates; len(c) != 1 || c[0].ServiceAccount != "shop/web" {
				t.Fatalf("candidates %+v: %s", c, report.Images[0].Message)
			}
			_, stdout, _ := m.run("get", "-o", "docker", m.kubeletFlag(), "--pod", "shop/web-0")
			if owner := m.owner(stdout); owner != workload.Owner {
				t.Errorf("a login of %q; want %q", owner, workload.Owner)
			}

			// A token can be brought along.
			token, err := m.Issuer.Token(fake.Shop, m.Audience, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			m.write("token", token)
			args := []string{"get", "-o", "docker", m.kubeletFlag(), "--kubeconfig", "/none", "--service-account-token", m.path("token"), m.Image(0)}
			for key, value := range workload.Annotations {
				args = append(args, "--annotation", key+"="+value)
			}
			exit, stdout, stderr := m.run(args...)
			if owner := m.owner(stdout); exit != 0 || owner != workload.Owner {
				t.Errorf("with a token: exit code %d, a login of %q; want %q\n%s", exit, owner, workload.Owner, stderr)
			}

			// A node gets no token that is bound to nothing.
			exit, report = m.get("--service-account", "shop/web", m.Image(0))
			if text := report.Images[0].Message; exit != 1 || !strings.Contains(text, "give --pod") {
				t.Errorf("without a pod: exit code %d, %s", exit, text)
			}
			// Without a service account the provider is not asked.
			exit, report = m.get(m.Image(0))
			if got := report.Images[0]; exit != 0 || got.Verdict != "anonymous" || !strings.Contains(got.Providers[0].Skipped, "requireServiceAccount") {
				t.Errorf("without a service account: exit code %d, %+v", exit, got)
			}
		})
	}
}

// serveObjects gives the API server a pod with a service account.
func (m *machine) serveObjects(workload fake.Identity) {
	m.t.Helper()
	annotations, err := json.Marshal(workload.Annotations)
	if err != nil {
		m.t.Fatal(err)
	}
	m.objects = map[string]string{
		"/api/v1/namespaces/shop/pods/web-0": fmt.Sprintf(`{"metadata":{"namespace":"shop","name":"web-0","uid":%q},"spec":{"nodeName":"node1","serviceAccountName":"web",
			"containers":[{"name":"app","image":%q}]}}`, fake.Shop.PodUID, m.Image(0)+":v1"),
		"/api/v1/namespaces/shop/serviceaccounts/web": fmt.Sprintf(`{"metadata":{"namespace":"shop","name":"web","uid":%q,"annotations":%s}}`, fake.Shop.UID, annotations),
	}
	m.token = func(_, audience string) (string, error) { return m.Issuer.Token(fake.Shop, audience, time.Hour) }
}

// owner is whose login a docker configuration has for the registry.
func (m *machine) owner(config string) string {
	m.t.Helper()
	var read struct {
		Auths map[string]struct{ Auth string }
	}
	if err := json.Unmarshal([]byte(config), &read); err != nil {
		m.t.Fatalf("%v: %.40q", err, config)
	}
	pair, _ := base64.StdEncoding.DecodeString(read.Auths[m.Registry(0)].Auth)
	user, password, _ := strings.Cut(string(pair), ":")
	owner, _ := m.Whose(m.Image(0), user, password)
	return owner
}

// Why a pull fails, and what get says of it.
func TestGetNamesTheCause(t *testing.T) {
	for _, kind := range clouds.All() {
		for _, c := range []struct {
			name string
			make func(*machine) []string // what is said
		}{
			{"the identity is not attached", func(m *machine) []string { return m.Lose() }},
			{"the identity has no permission", func(m *machine) []string {
				service, operation, _ := strings.Cut(m.Machine.Fetch, " ")
				m.Cloud.Faults.Always(service, operation, m.Denied)
				return []string{fmt.Sprint(m.Denied.Status)}
			}},
			{"the metadata service is out of reach", func(m *machine) []string {
				for _, service := range m.Local {
					m.Cloud.Faults.Always(service, "", cloud.Reset{})
				}
				return []string{"169.254.169.254"}
			}},
		} {
			t.Run(kind.Name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				m := boot(t, kind)
				says := c.make(m)
				m.start()
				exit, report := m.get(m.Image(0))
				got := report.Images[0]
				if exit != 1 || got.Verdict != "failed" || !strings.Contains(got.Message, kind.Plugin) {
					t.Errorf("exit code %d, %s: %s", exit, got.Verdict, got.Message)
				}
				for _, word := range says {
					if !strings.Contains(got.Message, word) {
						t.Errorf("it does not say %q: %s", word, got.Message)
					}
				}
			})
		}
	}
}

func TestGetNamesTheCauseOnTheNode(t *testing.T) {
	for _, c := range []struct {
		name        string
		make, spoil func(*machine)
		args        []string
		verdict     string // empty: the tool says why it cannot tell
		says        []string
	}{
		{name: "the program is missing", spoil: func(m *machine) { m.remove("bin/" + m.Plugin) }, verdict: "failed", says: []string{"bin/ecr-credential-provider", "no such file"}},
		{name: "the program cannot be executed", spoil: func(m *machine) { m.chmod("bin/"+m.Plugin, 0o644) }, verdict: "failed", says: []string{"permission denied"}},
		{name: "a flag of the plugin is misspelt", make: func(m *machine) { m.provider()["args"] = []string{"--role-arm=x"} }, verdict: "failed", says: []string{"unknown flag: --role-arm"}},
		{name: "the pattern is another's", make: func(m *machine) { m.provider()["matchImages"] = []string{"*.ecr.us-east-1.amazonaws.com"} }, verdict: "anonymous", says: []string{"no provider is for this image"}},
		{name: "the configuration is not the kubelet's", make: func(m *machine) { delete(m.provider(), "defaultCacheDuration") }, says: []string{"providers[0].defaultCacheDuration"}},
		{name: "the registry's name does not resolve", args: []string{"--pull"}, verdict: "unreachable", says: []string{"no address in DNS"}},
		{name: "the registry is down", make: func(m *machine) { m.addHost(registryAddress, m.Registry(0)) }, args: []string{"--pull"}, verdict: "unreachable", says: []string{"nothing listens at"}},
		{name: "the registry takes another's login", make: func(m *machine) { m.serveLogins("no-login-of-the-cloud") }, args: []string{"--pull"}, verdict: "refused", says: []string{"manifest: ", "does not take this login"}},
		{
			name: "a pull secret is broken",
			make: func(m *machine) {
				m.write("secret.yaml", "kind: Secret\nmetadata: {namespace: shop, name: pull}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{\"auths\":{\"x\":{\"auth\":\"!\"}}}'}\n")
			},
			args: []string{"--pull-secret", "SECRET"}, verdict: "failed", says: []string{"pulls nothing for this pod", "shop/pull"},
		},
		{
			name: "nodes may not request tokens for the audience",
			make: func(m *machine) {
				m.provider()["tokenAttributes"] = map[string]any{"serviceAccountTokenAudience": "sts.amazonaws.com", "cacheType": "ServiceAccount", "requireServiceAccount": false}
				m.serveObjects(fake.Identity{})
				m.token = func(string, string) (string, error) { return "", errForbidden }
			},
			args: []string{"--pod", "shop/web-0"}, verdict: "failed", says: []string{"request-serviceaccounts-token-audience", "sts.amazonaws.com"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, clouds.All()[0])
			if c.make != nil {
				c.make(m)
			}
			m.start()
			if c.spoil != nil {
				c.spoil(m)
			}
			args := slices.Clone(c.args)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "SECRET", m.path("secret.yaml"))
			}
			args = append(args, m.Image(0)+":v1")
			var told string
			if c.verdict == "" {
				exit, stdout, stderr := m.run(append([]string{"get", m.kubeletFlag()}, args...)...)
				if told = stderr; exit != 1 || stdout != "" {
					t.Errorf("exit code %d, %s", exit, stdout)
				}
			} else {
				exit, report := m.get(args...)
				want := 1
				if c.verdict == "anonymous" {
					want = 0
				}
				told = report.Images[0].Message
				if exit != want || report.Images[0].Verdict != c.verdict {
					t.Errorf("exit code %d, %s: %s", exit, report.Images[0].Verdict, told)
				}
			}
			for _, word := range c.says {
				if !strings.Contains(told, word) {
					t.Errorf("it does not say %q: %s", word, told)
				}
			}
		})
	}
}

// errForbidden is how the API server refuses a node an audience.
var errForbidden = errors.New("audience not found in pod spec volume")

func TestGetAsksTheRegistry(t *testing.T) {
	t.Parallel()
	m := boot(t, clouds.All()[0])
	m.serveLogins("")
	// A pull secret and the node's docker configuration come first, and are not
	// taken.
	m.write("secret.json", `{"auths":{"`+m.Registry(0)+`":{"username":"old","password":"old-password-of-a-secret"}}}`)
	m.write("kubelet/config.json", `{"auths":{"`+m.Registry(0)+`":{"username":"node","password":"old-password-of-the-node"}}}`)
	m.start()
	exit, report := m.get("--pull", "--pull-secret", m.path("secret.json"), m.Image(0)+":v1")
	got := report.Images[0]
	if exit != 0 || got.Verdict != "credential" || len(got.Candidates) != 3 || !strings.Contains(got.Message, "after it has refused 2") {
		t.Fatalf("exit code %d, %+v", exit, got)
	}
	for i, from := range []string{"pull secret file/" + m.path("secret.json"), "docker file " + m.path("kubelet/config.json"), "provider " + m.Plugin} {
		c := got.Candidates[i]
		if c.From != from || len(c.Registry) != 1 || c.Registry[0].OK != (i == 2) {
			t.Errorf("candidate %d: %+v; want one from %s", i, c, from)
		}
	}
}

var timing = regexp.MustCompile(`("milliseconds": |"passwordLength": |process )\d+`)

// The report is for programs: a field that changes breaks them.
func TestGetReportIsVersioned(t *testing.T) {
	t.Parallel()
	m := boot(t, clouds.All()[0])
	m.serveLogins("")
	m.start()
	exit, stdout, stderr := m.run("get", "-o", "json", "--pull", m.kubeletFlag(), m.Image(0)+":v1", "docker.io/library/busybox")
	if exit != 1 { // Nothing is at Docker Hub here.
		t.Fatalf("exit code %d\n%s%s", exit, stdout, stderr)
	}
	got := timing.ReplaceAllString(strings.ReplaceAll(stdout, m.dir, "DIR"), "${1}0")
	got = regexp.MustCompile(`certificate until \d{4}-\d\d-\d\d`).ReplaceAllString(got, "certificate until DATE")
	golden := filepath.Join("testdata", "get.json")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
