//go:build !windows

package install

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/tree"
	"regcred/cmd/regcred/internal/tree/treetest"
	"regcred/shared/kubelet"
)

// machine is a node's tree, and plugins to install.
type machine struct {
	t       *testing.T
	dir     string
	plugins string

	// stop is called with the tree of the next run.
	stop func(*tree.Tree)
}

func newMachine(t *testing.T, files map[string]string) *machine {
	t.Helper()
	m := &machine{t: t, dir: treetest.Dir(t), plugins: t.TempDir()}
	treetest.Write(t, m.dir, map[string]string{"var/lib/": "", "etc/": "", "usr/": ""})
	treetest.Write(t, m.dir, files)
	m.release("one")
	return m
}

// release makes plugins of a release.
func (m *machine) release(name string) {
	m.t.Helper()
	for _, plugin := range Plugins() {
		treetest.Write(m.t, m.plugins, map[string]string{plugin.Name: "#!ours " + plugin.Name + " " + name})
	}
}

func (m *machine) open() *tree.Tree {
	m.t.Helper()
	opened, err := tree.Open(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = opened.Close() })
	if m.stop != nil {
		m.stop(opened)
	}
	return opened
}

// run plans and applies, as the verbs do.
func (m *machine) run(plan func(*tree.Tree, *change.Store) (*Plan, error)) (*Plan, error) {
	m.t.Helper()
	opened := m.open()
	store, err := change.Lock(m.t.Context(), opened, StateDir, nil)
	if err != nil {
		return nil, err
	}
	defer store.Unlock()
	if _, err := store.Recover(); err != nil {
		return nil, err
	}
	made, err := plan(opened, store)
	if err != nil || made == nil {
		return made, err
	}
	run := &Run{Store: store, Now: time.Now(), Say: func(string) {}}
	_, err = run.Apply(m.t.Context(), made)
	return made, err
}

func (m *machine) install(o Options) (*Plan, error) {
	m.t.Helper()
	return m.run(func(opened *tree.Tree, store *change.Store) (*Plan, error) {
		o.Tree, o.From, o.Now, o.Made, o.Release = opened, m.plugins, time.Now(), store.Made(), "test"
		return Install(o)
	})
}

func (m *machine) uninstall(o Options) (*Plan, error) {
	m.t.Helper()
	return m.run(func(opened *tree.Tree, store *change.Store) (*Plan, error) {
		o.Tree, o.Now = opened, time.Now()
		plan, err := Uninstall(o)
		if plan != nil {
			store.Prune(plan.Former.Directories)
		}
		return plan, err
	})
}

func (m *machine) mustInstall(o Options) *Plan {
	m.t.Helper()
	plan, err := m.install(o)
	if err != nil {
		m.t.Fatal(err)
	}
	return plan
}

