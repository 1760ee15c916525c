//go:build linux

package regcred_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// beKubelet is what a kubelet is to the tool: a process with its command line and
// environment, its version, and its metrics at the read-only port.
func beKubelet() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("Kubernetes v1.37.2")
		return
	}
	metrics := os.Getenv("FAKE_KUBELET_METRICS")
	listener, err := net.Listen("tcp", "127.0.0.1:10255")
	if err == nil {
		err = os.WriteFile(metrics+".ready", nil, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	err = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text, err := os.ReadFile(metrics)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write(text)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// machine is a node of a fake cloud with a kubelet.
type machine struct {
	*fake.Node
	t   *testing.T
	dir string // of the kubelet's files

	// config is the configuration of the providers, in JSON.
	config map[string]any
	pid    int

	mu sync.Mutex
	// denied are audiences that the API server does not let the node have.
	denied map[string]bool
	// ahead is how far the API server's clock is.
	ahead time.Duration
	// objects are what the API server has, by their paths, in JSON.
	objects map[string]string
	// token gives a service account a token, by the path and the audience.
	token func(path, audience string) (string, error)
}

// boot starts a node of a cloud whose kubelet runs that cloud's plugin.
func boot(t *testing.T, kind fake.Kind) *machine {
	t.Helper()
	node, err := kind.Boot(cloudtest.Apart(t))
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Node: node, t: t, dir: t.TempDir(), denied: map[string]bool{}}
	var env []map[string]string
	for _, variable := range node.Env {
		name, value, _ := strings.Cut(variable, "=")
		env = append(env, map[string]string{"name": name, "value": value})
	}
	host, _, _ := strings.Cut(node.Image(0), "/")
	m.config = map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig",
		"providers": []any{map[string]any{
			"name": kind.Plugin, "apiVersion": fake.V1, "matchImages": []string{host},
			"defaultCacheDuration": "10m", "args": node.Args, "env": env,
		}},
	}
	m.copy(cloudtest.Binary(kind.Plugin), filepath.Join("bin", kind.Plugin))
	m.write("kubeconfig", `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:6443"}}],"users":[{"name":"u","user":{"token":"node-token-of-the-kubeconfig"}}]}`)
	m.write("kubelet.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nreadOnlyPort: 10255\n")
	if err := node.Cloud.Serve(netip.MustParseAddrPort("127.0.0.1:6443"), http.HandlerFunc(m.apiServer)); err != nil {
		t.Fatal(err)
	}
	return m
}

// serveRegistry puts a registry where images are pulled from, which has an image
// for whoever logs in with what the cloud has issued. Those that issue logins
// themselves are there already.
func (m *machine) serveRegistry() {
	m.t.Helper()
	if slices.Contains([]string{"azure", "oracle"}, m.Name) {
		return
	}
	err := m.Cloud.ServeTLS(registryAddress, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		user, password, _ := request.BasicAuth()
		if _, err := m.Whose(m.Image(0), user, password); err != nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("a", 64))
	}), m.Registry(0))
	if err != nil {
		m.t.Fatal(err)
	}
}

var registryAddress = netip.MustParseAddr("10.87.0.1")

// provider is the one provider of the configuration.
func (m *machine) provider() map[string]any {
	return m.config["providers"].([]any)[0].(map[string]any)
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// copy copies a program into the node.
func (m *machine) copy(from, name string) {
	m.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	cloudtest.Program(m.t, m.path(name), text)
}

// start writes the configuration and starts the kubelet with it.
func (m *machine) start(env ...string) {
	m.t.Helper()
	text, err := json.Marshal(m.config)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("providers.json", string(text))
	m.write("metrics", "kubelet_credential_provider_config_info{hash=\""+hash(text)+"\"} 1\n")
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	command := exec.Command(self, "--image-credential-provider-config="+m.path("providers.json"), "--image-credential-provider-bin-dir="+m.path("bin"),
		"--root-dir="+m.path("kubelet"), "--kubeconfig="+m.path("kubeconfig"), "--config="+m.path("kubelet.yaml"), "--hostname-override=node1")
	command.Args[0] = "/usr/bin/kubelet"
	command.Dir = "/"
	command.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "FAKE_KUBELET_METRICS=" + m.path("metrics")}, env...)
	if err := m.Cloud.Start(command); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // which says that it was killed
	})
	m.pid = command.Process.Pid
	cloudtest.Eventually(m.t, "the kubelet has started", func() bool {
		_, err := os.Stat(m.path("metrics.ready"))
		return err == nil
	})
}

