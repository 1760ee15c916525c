package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/registry"
	"regcred/shared/version"
)

// now is what the time is on the node.
var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

const (
	configPath  = "/etc/kubernetes/providers.yaml"
	binDir      = "/opt/credential-providers"
	programPath = binDir + "/cloud-credential-provider"
	image       = "team.registry.cloud/app"
)

// fixture is a node on which all is well, until a test changes something.
type fixture struct {
	t    *testing.T
	root string

	options Options
	find    node.Options

	flags   []string
	env     []string
	version string

	// check is what the plugin reports, with the exit code, and says on stderr.
	check  map[string]any
	exit   int
	stderr string

	// denied are audiences that the API server does not let the node have, except
	// for the service account some, as namespace/name.
	denied map[string]bool
	some   string
	// user is who the kubeconfig is of.
	user string
	// apiClock is how far the API server's clock is ahead.
	apiClock time.Duration

	metrics    string
	metricsErr error
	journal    string
	journalErr error
	system     FileSystem
	dialErr    error
	// registryFails is the stage at which a registry does not answer.
	registryFails string
	synced        bool
	syncErr       error
}

const config = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: cloud-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["*.registry.cloud"]
  defaultCacheDuration: 10m
  args: ["--role=pull"]
  env:
  - {name: CLOUD_REGION, value: here}
  tokenAttributes:
    serviceAccountTokenAudience: registry.cloud
    cacheType: ServiceAccount
    requireServiceAccount: false
`

// newFixture is a node with a kubelet that runs one provider, which is of this
// suite as far as it says so itself.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t: t, root: t.TempDir(), version: "v1.37.2",
		env:    []string{"PATH=/usr/bin:/bin", "HOME=/root"},
		flags:  []string{"--image-credential-provider-config=" + configPath, "--image-credential-provider-bin-dir=" + binDir, "--kubeconfig=/etc/kubernetes/kubelet.conf", "--config=/var/lib/kubelet/config.yaml", "--hostname-override=node1"},
		denied: map[string]bool{}, synced: true, user: "system:node:node1",
		system: FileSystem{Kind: "tmpfs", Memory: true, Free: 1 << 30, Files: 1 << 20},
		check: map[string]any{
			"apiVersion": "regcred/v1", "kind": "CredentialCheck", "plugin": "cloud-credential-provider", "version": version.Version(),
			"cacheDir": "/run/regcred", "outcome": "obtained", "source": "the cloud as the node", "caller": "role node",
			"asked": []any{asked("169.254.169.254", true, 200, 0), asked("sts.registry.cloud", false, 200, 0)},
		},
	}
	f.write(configPath, config, 0o644)
	f.write("/var/lib/kubelet/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nreadOnlyPort: 10255\n", 0o644)
	f.write("/run/regcred/lock", "", 0o600)
	f.chmod("/run/regcred", 0o700)
	f.pulled("a", "2026-11-01T00:00:00Z", `"old.registry.cloud/app":{"nodePodsAccessible":true}`)
	f.pulled("b", "2026-11-25T00:00:00Z", `"`+image+`":{"nodePodsAccessible":true},"busybox":{"nodePodsAccessible":true}`)
	// What a pod has pulled with its own credentials is no matter of the node's.
	f.pulled("c", "2026-11-26T00:00:00Z", `"private.registry.cloud/app":{"kubernetesSecrets":[{"uid":"1","namespace":"team","name":"login","credentialHash":"x"}]}`)
	f.program(programPath, "")
	return f
}

func asked(host string, metadata bool, status int, skew time.Duration) map[string]any {
	a := map[string]any{"host": host, "times": 1, "seconds": 0.01, "received": now.Format(time.RFC3339)}
	if metadata {
		a["metadata"] = true
	}
	if status == 0 {
		a["error"] = "connection refused"
	} else {
		a["status"], a["date"] = status, now.Add(skew).Format(time.RFC3339)
	}
	return a
}

func (f *fixture) path(path string) string { return filepath.Join(f.root, path) }

func (f *fixture) write(path, text string, mode os.FileMode) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(path)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(path), []byte(text), mode); err != nil {
		f.t.Fatal(err)
	}
	f.chmod(path, mode)
}

func (f *fixture) chmod(path string, mode os.FileMode) {
	f.t.Helper()
	if err := os.Chmod(f.path(path), mode); err != nil {
		f.t.Fatal(err)
	}
}

// pulled writes a record of the kubelet's.
func (f *fixture) pulled(id, at, names string) {
	f.t.Helper()
	f.write("/var/lib/kubelet/image_manager/pulled/sha256-"+id, `{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"ImagePulledRecord","lastUpdatedTime":"`+at+`","imageRef":"sha256:`+id+`","credentialMapping":{`+names+`}}`, 0o600)
}

func (f *fixture) remove(path string) {
	f.t.Helper()
	if err := os.RemoveAll(f.path(path)); err != nil {
		f.t.Fatal(err)
	}
}

// edit replaces a part of the configuration.
func (f *fixture) edit(old, replacement string) {
	f.t.Helper()
	text, err := os.ReadFile(f.path(configPath))
	if err != nil || !strings.Contains(string(text), old) {
		f.t.Fatalf("%v: no %q in the configuration", err, old)
	}
	f.write(configPath, strings.Replace(string(text), old, replacement, 1), 0o644)
}

// program writes a plugin of this suite, or one that is a script of its own.
func (f *fixture) program(path, script string) {
	f.t.Helper()
	if script == "" {
		script = fmt.Sprintf(`case "$1" in