func (m *machine) mustUninstall() *Plan {
	m.t.Helper()
	plan, err := m.uninstall(Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	return plan
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	full := filepath.Join(m.dir, name)
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *machine) snapshot() string {
	m.t.Helper()
	return treetest.Snapshot(m.t, m.dir)
}

// wantStatus fails the test unless the status has these problems, in order.
func (m *machine) wantStatus(k *Kubelet, problems ...string) *Status {
	m.t.Helper()
	status, err := Examine(m.open(), k)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(status.Problems) != len(problems) {
		m.t.Errorf("problems %q, want %q", status.Problems, problems)
		return status
	}
	for i, problem := range problems {
		if !strings.Contains(status.Problems[i], problem) {
			m.t.Errorf("problem %q, want %q", status.Problems[i], problem)
		}
	}
	return status
}

const vendorEntry = `- name: ecr-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  defaultCacheDuration: 12h
  matchImages: ["*.dkr.ecr.*.amazonaws.com"]
  args: [get-credentials]
`

const vendorConfig = head + "providers:\n" + vendorEntry

// The vendor's plugin is replaced, and comes back as it was.
func eks() map[string]string {
	return map[string]string{
		"etc/eks/image-credential-provider/config.json":             vendorConfig,
		"etc/eks/image-credential-provider/ecr-credential-provider": "#!the vendor's",
	}
}

const kubeadmUnit = `[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--kubeconfig=/etc/kubernetes/kubelet.conf"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`

func kubeadm() map[string]string {
	return map[string]string{
		"usr/bin/kubeadm":                                      "#!kubeadm",
		"lib/systemd/system/kubelet.service":                   "[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\n",
		"usr/lib/systemd/system":                               "-> /lib/systemd/system",
		"lib/systemd/system/kubelet.service.d/10-kubeadm.conf": kubeadmUnit,
	}
}

func TestPlatforms(t *testing.T) {
	osRelease := func(id string) map[string]string { return map[string]string{"etc/os-release": "ID=" + id + "\n"} }
	with := func(maps ...map[string]string) map[string]string {
		all := map[string]string{}
		for _, m := range maps {
			for name, text := range m {
				all[name] = text
			}
		}
		return all
	}
	for _, tc := range []struct {
		name, platform string
		files          map[string]string
		options        Options
		plugin, config string // where they are put
		flags          string // the file by which the kubelet is told, if it has to be
		advice         string
	}{
		{"EKS", "eks", eks(), Options{}, "etc/eks/image-credential-provider/ecr-credential-provider", "", "", ""},
		{"AKS", "aks", map[string]string{"opt/azure/": "", "etc/kubernetes/azure.json": "{}"}, Options{},
			"var/lib/kubelet/credential-provider/acr-credential-provider", "", "", ""},
		{"AKS with a plugin besides its own", "aks", map[string]string{"opt/azure/": "", "etc/kubernetes/azure.json": "{}"}, Options{Providers: []string{"ecr", "acr"}},
			"var/lib/kubelet/credential-provider/ecr-credential-provider", "var/lib/kubelet/credential-provider-config.yaml", "", ""},
		{"an image of EKS", "eks", map[string]string{"etc/eks/": ""}, Options{}, "etc/eks/image-credential-provider/ecr-credential-provider", "", "", ""},
		{"Cluster API on Azure", "capz", map[string]string{"var/lib/kubelet/credential-provider/": ""}, Options{},
			"var/lib/kubelet/credential-provider/acr-credential-provider", "var/lib/kubelet/credential-provider-config.yaml", "", "kubeletExtraArgs"},
		{"GKE", "gke", with(osRelease("cos"), map[string]string{"etc/srv/kubernetes/": "", "home/kubernetes/bin/": ""}), Options{},
			"home/kubernetes/bin/gcr-credential-provider", "etc/srv/kubernetes/cri_auth_config.yaml", "", ""},
		{"kOps", "kops", map[string]string{"opt/kops/": ""}, Options{Clouds: []string{"aws"}},
			"usr/local/bin/ecr-credential-provider", "var/lib/kubelet/credential-provider.conf", "", ""},
		{"kOps on Flatcar", "kops", with(osRelease("flatcar"), map[string]string{"opt/kops/": ""}), Options{Clouds: []string{"gcp"}},
			"opt/kubernetes/bin/gcr-credential-provider", "var/lib/kubelet/credential-provider.conf", "", ""},
		{"k3s", "k3s", map[string]string{"usr/local/bin/k3s": "#!k3s"}, Options{Providers: []string{"icr"}},
			"var/lib/rancher/credentialprovider/bin/icr-credential-provider", "var/lib/rancher/credentialprovider/config.yaml", "", ""},
		{"RKE2", "rke2", map[string]string{"etc/rancher/rke2/": ""}, Options{Clouds: []string{"oracle"}},
			"var/lib/rancher/credentialprovider/bin/ocir-credential-provider", "var/lib/rancher/credentialprovider/config.yaml", "", ""},
		{"MicroK8s", "microk8s", map[string]string{"var/snap/microk8s/100/args/kubelet": "--kubeconfig=x\n", "var/snap/microk8s/current": "-> 100"}, Options{Clouds: []string{"aws"}},
			"var/snap/microk8s/common/regcred/bin/ecr-credential-provider", "var/snap/microk8s/common/credential-provider-config.yaml", "var/snap/microk8s/100/args/kubelet", ""},
		{"MicroK8s without arguments yet", "microk8s", map[string]string{"var/snap/microk8s/": ""}, Options{Clouds: []string{"aws"}},
			"var/snap/microk8s/common/regcred/bin/ecr-credential-provider", "var/snap/microk8s/common/credential-provider-config.yaml", "", "/var/snap/microk8s/current/args/kubelet, one a line"},
		{"k3s with places of one's own", "k3s", map[string]string{"usr/local/bin/k3s": "#!k3s"}, Options{Clouds: []string{"aws"}, BinDir: "/g/bin", Config: "/g/c.yaml"},
			"g/bin/ecr-credential-provider", "g/c.yaml", "", "in /etc/rancher/k3s/config.yaml"},
		{"k0s", "k0s", map[string]string{"var/lib/k0s/": ""}, Options{Clouds: []string{"aws"}},
			"usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/ecr-credential-provider", "etc/regcred/credential-providers.yaml", "", "--kubelet-extra-args"},
		{"Gardener with ECR", "gardener", map[string]string{"var/lib/gardener-node-agent/": "", "opt/gardener/ecr-credential-provider-config.json": vendorConfig, "opt/bin/ecr-credential-provider": "#!the vendor's"}, Options{},
			"opt/bin/ecr-credential-provider", "", "", "OperatingSystemConfig"},
		{"MicroShift", "microshift", map[string]string{"etc/microshift/": ""}, Options{Clouds: []string{"aws"}},
			"usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/ecr-credential-provider", "etc/microshift/credential-providers.yaml", "", "/etc/microshift/config.yaml"},
		{"OKE", "oke", map[string]string{"etc/oke/": ""}, Options{},
			"usr/local/bin/ocir-credential-provider", "etc/kubernetes/credential-provider-config.yaml", "", "oke-init.sh"},
		{"kubeadm", "kubeadm", kubeadm(), Options{Clouds: []string{"ibm"}},
			"usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/icr-credential-provider", "etc/regcred/credential-providers.yaml", "etc/systemd/system/kubelet.service.d/90-regcred.conf", ""},
		{"kubeadm with a file of arguments", "kubeadm", with(kubeadm(), map[string]string{"etc/default/kubelet": "# mine\nKUBELET_EXTRA_ARGS=\n"}), Options{Clouds: []string{"ibm"}},
			"usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/icr-credential-provider", "etc/regcred/credential-providers.yaml", "etc/default/kubelet", ""},
		{"kubeadm with arguments in a drop-in", "kubeadm", with(kubeadm(), map[string]string{"etc/systemd/system/kubelet.service.d/20-mine.conf": "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--v=4\n"}), Options{Clouds: []string{"ibm"}},
			"usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/icr-credential-provider", "etc/regcred/credential-providers.yaml", "", "KUBELET_EXTRA_ARGS"},
		{"kubeadm without flags of ours", "kubeadm", kubeadm(), Options{Clouds: []string{"ibm"}, NoFlags: true},
			"usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/icr-credential-provider", "etc/regcred/credential-providers.yaml", "", "KUBELET_EXTRA_ARGS"},
		{"a kubelet that is told", "kubeadm", with(kubeadm(), map[string]string{"etc/default/kubelet": "KUBELET_EXTRA_ARGS='--image-credential-provider-config=/a/b.yaml --image-credential-provider-bin-dir /a/bin'\n"}), Options{Clouds: []string{"ibm"}},
			"a/bin/icr-credential-provider", "a/b.yaml", "", ""},
		{"image-builder", "image-builder", with(kubeadm(), map[string]string{
			"var/usr/ecr-credential-provider/ecr-credential-provider-config": vendorConfig, "opt/bin/ecr-credential-provider": "#!the vendor's",
			"etc/default/kubelet": "KUBELET_EXTRA_ARGS=--image-credential-provider-config=/var/usr/ecr-credential-provider/ecr-credential-provider-config --image-credential-provider-bin-dir=/opt/bin\n",
		}), Options{}, "opt/bin/ecr-credential-provider", "", "", ""},
		{"a kubelet that runs", "generic", nil, Options{Clouds: []string{"gcp"}, Running: &Running{PID: 7, BinDir: "/r/bin", Config: "/r/c.yaml"}},
			"r/bin/gcr-credential-provider", "r/c.yaml", "", ""},
		{"a directory of configurations", "generic", map[string]string{"r/c.d/10-theirs.yaml": strings.ReplaceAll(vendorConfig, "ecr-", "their-"), "r/bin/their-credential-provider": "#!theirs"},
			Options{Clouds: []string{"gcp"}, Running: &Running{PID: 7, BinDir: "/r/bin", Config: "/r/c.d"}},
			"r/bin/gcr-credential-provider", "r/c.d/regcred.yaml", "", ""},
		{"places that were given", "generic", nil, Options{Clouds: []string{"gcp"}, BinDir: "/g/bin", Config: "/g/c.yaml"},
			"g/bin/gcr-credential-provider", "g/c.yaml", "", "command line"},
		{"Google's plugin by its vendor's name", "kops", map[string]string{"opt/kops/": "",
			"var/lib/kubelet/credential-provider.conf": strings.ReplaceAll(vendorConfig, "ecr-credential", "gcp-credential"), "usr/local/bin/gcp-credential-provider": "#!the vendor's"},
			Options{Clouds: []string{"gcp"}}, "usr/local/bin/gcp-credential-provider", "", "", ""},
		{"Oracle's plugin by its vendor's name", "oke", map[string]string{"etc/oke/": "",
			"etc/kubernetes/credential-provider-config.yaml": strings.ReplaceAll(vendorConfig, "ecr-credential-provider", "credential-provider-oke"), "usr/local/bin/credential-provider-oke": "#!the vendor's"},
			Options{}, "usr/local/bin/credential-provider-oke", "", "", "oke-init.sh"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t, tc.files)
			before := m.snapshot()
			plan := m.mustInstall(tc.options)
			if plan.Platform.Name != tc.platform {
				t.Errorf("platform %s, want %s", plan.Platform.Name, tc.platform)
			}
			if got := m.read(tc.plugin); !strings.HasPrefix(got, "#!ours") {
				t.Errorf("%s is %q", tc.plugin, got)
			}
			var texts []string
			for _, text := range plan.Texts {
				texts = append(texts, strings.TrimPrefix(text.Path, "/"))
			}
			var want []string
			for _, name := range []string{tc.config, tc.flags} {
				if name != "" {
					want = append(want, name)
				}
			}
			if !slices.Equal(texts, want) {
				t.Errorf("texts %q, want %q", texts, want)
			}
			if tc.flags != "" {
				if text := m.read(tc.flags); flagIn([]byte(text), ConfigFlag) != plan.Wiring.Config || flagIn([]byte(text), binDirFlag) != plan.Wiring.BinDir {
					t.Errorf("%s does not tell the kubelet:\n%s", tc.flags, text)
				}
			}
			if (tc.advice == "") != (plan.Wiring.Advice == "") || !strings.Contains(plan.Wiring.Advice, tc.advice) {
				t.Errorf("advice %q, want %q", plan.Wiring.Advice, tc.advice)
			}
			// Again it changes nothing, also with other words that mean the same.
			after := m.snapshot()
			for _, options := range []Options{tc.options, {Running: tc.options.Running, NoFlags: tc.options.NoFlags}} {
				if again := m.mustInstall(options); !again.Empty() {
					t.Errorf("the second run changes %q", again.Summary())
				}
				if got := m.snapshot(); got != after {
					t.Errorf("the second run changed something:\n%s\nwant\n%s", got, after)
				}
			}
			switch {
			case tc.advice != "":
				m.wantStatus(nil, "the kubelet is not told of it")
			case tc.options.Running == nil:
				m.wantStatus(nil)
			default:
				m.wantStatus(&Kubelet{Running: *tc.options.Running})
			}
			if tc.options.Running != nil && !plan.Wiring.Told {
				t.Error("the kubelet that runs is told")
			}
			// Who told the kubelet has to take that back; that is a test of its own.
			if _, err := m.uninstall(Options{Force: tc.name == "a kubelet that is told"}); err != nil {
				t.Fatal(err)
			}
			if got := m.snapshot(); got != before {
				t.Errorf("after uninstall:\n%s\nwant\n%s", got, before)
			}
		})
	}
}

