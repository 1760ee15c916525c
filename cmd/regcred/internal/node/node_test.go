package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree is a node's file tree.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree { return tree{t, t.TempDir()} }

func (f tree) write(path, text string) {
	f.t.Helper()
	path = filepath.Join(f.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f tree) link(path, target string) {
	f.t.Helper()
	path = filepath.Join(f.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		f.t.Fatal(err)
	}
}

// process starts a process, as far as anybody can see.
func (f tree) process(pid string, command ...string) {
	f.t.Helper()
	f.write("proc/"+pid+"/cmdline", strings.Join(command, "\x00")+"\x00")
	f.write("proc/"+pid+"/environ", "PATH=/usr/bin\x00HTTPS_PROXY=http://proxy:3128\x00")
	f.link("proc/"+pid+"/cwd", "/")
}

func (f tree) find(o Options) *Node {
	f.t.Helper()
	o.Root = f.root
	n, err := Find(o)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

const kubeadm = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/crio/crio.sock
featureGates: {A: true, B: true}
authentication:
  anonymous: {enabled: false}
  x509: {clientCAFile: pki/ca.crt}
readOnlyPort: 10255
`

func TestKubelet(t *testing.T) {
	f := newTree(t)
	f.process("1", "/sbin/init")
	f.process("812", "/usr/bin/kubelet",
		"--image-credential-provider-config=/etc/old.yaml",
		"--image_credential_provider_config", "/etc/providers.yaml",
		"--v", "2",
		"--image-credential-provider-bin-dir=/opt/bin",
		"--kubeconfig", "/etc/kubernetes/kubelet.conf",
		"--config=/var/lib/kubelet/config.yaml",
		"--config-dir=/etc/kubelet.d",
		"--hostname-override=Node1",
		"--feature-gates=B=false",
		"--read-only-port=0",
		"--", "--root-dir=/elsewhere")
	f.write("var/lib/kubelet/config.yaml", kubeadm)
	f.write("etc/kubelet.d/10-a.conf", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxParallelImagePulls: 4\nimagePullCredentialsVerificationPolicy: NeverVerify\n")
	f.write("etc/kubelet.d/20/b.conf", `{"kind":"KubeletConfiguration","imagePullCredentialsVerificationPolicy":"AlwaysVerify","containerRuntimeEndpoint":null}`)
	f.write("etc/kubelet.d/30.yaml", "kind: KubeletConfiguration\nport: 1\n")

	n := f.find(Options{})
	if n.Process == nil || n.Process.PID != 812 || n.Process.Program != "kubelet" {
		t.Fatalf("process %v, notes %q", n.Process, n.Notes)
	}
	for got, want := range map[string]string{
		n.ProviderConfig:                         "/etc/providers.yaml",
		n.BinDir:                                 "/opt/bin",
		n.Kubeconfig:                             "/etc/kubernetes/kubelet.conf",
		n.RootDir:                                "/var/lib/kubelet",
		n.Name:                                   "node1",
		n.Configuration.ContainerRuntimeEndpoint: DefaultEndpoint,
		n.Configuration.Verification:             AlwaysVerify,
		n.Configuration.PodLogsDir:               "/var/log/pods",
		n.Configuration.Authentication.X509.ClientCAFile: "/var/lib/kubelet/pki/ca.crt",
		n.Path("/etc/providers.yaml"):                    filepath.Join(f.root, "etc/providers.yaml"),
		strings.Join(n.Notes, "; "):                      "",
		strings.Join(n.Env, " "):                         "PATH=/usr/bin HTTPS_PROXY=http://proxy:3128",
	} {
		if got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
	c := n.Configuration
	if c.Port != 10250 || c.ReadOnlyPort != 0 || *c.SerializeImagePulls || *c.MaxParallelImagePulls != 4 ||
		!c.FeatureGates["A"] || c.FeatureGates["B"] || c.Authentication.Anonymous.Enabled {
		t.Errorf("configuration %+v", c)
	}
	if err := n.NeedProviders(); err != nil {
		t.Error(err)
	}
}

func TestGivenPathsWin(t *testing.T) {
	f := newTree(t)
	f.process("5", "kubelet", "--image-credential-provider-config=/a", "--image-credential-provider-bin-dir=/b", "--config=/c", "--config-dir=/d")
	f.write("mine.yaml", "kind: KubeletConfiguration\nport: 7\n")
	f.write("d/x.conf", "kind: KubeletConfiguration\nport: 8\n")
	n := f.find(Options{ProviderConfig: "/x", BinDir: "/y", Kubeconfig: "/k", RootDir: "/r", KubeletConfig: "/mine.yaml"})
	if n.ProviderConfig != "/x" || n.BinDir != "/y" || n.Kubeconfig != "/k" || n.RootDir != "/r" || n.Configuration.Port != 7 {
		t.Errorf("%+v", n)
	}
	o := Options{Root: f.root, KubeletConfig: "/missing.yaml"}
	if _, err := Find(o); err == nil || !strings.Contains(err.Error(), "/missing.yaml") {
		t.Errorf("a configuration that was given and is not there: %v", err)
	}
}

func TestHostsOfAKubelet(t *testing.T) {
	k3s := func(f tree) {
		f.write("var/lib/rancher/credentialprovider/config.yaml", "x")
		f.write("var/lib/rancher/credentialprovider/bin/p", "x")
	}
	for _, test := range []struct {
		name                                  string
		command                               []string
		files                                 func(tree)
		config, kubeconfig, endpoint, rootDir string
	}{
		{
			name: "k3s with its title", command: []string{"/usr/local/bin/k3s server"}, files: k3s,
			config:     "/var/lib/rancher/credentialprovider/config.yaml",
			kubeconfig: "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
			endpoint:   "unix:///run/k3s/containerd/containerd.sock", rootDir: DefaultRootDir,
		},
		{
			name: "k3s with configuration files", command: []string{"/usr/local/bin/k3s agent"}, files: func(f tree) {
				k3s(f)
				f.write("etc/rancher/k3s/config.yaml", "data-dir: /data\nkubelet-arg: [root-dir=/lost]\n")
				f.write("etc/rancher/k3s/config.yaml.d/a.yaml", "kubelet-arg: [--root-dir=/kept]\n")
				f.write("etc/rancher/k3s/config.yaml.d/b.yaml", "kubelet-arg+: ['image-credential-provider-config=/own.yaml']\n")
			},
			config: "/own.yaml", kubeconfig: "/data/agent/kubelet.kubeconfig",
			endpoint: "unix:///run/k3s/containerd/containerd.sock", rootDir: "/kept",
		},
		{
			name: "k3s with flags, without providers", command: []string{"k3s", "server", "--kubelet-arg", "root-dir=/r", "-d", "/data"},
			kubeconfig: "/data/agent/kubelet.kubeconfig",
			endpoint:   "unix:///run/k3s/containerd/containerd.sock", rootDir: "/r",
		},
		{
			name: "MicroK8s", command: []string{"/snap/microk8s/9072/kubelite", "--proxy-args-file=/x", "--kubelet-args-file=/var/snap/microk8s/9072/args/kubelet"},
			files: func(f tree) {
				f.write("var/snap/microk8s/9072/args/kubelet", "# flags\n--kubeconfig=${SNAP_DATA}/credentials/kubelet.config\n--root-dir=\"${SNAP_COMMON}/var/lib/kubelet\"\n"+
					"--image-credential-provider-config ${SNAP_COMMON}/providers.yaml\n--container-runtime-endpoint=$SNAP_COMMON/run/containerd.sock\n")
			},
			config: "/var/snap/microk8s/common/providers.yaml", kubeconfig: "/var/snap/microk8s/9072/credentials/kubelet.config",
			endpoint: "/var/snap/microk8s/common/run/containerd.sock", rootDir: "/var/snap/microk8s/common/var/lib/kubelet",
		},
		{
			name: "hyperkube", command: []string{"/hyperkube", "kubelet", "--root-dir=/r", "--kubeconfig=/k"},
			kubeconfig: "/k", endpoint: DefaultEndpoint, rootDir: "/r",
		},
		{
			name: "MicroShift", command: []string{"/usr/bin/microshift", "run"}, files: func(f tree) {
				f.write("etc/microshift/config.yaml", "kubelet:\n  imageCredentialProviderConfigPath: /etc/p.yaml\n  imageCredentialProviderBinDir: /b\n")
			},
			config: "/etc/p.yaml", kubeconfig: "/var/lib/microshift/resources/kubelet/kubeconfig", endpoint: DefaultEndpoint, rootDir: DefaultRootDir,
		},
		{
			name: "k0s and RKE2, which start a kubelet", command: []string{"/var/lib/k0s/bin/kubelet", "--root-dir=/var/lib/k0s/kubelet", "--kubeconfig=/var/lib/k0s/kubelet.conf"},
			kubeconfig: "/var/lib/k0s/kubelet.conf", endpoint: DefaultEndpoint, rootDir: "/var/lib/k0s/kubelet",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newTree(t)
			f.process("70", test.command...)
			if test.files != nil {
				test.files(f)
			}
			n := f.find(Options{})
			if n.Process == nil {
				t.Fatalf("not found: %q", n.Notes)
			}
			got := []string{n.ProviderConfig, n.Kubeconfig, n.Configuration.ContainerRuntimeEndpoint, n.RootDir}
			if want := []string{test.config, test.kubeconfig, test.endpoint, test.rootDir}; !slices.Equal(got, want) {
				t.Errorf("got %q; want %q; notes %q", got, want, n.Notes)
			}
		})
	}
}

func TestWithoutKubelet(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(tree)
		want string
	}{
		{"nothing at all", func(tree) {}, "no processes to look at"},
		{"other processes", func(f tree) { f.process("1", "/sbin/init"); f.process("2", "/usr/bin/kubelet-exporter") }, "none of 2 processes is a kubelet"},
		{"a question about its version", func(f tree) { f.process("1", "init"); f.process("9", "kubelet", "--version") }, "none of 2"},
		{"only its runtime", func(f tree) { f.process("1", "init"); f.process("9", "/usr/bin/containerd") }, "containerd runs (process 9), but no kubelet"},
		{"in a container of somebody's", func(f tree) {
			f.process("1", "init")
			f.process("9", "kubelet", "--image-credential-provider-config=/trap")
			f.link("proc/self/ns/mnt", "mnt:[1]")
			f.link("proc/1/ns/mnt", "mnt:[1]")
			f.link("proc/9/ns/mnt", "mnt:[2]")
		}, "a kubelet runs in a container (process 9)"},
		{"in a container, where the first process is not to be seen", func(f tree) {
			f.process("1", "init")
			f.process("9", "kubelet", "--image-credential-provider-config=/trap")
			f.link("proc/self/ns/mnt", "mnt:[1]")
			f.link("proc/9/ns/mnt", "mnt:[2]")
		}, "a kubelet runs in a container (process 9)"},
		{"files of a platform", func(f tree) {
			f.write("etc/eks/image-credential-provider/config.json", "{}")
		}, "the files of EKS are here: give --config /etc/eks/image-credential-provider/config.json --bin-dir /etc/eks/image-credential-provider"},
		{"a kubelet without providers", func(f tree) { f.process("9", "kubelet") }, "process 9) has no credential providers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newTree(t)
			test.make(f)
			n := f.find(Options{})
			err := n.NeedProviders()
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "--bin-dir") {
				t.Errorf("got %v; want it to have %q", err, test.want)
			}
		})
	}
}

func TestKubeletInAContainer(t *testing.T) {
	f := newTree(t)
	f.process("9", "kubelet", "--image-credential-provider-config=/etc/p.yaml", "--config=conf.yaml", "--image-credential-provider-bin-dir=/bin")
	f.link("proc/self/ns/mnt", "mnt:[1]")
	f.link("proc/9/ns/mnt", "mnt:[2]")
	f.write("proc/9/root/real/p.yaml", "x")
	f.write("proc/9/root/conf.yaml", "kind: KubeletConfiguration\nport: 9\n")
	f.write("proc/9/root/etc/hostname", "Inside\n")
	f.link("proc/9/root/etc/p.yaml", "/real/p.yaml")
	n := f.find(Options{PID: 9, BinDir: "/mine"})
	if got, want := n.Path(n.ProviderConfig), filepath.Join(f.root, "proc/9/root/real/p.yaml"); got != want {
		t.Errorf("provider configuration %s; want %s", got, want)
	}
	if got, want := n.Path(n.BinDir+"/x"), filepath.Join(f.root, "mine/x"); got != want {
		t.Errorf("a binary that was given is at %s; want %s", got, want)
	}
	if n.Configuration.Port != 9 || n.Name != "inside" {
		t.Errorf("port %d, name %q", n.Configuration.Port, n.Name)
	}
	f.process("10", "sleep", "1")
	for pid, want := range map[int]string{10: "process 10 is no kubelet: sleep 1", 11: "no process 11"} {
		if _, err := Find(Options{Root: f.root, PID: pid}); err == nil || err.Error() != want {
			t.Errorf("process %d: %v; want %q", pid, err, want)
		}
	}
}

func TestLinksStayInTheTree(t *testing.T) {
	f := newTree(t)
	f.write("real/file", "x")
	f.link("a", "/real")
	f.link("b", "../../../../real")
	f.link("loop", "/loop")
	for path, want := range map[string]string{"/a/file": "real/file", "/b/file": "real/file", "/../a/new": "real/new", "/none/x": "none/x"} {
		if got := within(f.root, path); got != filepath.Join(f.root, want) {
			t.Errorf("%s is at %s; want %s", path, got, want)
		}
	}
	if got := within(f.root, "/loop/x"); !strings.HasPrefix(got, f.root) {
		t.Errorf("a circle leads to %s", got)
	}
}

func TestVersion(t *testing.T) {
	f := newTree(t)
	f.process("9", "kubelet")
	script := "#!/bin/sh\necho Kubernetes v1.37.2\n"
	f.write("proc/9/exe", script)
	if err := os.Chmod(filepath.Join(f.root, "proc/9/exe"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := f.find(Options{}).Version(t.Context())
	if got != "v1.37.2" || err != nil {
		t.Errorf("version %q, %v", got, err)
	}
}

func TestConfigurationChangedSince(t *testing.T) {
	f := newTree(t)
	f.process("9", "kubelet")
	f.write("proc/stat", "cpu 1 2\nbtime 1000000\n")
	f.write("proc/9/stat", "9 (ku) be let) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 50000 1 2")
	n := f.find(Options{})
	f.write("config/a.yaml", "x")
	path := filepath.Join(f.root, "config/a.yaml")
	for _, test := range []struct {
		written int64
		want    bool
	}{{1000499, false}, {1000501, false}, {1000503, true}} {
		at := time.Unix(test.written, 0)
		if err := errors.Join(os.Chtimes(path, at, at), os.Chtimes(filepath.Dir(path), time.Unix(1, 0), time.Unix(1, 0))); err != nil {
			t.Fatal(err)
		}
		if got := n.Process.Before(path); got != test.want {
			t.Errorf("a file of %d, and a process of 1000500: %t", test.written, got)
		}
		if got := n.Process.Before(filepath.Dir(path)); got != test.want {
			t.Errorf("the file's directory: %t; want %t", got, test.want)
		}
	}
}