// hash is what the kubelet tells of a configuration of one file.
func hash(text []byte) string {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, uint64(len(text))) // A hash takes everything.
	h.Write(text)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// apiServer answers for the cluster.
func (m *machine) apiServer(w http.ResponseWriter, request *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Date", time.Now().Add(m.ahead).UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	if object, ok := m.objects[request.URL.Path]; ok {
		_, _ = io.WriteString(w, object)
		return
	}
	if m.token != nil && strings.HasSuffix(request.URL.Path, "/token") {
		m.giveToken(w, request)
		return
	}
	switch request.URL.Path {
	case "/version":
		_, _ = io.WriteString(w, `{"gitVersion":"v1.37.2"}`)
	case "/apis/authentication.k8s.io/v1/selfsubjectreviews":
		_, _ = io.WriteString(w, `{"status":{"userInfo":{"username":"system:node:node1"}}}`)
	case "/api/v1/namespaces/shop/serviceaccounts/web":
		_, _ = io.WriteString(w, `{"metadata":{"namespace":"shop","name":"web","uid":"1"}}`)
	case "/api/v1/namespaces/shop/serviceaccounts/web/token":
		// As NodeRestriction refuses it.
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","reason":"Forbidden","code":403,"message":"serviceaccounts \"web\" is forbidden: audience \"sts.amazonaws.com\" not found in pod spec volume, system:node:node1 is not authorized to request tokens for this audience"}`)
	case "/api/v1/pods":
		_, _ = io.WriteString(w, `{"items":[]}`)
	case "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
		var review struct {
			Spec struct {
				ResourceAttributes struct{ Verb, Resource string }
			}
		}
		_ = json.NewDecoder(request.Body).Decode(&review) // What is not there is refused.
		a := review.Spec.ResourceAttributes
		_, _ = fmt.Fprintf(w, `{"status":{"allowed":%t}}`, a.Verb == "request-serviceaccounts-token-audience" && !m.denied[a.Resource])
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","reason":"NotFound","message":"not found"}`)
	}
}

// run runs the tool on the node.
func (m *machine) run(args ...string) (exit int, stdout, stderr string) {
	m.t.Helper()
	return m.runAs(exec.Command(tool, args...))
}

// runAlone runs the tool where it sees no other process.
func (m *machine) runAlone(args ...string) (exit int, stdout, stderr string) {
	m.t.Helper()
	return m.runAs(exec.Command("unshare", append([]string{"--pid", "--fork", "--mount", "--mount-proc", tool}, args...)...))
}

func (m *machine) runAs(command *exec.Cmd) (exit int, stdout, stderr string) {
	m.t.Helper()
	command.Dir = "/"
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	var out, errs strings.Builder
	command.Stdout, command.Stderr = &out, &errs
	if err := m.Cloud.Start(command); err != nil {
		m.t.Fatal(err)
	}
	done := time.AfterFunc(90*time.Second, func() { _ = command.Process.Kill() })
	defer done.Stop()
	_ = command.Wait() // The exit code tells.
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// kubeletFlag names the kubelet: other kubelets may run beside the test.
func (m *machine) kubeletFlag() string { return "--kubelet-pid=" + strconv.Itoa(m.pid) }

// secrets is what nobody may be told.
func (m *machine) secrets() []string { return append(m.Secrets(), "node-token-of-the-kubeconfig") }