func TestImmutablePlatformsAreRefusedWithAWayOut(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"machine's, as KubeCredentialProviderConfig": {"etc/os-release": "ID=talos\n"},
		"settings.kubernetes.credential-providers":   {"etc/os-release": "NAME=Bottlerocket\nID=\"bottlerocket\"\n"},
		"MachineConfig":           {"usr/lib/os-release": "ID=\"rhel\"\nOPENSHIFT_VERSION=\"4.21\"\n"},
		"Machine Config Operator": {"etc/machine-config-daemon/": ""},
	} {
		m := newMachine(t, files)
		before := m.snapshot()
		_, err := m.install(Options{Clouds: []string{"aws"}})
		if refused, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(refused.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := m.snapshot(); got != before {
			t.Errorf("%s: something was changed:\n%s", name, got)
		}
	}
}

func TestDetectCloud(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"aws":    {"sys/class/dmi/id/sys_vendor": "Amazon EC2\n"},
		"gcp":    {"sys/class/dmi/id/product_name": "Google Compute Engine\n"},
		"azure":  {"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n", "sys/class/dmi/id/chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77\n"},
		"oracle": {"sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/chassis_asset_tag": "OracleCloud.com\n"},
		"ibm":    {"sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/chassis_vendor": "IBM:Cloud Compute Server 1.0:bx2-2x8\n"},
		"":       {"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n", "sys/class/dmi/id/chassis_asset_tag": "None\n"},
	} {
		m := newMachine(t, files)
		if got := DetectCloud(m.open()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		plan, err := m.install(Options{})
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "give --cloud")):
			t.Errorf("got %v", err)
		case want != "" && err != nil:
			t.Errorf("%s: %v", want, err)
		case want != "":
			if plugin, _ := pluginOf(plan.Record.Providers[0].Name); plugin.Cloud != want || len(plan.Record.Providers) != 1 {
				t.Errorf("%s: got %v", want, plan.Record.Providers)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	inDir := &Running{PID: 7, BinDir: "/r/bin", Config: "/r/c.d"}
	for _, tc := range []struct {
		name    string
		files   map[string]string
		prepare func(dir string) error
		options Options
		want    string
	}{
		{"a group may write on the way to the plugins", eks(), func(dir string) error { return os.Chmod(dir+"/etc/eks/image-credential-provider", 0o775) }, Options{},
			"/etc/eks/image-credential-provider: writable by others"},
		{"everybody may write on the way", eks(), func(dir string) error { return os.Chmod(dir+"/etc", 0o777) }, Options{}, "/etc: writable by others"},
		{"everybody may write the configuration", eks(), func(dir string) error { return os.Chmod(dir+"/etc/eks/image-credential-provider/config.json", 0o666) }, Options{},
			"config.json: writable by others"},
		{"somebody's directory", eks(), func(dir string) error { return os.Chown(dir+"/etc/eks", 4711, 0) }, Options{}, "/etc/eks: owned by user 4711"},
		{"a configuration that the kubelet refuses", map[string]string{"etc/eks/image-credential-provider/config.json": vendorConfig + "  cache: 1\n"}, nil, Options{}, "keeps the kubelet from starting"},
		{"a foreign provider without a program", map[string]string{"etc/eks/image-credential-provider/config.json": strings.ReplaceAll(vendorConfig, "ecr-", "their-")}, nil, Options{},
			`provider "their-credential-provider" has no program`},
		{"a foreign program that is none", map[string]string{"etc/eks/image-credential-provider/config.json": strings.ReplaceAll(vendorConfig, "ecr-", "their-"),
			"etc/eks/image-credential-provider/their-credential-provider": "no mode of a program"}, nil, Options{}, "has no program"},
		{"one name in two files", map[string]string{"r/c.d/a.yaml": vendorConfig, "r/c.d/b.yml": vendorConfig, "r/bin/": ""}, nil, Options{Running: inDir, Clouds: []string{"aws"}}, "again, after"},
		{"a directory for k3s", map[string]string{"usr/bin/k3s": "#!", "var/lib/rancher/credentialprovider/config.yaml/": ""}, nil, Options{Clouds: []string{"aws"}}, "reads a file alone"},
		{"an unknown cloud", nil, nil, Options{Clouds: []string{"cloud9"}}, "want one of aws, gcp, azure, oracle, ibm"},
		{"an unknown provider", nil, nil, Options{Providers: []string{"x"}}, "want one of ecr"},
		{"an unknown platform", nil, nil, Options{Platform: "x"}, "want one of aks"},
		{"docker configurations of no registry", nil, nil, Options{Providers: []string{"dockerconfig"}}, "give --match-images"},
		{"docker configurations of no registry, besides a cloud", nil, nil, Options{Providers: []string{"dockerconfig"}, Clouds: []string{"aws"}}, "give --match-images"},
		{"docker configurations of a file alone", nil, nil, Options{Providers: []string{"dockerconfig"}, Args: []string{"--file=/a"}}, "give --match-images"},
		{"patterns for two", nil, nil, Options{Clouds: []string{"aws", "gcp"}, MatchImages: []string{"a"}}, "for one provider"},
		{"patterns for the vendor's entry", eks(), nil, Options{MatchImages: []string{"a"}}, "stays as it is: change it there"},
		{"a pattern that is none", nil, nil, Options{Clouds: []string{"aws"}, MatchImages: []string{"a:*"}}, "would not start"},
		{"one flag of two", map[string]string{"etc/default/kubelet": "KUBELET_EXTRA_ARGS=--image-credential-provider-bin-dir=/x\n"}, nil, Options{Clouds: []string{"aws"}}, "without the other"},
		{"a path of two words", nil, nil, Options{Clouds: []string{"aws"}, Config: "/a b"}, "without blanks"},
		{"a relative path", nil, nil, Options{Clouds: []string{"aws"}, BinDir: "a"}, "absolute"},
		{"a plugin that is a directory", map[string]string{"usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/ecr-credential-provider/": ""}, nil, Options{Clouds: []string{"aws"}}, "neither a file nor a link"},
		{"a configuration that is a device", nil, func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/etc/regcred", 0o755), os.Symlink("/dev/null", dir+"/etc/regcred/x"))
		},
			Options{Clouds: []string{"aws"}, Config: "/etc/regcred/x/y"}, ""},
		{"a kubelet that is too old for tokens", nil, nil, Options{Entries: []kubeletconfig.CredentialProvider{podsEntry()}, Minor: 32}, "the kubelet (1.32) would not start"},
		{"an entry that is not ours", nil, nil, Options{Entries: []kubeletconfig.CredentialProvider{provider("their-credential-provider")}}, "not one of ours"},
		{"an entry that is there", eks(), nil, Options{Entries: []kubeletconfig.CredentialProvider{provider("ecr-credential-provider")}}, "already"},
		{"no plugin to install", nil, func(string) error { return nil }, Options{Providers: []string{"ecr"}, Release: "gone"}, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t, tc.files)
			if tc.prepare != nil {
				if err := tc.prepare(m.dir); errors.Is(err, os.ErrPermission) {
					t.Skip("only root gives files away")
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if tc.options.Release == "gone" {
				m.plugins = t.TempDir()
			}
			before := m.snapshot()
			_, err := m.install(tc.options)
			if err == nil && tc.want != "" || err != nil && tc.want != "" && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
			if got := m.snapshot(); err != nil && got != before {
				t.Errorf("something was changed:\n%s\nwant\n%s", got, before)
			}
		})
	}
}