--version=json) echo '{"name":"cloud-credential-provider","version":"%s","goVersion":"go1","platform":"linux/x"}';;
--check) cat >%[2]s/request; echo "$*" >%[2]s/args; cat %[2]s/stderr >&2; cat %[2]s/report; exit $(cat %[2]s/exit);;
*) exit 3;;
esac`, version.Version(), f.root)
	}
	f.write(path, "#!/bin/sh\n"+script+"\n", 0o755)
}

// node finishes the node's file tree.
func (f *fixture) node() *node.Node {
	f.t.Helper()
	f.write("/proc/1/cmdline", "/sbin/init\x00", 0o644)
	if f.flags != nil {
		f.write("/proc/812/cmdline", strings.Join(append([]string{"/usr/bin/kubelet"}, f.flags...), "\x00")+"\x00", 0o644)
		if f.env == nil {
			f.write("/proc/812/environ/x", "", 0o644) // which cannot be read
		} else {
			f.write("/proc/812/environ", strings.Join(f.env, "\x00")+"\x00", 0o644)
		}
		f.write("/proc/812/exe", "#!/bin/sh\necho Kubernetes "+f.version+"\n", 0o755)
	}
	report, err := json.Marshal(f.check)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("/report", string(report), 0o644)
	f.write("/stderr", f.stderr, 0o644)
	f.write("/exit", fmt.Sprint(f.exit), 0o644)
	f.find.Root = f.root
	n, err := node.Find(f.find)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// examine looks the node over.
func (f *fixture) examine(only ...string) Report {
	f.t.Helper()
	f.prepare(only...)
	return Examine(f.t.Context(), f.options)
}

func (f *fixture) prepare(only ...string) {
	f.t.Helper()
	f.apiServer()
	f.options.Node = f.node()
	f.options.Only = only
	f.options.System = System{
		Now:          func() time.Time { return now },
		Synchronised: func() (bool, error) { return f.synced, f.syncErr },
		FileSystem:   func(string) (FileSystem, error) { return f.system, nil },
		Journal:      func(context.Context, string, string) ([]byte, error) { return []byte(f.journal), f.journalErr },
		Dial:         func(context.Context, string) error { return f.dialErr },
		Registry: func(_ context.Context, image string) ([]registry.Result, error) {
			if f.registryFails == "image" {
				return nil, errors.New("no such image")
			}
			stages := []registry.Stage{{Name: registry.DNS, OK: true, Detail: "has 10.0.0.1"}, {Name: registry.Connect, OK: true, Detail: "10.0.0.1:443"}, {Name: registry.Token, OK: false, Detail: "401"}}
			for i := range stages {
				if stages[i].Name == f.registryFails {
					stages[i].OK, stages[i].Detail = false, image+" is not there"
					stages = stages[:i+1]
					break
				}
			}
			host, _, _ := strings.Cut(image, "/")
			return []registry.Result{{Endpoint: registry.Endpoint{URL: &url.URL{Scheme: "https", Host: host}}, Stages: stages}}, nil
		},
		Get: func(_ context.Context, url string) ([]byte, error) {
			if f.metricsErr != nil {
				return nil, f.metricsErr
			}
			if url != "http://127.0.0.1:10255/metrics" {
				return nil, errors.New("not there")
			}
			return []byte(f.metrics), nil
		},
	}
	if f.metrics == "" {
		f.metrics = healthyMetrics(f)
	}
	// What goes through the journal of a tree is looked for there.
	f.write("/var/log/journal/id/system.journal", "", 0o644)
}

func healthyMetrics(f *fixture) string {
	s := newSubject(f.t.Context(), f.options)
	hash := ""
	if config := s.config(); config != nil {
		hash = config.Hash
	}
	return `# HELP kubelet_credential_provider_plugin_duration x
