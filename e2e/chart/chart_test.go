package chart_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"regcred/e2e/cloud/cloudtest"
	"regcred/plugins"
	"regcred/shared/kubelet"
)

var update = flag.Bool("update", false, "write deploy/manifests")

func TestLint(t *testing.T) {
	for _, s := range settings() {
		for _, message := range lint.RunAll(chartDir, values(t, s.values), "kube-system").Messages {
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %s", s.name, message)
			}
		}
	}
}

func TestManifestsAreTheChart(t *testing.T) {
	directory := cloudtest.Path("deploy", "manifests")
	var want []string
	for _, s := range settings() {
		want = append(want, s.name)
		file := filepath.Join(directory, s.name)
		text := plain(t, s)
		if *update {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		there, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(there, text) {
			t.Errorf("%s: not what the chart makes (%v): go test -C e2e/chart -update", s.name, err)
		}
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(want, entry.Name()) && entry.Name() != "README.md" {
			t.Errorf("%s: of no setting", entry.Name())
		}
	}
}

// The files in the chart are the plugins' samples: a chart cannot reach out of
// its directory.
func TestFilesAreThePluginsSamples(t *testing.T) {
	for _, plugin := range []string{"ecr", "gcr", "acr", "ocir", "icr"} {
		want, err := plugins.Samples.ReadFile(plugin + "/pods.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(chartDir, "files", plugin+".yaml")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("files/%s.yaml is not plugins/%s/pods.yaml: %v", plugin, plugin, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	if _, err := render(t, ""); err != nil {
		t.Fatalf("the values that the chart has: %v", err)
	}
	for _, c := range []struct{ name, values, want string }{
		{"a value that is misspelt", "clouds: aws", "clouds"},
		{"one below another", "install: {restarts: true}", "restarts"},
		{"a cloud that there is not", "cloud: digitalocean", "/cloud"},
		{"an identity that there is not", "cloud: aws\nidentity: pods", "/identity"},
		{"pods of no cloud", "identity: pod", "/cloud"},
		{"Google's pods without a provider", "cloud: gcp\nidentity: pod", "workloadIdentityProvider"},
		{"a provider's URL", "gcp: {workloadIdentityProvider: https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b}", "workloadIdentityProvider"},
		{"Oracle's pods without a host", "cloud: oracle\nidentity: pod\npod: {audience: x}", "clusterHost"},
		{"Oracle's pods without an audience", "cloud: oracle\nidentity: pod\noracle: {clusterHost: 10.0.0.1}", "audience"},
		{"all and more", "pod: {nodeFallback: [all, kube-system]}", "nodeFallback"},
		{"a namespace that is none", "pod: {nodeFallback: [Kube_System]}", "nodeFallback"},
		{"entries and a cloud", "cloud: aws\n" + dockerconfig, "/cloud"},
		{"entries and arguments", "args: [--v=1]\n" + dockerconfig, "/args"},
		{"a plugin of somebody else", strings.Replace(dockerconfig, "dockerconfig-", "static-", 1), "/providers/0/name"},
		{"an entry that the kubelet would refuse", strings.Replace(dockerconfig, "  defaultCacheDuration: 0s\n", "", 1), "defaultCacheDuration"},
		{"an entry of no image", strings.Replace(dockerconfig, "[registry.example.com]", "[]", 1), "matchImages"},
		{"a time without a unit", "install: {timeout: \"120\"}", "timeout"},
		{"a platform on which nothing is installed", "install: {platform: talos}", "platform"},
		{"a directory that is relative", "install: {binDir: opt/bin}", "binDir"},
		{"a directory with a blank", "install: {binDir: /opt/my bin}", "binDir"},
		{"a variable without a value", "env: [{name: A}]", "env"},
		{"a digest that is none", "image: {repository: a, digest: latest}", "digest"},
		{"a repository with a tag", "image: {repository: \"registry.example.com/regcred:v1\"}", "repository"},
		{"no repository", "image: {repository: \"\"}", "image.repository"},
		{"a pull policy", "image: {repository: a, pullPolicy: Sometimes}", "pullPolicy"},
		{"a strategy", "updateStrategy: {type: Recreate}", "updateStrategy"},
		{"a switch that is a word", "install: {restart: \"yes\"}", "restart"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := render(t, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one that says %q", err, c.want)
			}
		})
	}
}

// dockerconfig are values with a whole entry.
const dockerconfig = `providers:
- name: dockerconfig-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  defaultCacheDuration: 0s
  matchImages: [registry.example.com]
`

// Only the init container may do anything, and only with the node's files: it has
// no token, no process of the node in its sight, and no writable root.
func TestPrivileges(t *testing.T) {
	more := []setting{{"metrics", "metrics: {enabled: true}"}, {"entries", dockerconfig}}
	for _, s := range append(settings(), more...) {
		t.Run(s.name, func(t *testing.T) {
			all := install(t, s.values)
			for name, pod := range map[string]corev1.PodSpec{
				"daemonset": all.daemonSet.Spec.Template.Spec, "hook": all.hookDaemonSet.Spec.Template.Spec, "job": all.hookJob.Spec.Template.Spec,
			} {
				if pod.HostPID || pod.HostIPC || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken != (name == "job") {
					t.Errorf("%s: got %+v", name, pod)
				}
				if pod.HostNetwork == (name == "job") {
					t.Errorf("%s: host network %v", name, pod.HostNetwork)
				}
				for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
					security := container.SecurityContext
					if security == nil || security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem || len(container.Resources.Requests) == 0 {
						t.Errorf("%s: container %s: got %+v", name, container.Name, container)
						continue
					}
					if len(container.Env) > 0 || len(container.EnvFrom) > 0 {
						t.Errorf("%s: container %s has an environment", name, container.Name)
					}
					switch container.Name {
					case "install", "uninstall":
						if !*security.Privileged || *security.RunAsUser != 0 {
							t.Errorf("%s: container %s: got %+v", name, container.Name, security)
						}
						continue
					case "status":
						if !container.VolumeMounts[0].ReadOnly || container.VolumeMounts[0].MountPath != "/host" ||
							!slices.Equal(security.Capabilities.Add, []corev1.Capability{"DAC_READ_SEARCH", "SYS_PTRACE"}) {
							t.Errorf("%s: container %s: got %+v", name, container.Name, container)
						}
					default:
						if !*security.RunAsNonRoot || *security.RunAsUser == 0 || len(container.VolumeMounts) > 0 || len(security.Capabilities.Add) > 0 {
							t.Errorf("%s: container %s: got %+v", name, container.Name, container)
						}
					}
					if *security.Privileged || *security.AllowPrivilegeEscalation || !slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
						security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
						t.Errorf("%s: container %s: got %+v", name, container.Name, security)
					}
				}
			}
			if all.account.AutomountServiceAccountToken == nil || *all.account.AutomountServiceAccountToken {
				t.Error("the service account's token is mounted")
			}
		})
	}
}