func podsEntry() kubeletconfig.CredentialProvider {
	p := full()
	p.Name = "ecr-credential-provider-pods"
	return p
}

// One plugin twice: with the node's identity and with the pods'.
func TestASecondNameForAPlugin(t *testing.T) {
	m := newMachine(t, eks())
	before := m.snapshot()
	m.mustInstall(Options{Entries: []kubeletconfig.CredentialProvider{podsEntry()}})
	if got := m.read("etc/eks/image-credential-provider/ecr-credential-provider-pods"); !strings.HasPrefix(got, "#!ours ecr-") {
		t.Errorf("got %q", got)
	}
	if got := m.read("etc/eks/image-credential-provider/ecr-credential-provider"); got != "#!the vendor's" {
		t.Errorf("the vendor's own: %q", got)
	}
	m.mustUninstall()
	if got := m.snapshot(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestUpgradeAndDowngradeKeepTheWayBack(t *testing.T) {
	m := newMachine(t, eks())
	before := m.snapshot()
	for _, release := range []string{"one", "two", "one"} {
		m.release(release)
		m.mustInstall(Options{Clouds: []string{"aws", "gcp"}})
		if got := m.read("etc/eks/image-credential-provider/ecr-credential-provider"); got != "#!ours ecr-credential-provider "+release {
			t.Errorf("release %s: got %q", release, got)
		}
		m.wantStatus(nil)
	}
	names, err := os.ReadDir(filepath.Join(m.dir, StateDir, backupDir))
	if err != nil || len(names) != 2 {
		t.Errorf("backups %v, %v; want the vendor's program and configuration", names, err)
	}
	m.mustUninstall()
	if got := m.snapshot(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestWhatIsNotAskedForAnyMoreGoes(t *testing.T) {
	m := newMachine(t, eks())
	m.mustInstall(Options{Clouds: []string{"aws"}})
	want := m.snapshot()
	m.mustInstall(Options{Clouds: []string{"gcp", "aws", "azure"}})
	m.mustInstall(Options{Clouds: []string{"aws"}})
	got := m.snapshot()
	// The record has another time.
	strip := func(text string) string {
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.Contains(line, recordFile) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	if m.read("etc/eks/image-credential-provider/config.json") != vendorConfig {
		t.Errorf("the configuration:\n%s", m.read("etc/eks/image-credential-provider/config.json"))
	}
	for _, gone := range []string{"gcr-credential-provider", "acr-credential-provider"} {
		if strings.Contains(got, gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	if strings.Count(strip(got), "\n") != strings.Count(strip(want), "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	m.wantStatus(nil)
}

// Others change what we changed: their changes stay.
func TestDrift(t *testing.T) {
	const config = "etc/eks/image-credential-provider/config.json"
	const plugin = "etc/eks/image-credential-provider/ecr-credential-provider"
	theirs := strings.ReplaceAll(vendorEntry, "ecr-", "their-")
	program := map[string]string{"etc/eks/image-credential-provider/their-credential-provider": "#!theirs"}
	t.Run("another provider was added behind ours", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{Clouds: []string{"aws", "gcp"}})
		treetest.Write(t, m.dir, program)
		m.write(config, m.read(config)+theirs)
		m.wantStatus(nil, "config.json was changed by somebody else")
		m.mustUninstall()
		if got := m.read(config); got != vendorConfig+theirs {
			t.Errorf("got\n%s", got)
		}
	})
	t.Run("and then a newer release came", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{Clouds: []string{"aws", "gcp"}})
		treetest.Write(t, m.dir, program)
		m.write(config, m.read(config)+theirs)
		m.release("two")
		m.mustInstall(Options{})
		m.wantStatus(nil)
		if again := m.mustInstall(Options{}); !again.Empty() {
			t.Errorf("again: %q", again.Summary())
		}
		m.mustUninstall()
		if got := m.read(config); got != vendorConfig+theirs {
			t.Errorf("got\n%s", got)
		}
		if got := m.read(plugin); got != "#!the vendor's" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("the configuration was written again without ours", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{Clouds: []string{"aws", "gcp"}})
		newer := strings.ReplaceAll(vendorConfig, "12h", "6h")
		m.write(config, newer)
		if plan := m.mustInstall(Options{}); plan.Empty() || !plan.Restart {
			t.Error("nothing to change")
		}
		m.wantStatus(nil)
		m.mustUninstall()
		if got := m.read(config); got != newer {
			t.Errorf("got\n%s", got)
		}
	})
	t.Run("what is ours was edited", func(t *testing.T) {
		m := newMachine(t, eks())
		before := m.snapshot()
		m.mustInstall(Options{Clouds: []string{"aws", "gcp"}})
		m.write(config, strings.ReplaceAll(m.read(config), "*.gcr.io", "*.edited"))
		after := m.snapshot()
		if _, err := m.uninstall(Options{}); !errors.Is(err, errChanged) {
			t.Errorf("got %v", err)
		}
		if got := m.snapshot(); got != after {
			t.Errorf("something was changed:\n%s", got)
		}
		if _, err := m.uninstall(Options{Force: true}); err != nil {
			t.Fatal(err)
		}
		if got := m.snapshot(); got != before {
			t.Errorf("got\n%s\nwant\n%s", got, before)
		}
	})
	t.Run("the vendor's package was upgraded over ours", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{})
		if err := os.WriteFile(filepath.Join(m.dir, plugin), []byte("#!the vendor's newer"), 0o755); err != nil {
			t.Fatal(err)
		}
		m.wantStatus(nil, "was changed by somebody else")
		plan := m.mustUninstall()
		if got := m.read(plugin); got != "#!the vendor's newer" || len(plan.Notes) != 1 {
			t.Errorf("got %q, notes %q", got, plan.Notes)
		}
	})
	t.Run("and ours was installed again", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{})
		if err := os.WriteFile(filepath.Join(m.dir, plugin), []byte("#!the vendor's newer"), 0o755); err != nil {
			t.Fatal(err)
		}
		m.mustInstall(Options{})
		m.wantStatus(nil)
		m.mustUninstall()
		if got := m.read(plugin); got != "#!the vendor's newer" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a program of ours is gone", func(t *testing.T) {
		m := newMachine(t, eks())
		before := m.snapshot()
		m.mustInstall(Options{})
		if err := os.Remove(filepath.Join(m.dir, plugin)); err != nil {
			t.Fatal(err)
		}
		m.wantStatus(nil, "is gone", "has no program")
		m.mustUninstall()
		if got := m.snapshot(); got != before {
			t.Errorf("got\n%s\nwant\n%s", got, before)
		}
	})
	t.Run("the mode of a program", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{})
		if err := os.Chmod(filepath.Join(m.dir, plugin), 0o777); err != nil {
			t.Fatal(err)
		}
		m.wantStatus(nil, "another owner or mode")
		if plan := m.mustInstall(Options{}); plan.Empty() {
			t.Error("left as it is")
		}
		m.wantStatus(nil)
	})
	t.Run("arguments were added in the file of flags", func(t *testing.T) {
		files := kubeadm()
		files["etc/default/kubelet"] = "KUBELET_EXTRA_ARGS=--v=2\n"
		m := newMachine(t, files)
		m.mustInstall(Options{Clouds: []string{"aws"}})
		m.write("etc/default/kubelet", "# mine\n"+m.read("etc/default/kubelet"))
		m.mustUninstall()
		if got := m.read("etc/default/kubelet"); got != "# mine\nKUBELET_EXTRA_ARGS=--v=2\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("the backup is gone", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{})
		if err := os.RemoveAll(filepath.Join(m.dir, StateDir, backupDir)); err != nil {
			t.Fatal(err)
		}
		after := m.snapshot()
		if _, err := m.uninstall(Options{}); err == nil || !strings.Contains(err.Error(), "backup of") {
			t.Errorf("got %v", err)
		}
		if got := m.snapshot(); got != after {
			t.Errorf("something was changed:\n%s", got)
		}
	})
}

