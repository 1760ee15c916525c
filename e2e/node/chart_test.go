package node_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/node/part"
)

// The released image sets a node up as the chart has it do: as the pod of a
// DaemonSet, which is rendered from it. The node's root is a directory here, laid out
// as EKS does, so that nothing is changed on the machine; the kubelet is told of what
// is in it.
func TestADaemonSetSetsTheNodeUp(t *testing.T) {
	n := bootNode(t, clouds.All()[0])
	n.namespace = "team"
	root := n.makeRoot()
	before := listing(t, root)
	plugin := n.config.Plugins + "/" + n.Plugin

	n.startCluster()
	n.start(n.place.StartControllerManager)
	n.runKubelet()
	n.addNamespace(n.namespace)
	n.eventually("the cluster's own namespace is there", func() string { return n.missingNamespace(system) })
	image := ""
	for name := range n.pushRelease("registry.k8s.io/regcred/regcred") {
		if strings.Contains(name, "/regcred:") {
			image = name
		}
	}
	refused := n.pod("before", n.newImage())
	n.run(refused)
	n.wantRefused(refused, "failed to pull")

	n.apply("aws-node.yaml", image, root)
	n.wantRollout()
	if n.content(plugin) != n.content(cloudtest.Path("dist", "linux", runtime.GOARCH, n.Plugin)) {
		t.Error("the plugin on the node is not the released one")
	}
	installed := n.pod("installed", n.newImage())
	n.run(installed)
	n.wantRunning(installed)

	// A pod of it may go away for many reasons, and none of them uninstalls.
	n.deleteDaemonSet()
	if n.content(plugin) == vendorsPlugin {
		t.Error("the pod took the plugin away with it")
	}

	n.apply("uninstall.yaml", image, root)
	n.wantRollout()
	if after := listing(t, root); after != before {
		t.Errorf("the node was\n%s\nand is\n%s", before, after)
	}
	again := n.pod("uninstalled", n.newImage())
	n.run(again)
	n.wantRefused(again, "failed to pull")
	n.deleteDaemonSet()
}

// The API server gives nodes tokens for the audience after it was granted, and not
// before.
func TestTheChartGrantsTheAudience(t *testing.T) {
	n := bootNode(t, clouds.All()[0])
	n.startCluster()
	may := func() bool {
		review, err := n.api.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:node:" + part.NodeName, Groups: []string{"system:nodes"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: "request-serviceaccounts-token-audience", Resource: "sts.amazonaws.com", Namespace: "team", Name: "puller",
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	if may() {
		t.Error("nodes may have the tokens already")
	}
	n.eventually("the cluster's own namespace is there", func() string { return n.missingNamespace(system) })
	n.apply("aws-pod.yaml", "registry.k8s.io/regcred/regcred:none", n.place.Dir)
	n.eventually("nodes may have the tokens", func() string {
		if may() {
			return ""
		}
		return "they may not"
	})
}

// makeRoot makes the root of a node with its vendor's plugin, which knows none of our
// registries, and has the kubelet told of it.
func (n *node) makeRoot() string {
	n.t.Helper()
	root := filepath.Join(n.place.Dir, "host")
	n.config = part.Kubelet{
		Providers: filepath.Join(root, "etc/eks/image-credential-provider/config.json"),
		Plugins:   filepath.Join(root, "etc/eks/image-credential-provider"),
		Cluster:   true,
	}
	for _, directory := range []string{n.config.Plugins, filepath.Join(root, "var/lib")} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
	config := n.content(n.configure(n.sample("node.yaml"), n.adapt))
	if err := os.WriteFile(n.config.Providers, []byte(config), 0o644); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.config.Plugins, n.Plugin), []byte(vendorsPlugin), 0o755); err != nil {
		n.t.Fatal(err)
	}
	return root
}