// Every node gets it, before its network works and whatever keeps others away.
func TestEveryNodeGetsIt(t *testing.T) {
	all := install(t, "nodeSelector: {regcred: canary}")
	for _, pod := range []corev1.PodSpec{all.daemonSet.Spec.Template.Spec, all.hookDaemonSet.Spec.Template.Spec} {
		if len(pod.Tolerations) != 1 || pod.Tolerations[0] != (corev1.Toleration{Operator: corev1.TolerationOpExists}) {
			t.Errorf("got tolerations %+v", pod.Tolerations)
		}
		if pod.PriorityClassName != "system-node-critical" || !pod.HostNetwork || pod.DNSPolicy != corev1.DNSDefault {
			t.Errorf("got %+v", pod)
		}
		if len(pod.NodeSelector) != 2 || pod.NodeSelector["kubernetes.io/os"] != "linux" || pod.NodeSelector["regcred"] != "canary" {
			t.Errorf("got %v", pod.NodeSelector)
		}
	}
}

// What the kubelet is going to be given is what the plugin's documentation shows,
// but for what the values say, and nodes may have tokens for it.
func TestEntriesOfPods(t *testing.T) {
	const provider = "projects/1/locations/global/workloadIdentityPools/a/providers/b"
	for _, c := range []struct {
		cloud, plugin, values, audience string
		args                            []string
	}{
		{"aws", "ecr", "", "sts.amazonaws.com", nil},
		{"aws", "ecr", "pod: {nodeFallback: [kube-system, monitoring]}\nargs: [--log-level=info]", "sts.amazonaws.com", []string{"--node-fallback=kube-system,monitoring", "--log-level=info"}},
		{"gcp", "gcr", "gcp: {workloadIdentityProvider: " + provider + "}", "https://iam.googleapis.com/" + provider, []string{"--workload-identity-provider=" + provider}},
		{"gcp", "gcr", "pod: {audience: own}\ngcp: {workloadIdentityProvider: " + provider + "}", "own", []string{"--workload-identity-provider=" + provider}},
		{"azure", "acr", "args: [/etc/kubernetes/azure.json]", "api://AzureADTokenExchange", []string{"/etc/kubernetes/azure.json"}},
		{"oracle", "ocir", "oracle: {clusterHost: 10.0.0.10}\npod: {audience: https://issuer.example.com}", "https://issuer.example.com", []string{"--cluster-host=10.0.0.10"}},
		{"ibm", "icr", "", "iam", nil},
	} {
		t.Run(c.cloud, func(t *testing.T) {
			all := install(t, "identity: pod\ncloud: "+c.cloud+"\n"+c.values)
			parsed, err := kubelet.Parse("providers.yaml", []byte(all.providers.Data["providers.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			text, err := plugins.Samples.ReadFile(c.plugin + "/pods.yaml")
			if err != nil {
				t.Fatal(err)
			}
			sample, err := kubelet.Parse("sample", text)
			if err != nil {
				t.Fatal(err)
			}
			got, want := parsed.Providers[0].CredentialProvider, sample.Providers[0].CredentialProvider
			if len(parsed.Providers) != 1 || got.Name != want.Name || !slices.Equal(got.MatchImages, want.MatchImages) ||
				!slices.Equal(got.TokenAttributes.OptionalServiceAccountAnnotationKeys, want.TokenAttributes.OptionalServiceAccountAnnotationKeys) ||
				got.TokenAttributes.CacheType != want.TokenAttributes.CacheType || *got.TokenAttributes.RequireServiceAccount {
				t.Errorf("got %+v", parsed.Providers)
			}
			if !slices.Equal(got.Args, c.args) || got.TokenAttributes.ServiceAccountTokenAudience != c.audience {
				t.Errorf("got %q for %s", got.Args, got.TokenAttributes.ServiceAccountTokenAudience)
			}
			if len(all.clusterRoles) != 1 || len(all.clusterBindings) != 1 || len(all.roles)+len(all.bindings) != 0 {
				t.Fatalf("got %v", all.names)
			}
			wantGrant(t, all.clusterRoles[0].Rules, all.clusterBindings[0].RoleRef, all.clusterBindings[0].Subjects, "ClusterRole", c.audience)
		})
	}
}

func wantGrant(t *testing.T, rules []rbacv1.PolicyRule, ref rbacv1.RoleRef, subjects []rbacv1.Subject, kind string, audiences ...string) {
	t.Helper()
	if len(rules) != 1 || !slices.Equal(rules[0].Resources, audiences) || !slices.Equal(rules[0].APIGroups, []string{""}) ||
		!slices.Equal(rules[0].Verbs, []string{"request-serviceaccounts-token-audience"}) {
		t.Errorf("got rules %+v", rules)
	}
	if ref != (rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: kind, Name: "regcred-audiences"}) {
		t.Errorf("got %+v", ref)
	}
	if len(subjects) != 1 || subjects[0] != (rbacv1.Subject{Kind: "Group", APIGroup: "rbac.authorization.k8s.io", Name: "system:nodes"}) {
		t.Errorf("got %+v", subjects)
	}
}

func TestAudiencesOfNamespaces(t *testing.T) {
	all := install(t, "cloud: aws\nidentity: pod\nrbac: {namespaces: [a, b], serviceAccounts: [puller]}")
	if len(all.clusterRoles)+len(all.clusterBindings) != 0 || len(all.roles) != 2 || len(all.bindings) != 2 {
		t.Fatalf("got %v", all.names)
	}
	for i, namespace := range []string{"a", "b"} {
		role, binding := all.roles[i], all.bindings[i]
		if role.Namespace != namespace || binding.Namespace != namespace || !slices.Equal(role.Rules[0].ResourceNames, []string{"puller"}) {
			t.Errorf("got %+v, %+v", role, binding)
		}
		wantGrant(t, role.Rules, binding.RoleRef, binding.Subjects, "Role", "sts.amazonaws.com")
	}
	for _, without := range []string{"cloud: aws", "cloud: aws\nidentity: pod\nrbac: {create: false}"} {
		if all := install(t, without); len(all.clusterRoles)+len(all.roles) != 0 {
			t.Errorf("%s: got %v", without, all.names)
		}
	}
}

// Nodes are set up again when something changed for them, and only then.
func TestChangesRollOut(t *testing.T) {
	template := func(values string) string { return install(t, values).daemonSet.Spec.Template.String() }
	const before = "cloud: aws\nidentity: pod\n"
	if template(before) != template(before+"updateStrategy: {type: OnDelete}\nuninstallOnDelete: {enabled: false}\n") {
		t.Error("they are set up again for a change that is not theirs")
	}
	for _, change := range []string{
		"pod: {audience: own}", "pod: {nodeFallback: [none]}", "args: [--v=1]", "env: [{name: A, value: b}]", "matchImages: [a.example.com]",
		"image: {repository: registry.example.com/regcred, tag: v2}", "install: {restart: false}", "uninstall: true",
	} {
		if template(before) == template(before+change) {
			t.Errorf("no node learns of %s", change)
		}
	}
}

func TestUninstall(t *testing.T) {
	hooked := install(t, "cloud: aws")
	want := []string{"--restart", "--root=/host", "--timeout=2m", "uninstall"}
	for name, pod := range map[string]corev1.PodSpec{
		"hook": hooked.hookDaemonSet.Spec.Template.Spec, "uninstall: true": install(t, "uninstall: true").daemonSet.Spec.Template.Spec,
	} {
		if got := slices.Sorted(slices.Values(pod.InitContainers[0].Args)); len(pod.InitContainers) != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: runs %q", name, got)
		}
	}
	if hooked.hookDaemonSet.Spec.Selector.String() == hooked.daemonSet.Spec.Selector.String() {
		t.Error("the two DaemonSets fight over pods")
	}
	for _, set := range []metaSelector{{hooked.daemonSet.Spec.Selector.MatchLabels, hooked.daemonSet.Spec.Template.Labels}, {hooked.hookDaemonSet.Spec.Selector.MatchLabels, hooked.hookDaemonSet.Spec.Template.Labels}} {
		for key, value := range set.selector {
			if set.labels[key] != value {
				t.Errorf("pods have %v, and %v are wanted", set.labels, set.selector)
			}
		}
	}
	// Helm goes by the weights, and waits for the Job alone.
	if h := hooked.hooks; h["DaemonSet"] != "0" || h["Job"] != "10" || h["ServiceAccount"] != "-10" || h["Role"] != "-10" || h["RoleBinding"] != "-10" || len(h) != 5 {
		t.Errorf("got weights %v", h)
	}
	rules := hooked.hookRole.Rules
	if len(rules) != 1 || !slices.Equal(rules[0].Verbs, []string{"get"}) || !slices.Equal(rules[0].Resources, []string{"daemonsets"}) ||
		!slices.Equal(rules[0].ResourceNames, []string{hooked.hookDaemonSet.Name}) {
		t.Errorf("the Job may %+v", rules)
	}
	job := hooked.hookJob.Spec.Template.Spec
	if job.ServiceAccountName != hooked.hookAccount.Name || hooked.hookBinding.Subjects[0].Name != hooked.hookAccount.Name || hooked.hookBinding.RoleRef.Name != hooked.hookRole.Name {
		t.Errorf("the Job runs as %s", job.ServiceAccountName)
	}
	if got := job.Containers[0].Args; !slices.Equal(got, []string{"wait", "--daemonset=kube-system/regcred-uninstall", "--timeout=10m"}) {
		t.Errorf("the Job runs %q", got)
	}
	if off := install(t, "uninstallOnDelete: {enabled: false}"); len(off.hookedNames) != 0 {
		t.Errorf("got %v", off.hookedNames)
	}
}

type metaSelector struct{ selector, labels map[string]string }

// The tool itself says what it makes of what the containers give it.
func TestTheToolTakesWhatTheContainersGiveIt(t *testing.T) {
	more := []setting{
		{"flags", "cloud: aws\nmatchImages: [a.example.com, b.example.com]\nargs: [--v=1]\nenv: [{name: A, value: b}]\ninstall: {platform: generic, binDir: /opt/bin, config: /etc/providers.yaml, extraArgs: [--no-flags]}"},
		{"entries", dockerconfig},
	}
	for _, s := range append(settings(), more...) {
		t.Run(s.name, func(t *testing.T) {
			all := install(t, s.values)
			init := all.daemonSet.Spec.Template.Spec.InitContainers[0]
			if !slices.Equal(init.Command, []string{"/usr/bin/regcred"}) {
				t.Errorf("it runs %q", init.Command)
			}
			directory := t.TempDir()
			root, file := filepath.Join(directory, "root"), filepath.Join(directory, "providers.yaml")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(all.providers.Data["providers.yaml"]), 0o644); err != nil {
				t.Fatal(err)
			}
			mounted := false
			for _, mount := range init.VolumeMounts {
				mounted = mounted || mount.MountPath == "/etc/regcred"
			}
			var args []string
			for _, arg := range init.Args {
				switch {
				case arg == "--root=/host":
					arg = "--root=" + root
				case strings.HasPrefix(arg, "--from="):
					arg = "--from=" + filepath.Dir(cloudtest.Binary("regcred"))
				case arg == "--providers-from=/etc/regcred/providers.yaml":
					if !mounted {
						t.Error("the file is not mounted")
					}
					arg = "--providers-from=" + file
				case arg == "--restart":
					continue // no kubelet runs in the directory
				}
				args = append(args, arg)
			}
			output, err := exec.Command(cloudtest.Binary("regcred"), append(args, "--dry-run")...).CombinedOutput()
			if err != nil {
				t.Errorf("regcred %q: %v\n%s", args, err, output)
			}
			want := "providers:"
			if init.Args[0] == "uninstall" {
				want = "nothing is installed here"
			}
			if !strings.Contains(string(output), want) {
				t.Errorf("regcred %q says\n%s", args, output)
			}
		})
	}
	for _, args := range [][]string{{"wait", "--help"}, {"status", "--every=1m", "--help"}} {
		if output, err := exec.Command(cloudtest.Binary("regcred"), args...).CombinedOutput(); err != nil {
			t.Errorf("regcred %q: %v\n%s", args, err, output)
		}
	}
}