// A kubelet that goes on being told of what is gone would not start.
func TestUninstallLeavesNoKubeletBehindThatDoesNotStart(t *testing.T) {
	t.Run("somebody gave it the flags", func(t *testing.T) {
		m := newMachine(t, map[string]string{"etc/oke/": ""})
		m.mustInstall(Options{})
		running := &Running{PID: 7, BinDir: "/usr/local/bin", Config: "/etc/kubernetes/credential-provider-config.yaml"}
		if _, err := m.uninstall(Options{Running: running}); err == nil || !strings.Contains(err.Error(), "take --image-credential-provider-config") {
			t.Errorf("got %v", err)
		}
		if _, err := m.uninstall(Options{Running: running, Force: true}); err != nil {
			t.Error(err)
		}
	})
	t.Run("somebody uses our program", func(t *testing.T) {
		m := newMachine(t, eks())
		m.mustInstall(Options{Clouds: []string{"aws", "gcp"}})
		const config = "etc/eks/image-credential-provider/config.json"
		m.write(config, vendorConfig+strings.ReplaceAll(vendorEntry, "ecr-", "gcr-"))
		if _, err := m.uninstall(Options{}); err == nil || !strings.Contains(err.Error(), "changed since") {
			t.Errorf("got %v", err)
		}
	})
}