// apply creates the objects of a plain manifest, for an image and a directory that is
// the node's root. There is no systemd that could restart the kubelet, and no
// control group to limit anybody.
func (n *node) apply(manifest, image, root string) {
	n.t.Helper()
	text := n.content(cloudtest.Path("deploy", "manifests", manifest))
	ctx, created := n.t.Context(), metav1.CreateOptions{}
	for _, document := range strings.Split(text, "\n---\n")[1:] {
		var err error
		switch {
		case strings.Contains(document, "\nkind: ServiceAccount\n"):
			_, err = n.api.CoreV1().ServiceAccounts(system).Create(ctx, decode[corev1.ServiceAccount](n, document), created)
			if err != nil && strings.Contains(err.Error(), "already exists") {
				err = nil
			}
		case strings.Contains(document, "\nkind: ConfigMap\n"):
			_, err = n.api.CoreV1().ConfigMaps(system).Create(ctx, decode[corev1.ConfigMap](n, document), created)
		case strings.Contains(document, "\nkind: ClusterRole\n"):
			_, err = n.api.RbacV1().ClusterRoles().Create(ctx, decode[rbacv1.ClusterRole](n, document), created)
		case strings.Contains(document, "\nkind: ClusterRoleBinding\n"):
			_, err = n.api.RbacV1().ClusterRoleBindings().Create(ctx, decode[rbacv1.ClusterRoleBinding](n, document), created)
		case strings.Contains(document, "\nkind: DaemonSet\n"):
			set := decode[appsv1.DaemonSet](n, document)
			pod := &set.Spec.Template.Spec
			for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
				for i := range containers {
					containers[i].Image, containers[i].Resources = image, corev1.ResourceRequirements{}
					containers[i].Args = slices.DeleteFunc(containers[i].Args, func(arg string) bool {
						return arg == "--restart" || strings.HasPrefix(arg, "--timeout=")
					})
				}
			}
			pod.Volumes[0].HostPath.Path = root
			_, err = n.api.AppsV1().DaemonSets(system).Create(ctx, set, created)
		default:
			n.t.Fatalf("%s has an object that no test knows:\n%s", manifest, document)
		}
		if err != nil {
			n.t.Fatalf("%s: %v\n%s", manifest, err, document)
		}
	}
}

// wantRollout waits until the DaemonSet has done its work on the node, as the Job of
// helm uninstall does.
func (n *node) wantRollout() {
	n.t.Helper()
	n.eventually("the DaemonSet's pod is ready", func() string {
		n.schedule()
		set, err := n.api.AppsV1().DaemonSets(system).Get(n.t.Context(), "regcred", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		if set.Status.NumberReady == 1 {
			return ""
		}
		return "it is not: " + n.daemonPods()
	})
	wait := exec.CommandContext(n.t.Context(), cloudtest.Binary("regcred"), "wait", "--daemonset", system+"/regcred", "--timeout", "1m")
	wait.Env = []string{"KUBECONFIG=" + n.place.AdminKubeconfig()}
	if output, err := wait.CombinedOutput(); err != nil || !strings.Contains(string(output), "1 nodes are done") {
		n.t.Errorf("regcred wait: %v: %s", err, output)
	}
}

// schedule does a scheduler's work: the controller says for which node a pod is.
func (n *node) schedule() {
	n.t.Helper()
	pods, err := n.api.CoreV1().Pods(system).List(n.t.Context(), metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, pod := range pods.Items {
		binding := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
			Target:     corev1.ObjectReference{Kind: "Node", Name: part.NodeName},
		}
		if err := n.api.CoreV1().Pods(pod.Namespace).Bind(n.t.Context(), binding, metav1.CreateOptions{}); err != nil {
			n.t.Fatal(err)
		}
	}
}

// daemonPods says how the DaemonSet's pods are, and is empty if there are none.
func (n *node) daemonPods() string {
	n.t.Helper()
	pods, err := n.api.CoreV1().Pods(system).List(n.t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=regcred"})
	if err != nil {
		n.t.Fatal(err)
	}
	var all []string
	for _, pod := range pods.Items {
		text := fmt.Sprintf("%s %s", pod.Name, pod.Status.Phase)
		for _, container := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			text += fmt.Sprintf(", %s %s %s", container.Name, container.State.String(), container.LastTerminationState.String())
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func (n *node) deleteDaemonSet() {
	n.t.Helper()
	ctx := context.WithoutCancel(n.t.Context())
	background := metav1.DeletePropagationBackground
	if err := n.api.AppsV1().DaemonSets(system).Delete(ctx, "regcred", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		n.t.Fatal(err)
	}
	n.eventually("the DaemonSet's pods are gone", n.daemonPods)
}

// listing is all files of a directory, with what is in them.
func listing(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", name, info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %s %x", info.ModTime(), sha256.Sum256(text))
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