kubelet_credential_provider_config_info{hash="` + hash + `"} 1
kubelet_credential_provider_plugin_duration_bucket{plugin_name="cloud-credential-provider",le="10"} 7
kubelet_credential_provider_plugin_duration_bucket{plugin_name="cloud-credential-provider",le="+Inf"} 7
kubelet_credential_provider_plugin_duration_count{plugin_name="cloud-credential-provider"} 7
other_metric 1
`
}

// apiServer starts an API server, and writes the kubelet's kubeconfig for it.
func (f *fixture) apiServer() {
	f.t.Helper()
	if f.options.Cluster != nil {
		return
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Date", time.Now().Add(f.apiClock).UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "application/json")
		switch request.URL.Path {
		case "/version":
			_, _ = io.WriteString(w, `{"gitVersion":"v1.37.2"}`)
		case "/apis/authentication.k8s.io/v1/selfsubjectreviews":
			_, _ = io.WriteString(w, `{"status":{"userInfo":{"username":"`+f.user+`"}}}`)
		case "/api/v1/pods":
			_, _ = io.WriteString(w, `{"items":[{"metadata":{"namespace":"shop"},"spec":{"serviceAccountName":"web"}},{"metadata":{"namespace":"jobs"},"spec":{"serviceAccountName":"batch"}}]}`)
		case "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/authorization.k8s.io/v1/subjectaccessreviews":
			var review struct {
				Spec struct {
					User       string         `json:"user"`
					Attributes cluster.Access `json:"resourceAttributes"`
				} `json:"spec"`
			}
			if json.NewDecoder(request.Body).Decode(&review) != nil || review.Spec.Attributes.Verb != cluster.AudienceVerb {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			a := review.Spec.Attributes
			// Whoever is no node may do everything himself.
			own := f.user != "system:node:node1" && review.Spec.User == ""
			allowed := own || !f.denied[a.Resource] || f.some != "" && f.some == a.Namespace+"/"+a.Name
			_, _ = fmt.Fprintf(w, `{"status":{"allowed":%t}}`, allowed)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"kind":"Status","reason":"Forbidden","message":"forbidden"}`)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	f.t.Cleanup(server.Close)
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if !exists(f.path("/etc/kubernetes/kubelet.conf")) {
		f.write("/etc/kubernetes/kubelet.conf", `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"clusters":[{"name":"c","cluster":{"server":"`+server.URL+`","certificate-authority-data":"`+ca+`"}}],"users":[{"name":"u","user":{"token":"`+jwtUntil(now.Add(30*24*time.Hour))+`"}}]}`, 0o600)
	}
	f.options.Cluster = func(ctx context.Context) (*cluster.Client, error) {
		return cluster.New(ctx, cluster.Options{Kubeconfig: "/etc/kubernetes/kubelet.conf", Path: f.path, Getenv: func(string) string { return "" }})
	}
}

// jwtUntil is a token that ends.
func jwtUntil(at time.Time) string {
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"somebody","exp":%d}`, at.Unix()))
	return "eyJhbGciOiJub25lIn0." + claims + ".c2lnbmF0dXJlLXNpZ25hdHVyZQ"
}

// certificateUntil is a certificate that ends, and its key.
func certificateUntil(t *testing.T, at time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "system:node:node1"}, NotBefore: at.Add(-365 * 24 * time.Hour), NotAfter: at}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// dockerConfig is a docker configuration with a login.
func dockerConfig(registry, user, password string) string {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return `{"auths":{"` + registry + `":{"auth":"` + auth + `"}}}`
}

// of are the results with a name.
func of(report Report, name string) []Result {
	return slices.DeleteFunc(slices.Clone(report.Results), func(r Result) bool { return r.Name != name })
}

func whole(r Result) string {
	return strings.Join(append([]string{r.Code, r.Name, string(r.Level), r.Subject, r.Message, r.Fix}, r.Evidence...), "\n")
}