// Wherever a run is stopped, the kubelet could start, and the next run ends
// what was begun.
func TestStoppedAnywhere(t *testing.T) {
	const bins, config = "/etc/eks/image-credential-provider", "/etc/eks/image-credential-provider/config.json"
	options := Options{Clouds: []string{"aws", "gcp"}}
	starts := func(m *machine, n int) {
		v := view{tree: m.open(), files: map[string]planned{}}
		if err := v.check(config, bins); err != nil {
			m.t.Errorf("stopped after %d: %v", n, err)
		}
	}
	fresh := func() (*machine, string) {
		m := newMachine(t, eks())
		for _, name := range []string{config, bins + "/ecr-credential-provider"} {
			if err := os.Chtimes(filepath.Join(m.dir, name), time.Time{}, time.Unix(1e9, 5)); err != nil {
				t.Fatal(err)
			}
		}
		return m, m.snapshot()
	}
	for n := 0; ; n++ {
		m, before := fresh()
		m.stop = func(opened *tree.Tree) { treetest.Stop(opened, n) }
		_, err := m.install(options)
		m.stop = nil
		starts(m, n)
		m.mustInstall(options)
		m.wantStatus(nil)
		m.mustUninstall()
		if got := m.snapshot(); got != before {
			t.Fatalf("stopped after %d, installed and uninstalled:\n%s\nwant\n%s", n, got, before)
		}
		if err == nil {
			if n < 40 {
				t.Errorf("only %d changes", n)
			}
			break
		}
	}
	for n := 0; ; n++ {
		m, before := fresh()
		m.mustInstall(options)
		m.stop = func(opened *tree.Tree) { treetest.Stop(opened, n) }
		_, err := m.uninstall(Options{})
		m.stop = nil
		starts(m, n)
		m.mustUninstall()
		if got := m.snapshot(); got != before {
			t.Fatalf("uninstall stopped after %d, and again:\n%s\nwant\n%s", n, got, before)
		}
		if err == nil {
			break
		}
	}
}

// The journal of a run that was stopped is seen without being touched.
func TestStatusSaysThatARunWasStopped(t *testing.T) {
	m := newMachine(t, eks())
	m.stop = func(opened *tree.Tree) { treetest.Stop(opened, 12) }
	if _, err := m.install(Options{}); err == nil {
		t.Fatal("it was not stopped")
	}
	m.stop = nil
	before := m.snapshot()
	m.wantStatus(nil, "a run of install was stopped")
	if got := m.snapshot(); got != before {
		t.Errorf("status changed something:\n%s", got)
	}
}

func TestStatusOfTheKubelet(t *testing.T) {
	m := newMachine(t, nil)
	m.wantStatus(nil, "nothing is installed")
	running := Running{PID: 7, BinDir: "/r/bin", Config: "/r/c.yaml"}
	m.mustInstall(Options{Clouds: []string{"aws"}, Running: &running})
	hash := m.wantStatus(&Kubelet{Running: running, Started: time.Now().Add(time.Hour)}).ConfigHash
	m.wantStatus(&Kubelet{Running: running, Started: time.Now().Add(-time.Hour)}, "the kubelet has to be restarted: /r/c.yaml is newer than it")
	// What it says of itself counts for more than the time.
	m.wantStatus(&Kubelet{Running: running, Started: time.Now().Add(-time.Hour), ConfigHash: hash})
	status := m.wantStatus(&Kubelet{Running: running, ConfigHash: "sha256:0"}, "the kubelet has to be restarted: it runs with another configuration")
	m.wantStatus(&Kubelet{Running: Running{PID: 8}}, "the kubelet is not told of it")
	metrics := status.Metrics(time.Unix(1000, 0))
	for _, line := range []string{
		`regcred_installed{release="test",platform="generic"} 1`, "regcred_installed_files_changed 0",
		"regcred_kubelet_restart_pending 1", "regcred_install_problems 1", "regcred_status_timestamp_seconds 1000",
	} {
		if !slices.Contains(strings.Split(metrics, "\n"), line) {
			t.Errorf("no %q in\n%s", line, metrics)
		}
	}
}

func TestARecordThatOthersCouldWriteIsNotBelieved(t *testing.T) {
	m := newMachine(t, eks())
	m.mustInstall(Options{})
	record := filepath.Join(m.dir, StateDir, recordFile)
	if err := os.Chmod(record, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func() error{
		"install":   func() error { _, err := m.install(Options{}); return err },
		"uninstall": func() error { _, err := m.uninstall(Options{}); return err },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "writable by others") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := errors.Join(os.Chmod(record, 0o600), os.WriteFile(record, []byte(`{"version":2}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.uninstall(Options{}); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v", err)
	}
}

// The way out of a damaged record keeps what it is about.
func TestADamagedRecord(t *testing.T) {
	m := newMachine(t, eks())
	m.mustInstall(Options{})
	m.write("var/lib/regcred/installed.json", "{")
	for name, verb := range map[string]func(Options) (*Plan, error){"install": m.install, "uninstall": m.uninstall} {
		if _, err := verb(Options{}); err == nil || !strings.Contains(err.Error(), "/var/lib/regcred/installed.json: damaged: unexpected end of JSON input: move /var/lib/regcred to another place") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := os.Rename(m.dir+"/var/lib/regcred", m.dir+"/var/lib/away"); err != nil {
		t.Fatal(err)
	}
	m.mustInstall(Options{})
	m.wantStatus(nil)
}

func TestSamplesOfAllPlugins(t *testing.T) {
	for _, plugin := range Plugins() {
		entry, err := plugin.sample()
		if err != nil || entry.Name != plugin.Name {
			t.Errorf("%s: got %q, %v", plugin.Name, entry.Name, err)
		}
	}
	for _, path := range PlatformNames() {
		if path == "" {
			t.Error("a platform without a name")
		}
	}
}

func TestEntriesOfAPlatform(t *testing.T) {
	m := newMachine(t, map[string]string{"opt/azure/": "", "etc/kubernetes/azure.json": "{}"})
	m.mustInstall(Options{Providers: []string{"acr", "ecr"}})
	config, err := kubelet.Load(filepath.Join(m.dir, "var/lib/kubelet/credential-provider-config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if p := config.Provider("acr-credential-provider"); p == nil || !slices.Equal(p.Args, []string{"/etc/kubernetes/azure.json"}) {
		t.Errorf("got %+v", p)
	}
}

// An image of a platform that writes the configuration itself gets the program
// alone, and the node that is made of it is well.
func TestAnImageOfAPlatformThatConfiguresItself(t *testing.T) {
	m := newMachine(t, map[string]string{"etc/eks/": ""})
	plan := m.mustInstall(Options{})
	if len(plan.Texts) > 0 || len(plan.Notes) != 2 {
		t.Errorf("texts %v, notes %q", plan.Texts, plan.Notes)
	}
	treetest.Write(t, m.dir, map[string]string{"etc/eks/image-credential-provider/config.json": vendorConfig})
	m.wantStatus(nil)
	if again := m.mustInstall(Options{}); !again.Empty() {
		t.Errorf("on the node: %q", again.Summary())
	}
	if _, err := m.uninstall(Options{}); err == nil || !strings.Contains(err.Error(), "has no program") {
		t.Errorf("there was no vendor's program to go back to: %v", err)
	}
}

// What was asked for once need not be said again, and stays until something
// else is asked for.
func TestASecondRunThatSaysNothing(t *testing.T) {
	const config = "etc/regcred/credential-providers.yaml"
	m := newMachine(t, nil)
	m.mustInstall(Options{Providers: []string{"acr"}, Args: []string{"/etc/azure.json"}, MatchImages: []string{"registry.example.com"}})
	first := m.read(config)
	if again := m.mustInstall(Options{}); !again.Empty() || m.read(config) != first {
		t.Errorf("again: %q\n%s", again.Summary(), m.read(config))
	}
	m.release("two")
	m.mustInstall(Options{})
	if m.read(config) != first {
		t.Errorf("another release:\n%s", m.read(config))
	}
	m.mustInstall(Options{Providers: []string{"acr"}})
	if text := m.read(config); strings.Contains(text, "azure.json") || !strings.Contains(text, "*.azurecr.io") {
		t.Errorf("the sample again:\n%s", text)
	}
	m.mustInstall(Options{Entries: []kubeletconfig.CredentialProvider{podsEntry()}})
	first = m.read(config)
	if again := m.mustInstall(Options{}); !again.Empty() || m.read(config) != first {
		t.Errorf("entries again: %q\n%s", again.Summary(), m.read(config))
	}
}

// An entry that is there stays, and what it lacks is told: that of the packages
// has the usual hosts alone.
func TestAnEntryThatIsThereIsForFewerImages(t *testing.T) {
	text, err := os.ReadFile("../../../../deploy/credential-providers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const config = "etc/regcred/credential-providers.yaml"
	wider := strings.ReplaceAll(string(text), `"*.azurecr.io"`, `"*.azurecr.io"
  - "*.*.*.azurecr.io"`)
	for _, tc := range []struct{ cloud, text, want string }{
		{"azure", string(text), "/" + config + ": the entry of acr-credential-provider stays as it is, without *.*.geo.azurecr.io: add there what images are from"},
		{"azure", wider, ""},
		{"gcp", string(text), "/" + config + ": the entry of gcr-credential-provider stays as it is, without docker.*.rep.pkg.dev, container.cloud.google.com: add there what images are from"},
	} {
		m := newMachine(t, map[string]string{config: tc.text})
		for _, plugin := range Plugins() {
			treetest.Write(t, m.dir, map[string]string{packageDir[1:] + "/" + plugin.Name: "#!"})
		}
		plan := m.mustInstall(Options{Clouds: []string{tc.cloud}})
		if got := strings.Join(plan.Notes, "\n"); got != tc.want || m.read(config) != tc.text {
			t.Errorf("%s: notes %q", tc.cloud, got)
		}
	}
}

// An administrator changes the files that are ours alone: the next run leaves
// them so.
func TestAdministratorsChangeOurFiles(t *testing.T) {
	const config, dropIn = "etc/regcred/credential-providers.yaml", "etc/systemd/system/kubelet.service.d/90-regcred.conf"
	m := newMachine(t, kubeadm())
	before := m.snapshot()
	m.mustInstall(Options{Clouds: []string{"aws"}})
	edited := strings.Replace(m.read(config), "  matchImages:\n", "  args: [--log-level=info]\n  matchImages:\n  - mirror.example.com\n", 1)
	m.write(config, edited)
	m.write(dropIn, strings.Replace(m.read(dropIn), "=--image", "=--v=4 --image", 1))
	m.wantStatus(nil, "credential-providers.yaml was changed", "90-regcred.conf was changed")
	m.release("two")
	for range 2 {
		plan := m.mustInstall(Options{})
		if len(plan.Texts) > 0 || m.read(config) != edited || !strings.Contains(m.read(dropIn), "--v=4") {
			t.Errorf("changed: %q", plan.Summary())
		}
	}
	m.wantStatus(nil)

	// With a provider of theirs in it, it is not removed.
	treetest.Write(t, m.dir, map[string]string{packageDir[1:] + "/their-credential-provider": "#!theirs"})
	m.write(config, edited+strings.ReplaceAll(vendorEntry, "ecr-", "their-"))
	m.mustInstall(Options{})
	after := m.snapshot()
	if _, err := m.uninstall(Options{}); err == nil || !strings.Contains(err.Error(), `has provider "their-credential-provider" of somebody else's`) {
		t.Errorf("got %v", err)
	}
	if got := m.snapshot(); got != after {
		t.Errorf("something was changed:\n%s", got)
	}
	m.write(config, edited)
	if err := os.Remove(filepath.Join(m.dir, packageDir, "their-credential-provider")); err != nil {
		t.Fatal(err)
	}
	m.mustInstall(Options{})
	m.mustUninstall()
	if got := m.snapshot(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

// A vendor's plugin may be a link to a program elsewhere, which is not ours to
// replace.
func TestAVendorsPluginThatIsALink(t *testing.T) {
	for _, target := range []string{"/opt/vendor/plugin", "../../../opt/vendor/plugin", "/usr/bin/other"} {
		files := eks()
		files["etc/eks/image-credential-provider/ecr-credential-provider"] = "-> " + target
		files["opt/vendor/plugin"] = "#!the vendor's"
		files["usr/bin/other"] = "-> /opt/vendor/plugin"
		m := newMachine(t, files)
		before := m.snapshot()
		m.mustInstall(Options{})
		if got := m.read("opt/vendor/plugin"); got != "#!the vendor's" {
			t.Errorf("the vendor's program: %q", got)
		}
		m.mustUninstall()
		if got := m.snapshot(); got != before {
			t.Errorf("got\n%s\nwant\n%s", got, before)
		}
	}
}
