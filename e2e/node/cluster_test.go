package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
	"sigs.k8s.io/yaml"

	"regcred/e2e/cloud/cloudtest"
)

// addNamespace makes a namespace with the service account that pods have when
// they name none.
func (n *node) addNamespace(name string) {
	n.t.Helper()
	_, err := n.api.CoreV1().Namespaces().Create(n.t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	n.addServiceAccount(name, "default", nil)
}

// missingNamespace is empty for a namespace that is there.
func (n *node) missingNamespace(name string) string {
	if _, err := n.api.CoreV1().Namespaces().Get(n.t.Context(), name, metav1.GetOptions{}); err != nil {
		return err.Error()
	}
	return ""
}

func (n *node) addServiceAccount(namespace, name string, annotations map[string]string) {
	n.t.Helper()
	_, err := n.api.CoreV1().ServiceAccounts(namespace).Create(n.t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}}, metav1.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
}

// addPullSecret makes a secret with one user's password for each registry.
func (n *node) addPullSecret(namespace, name string, logins map[string]login) {
	n.t.Helper()
	content, err := json.Marshal(map[string]any{"auths": logins})
	if err != nil {
		n.t.Fatal(err)
	}
	_, err = n.api.CoreV1().Secrets(namespace).Create(n.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: content},
	}, metav1.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
}

// login is what a secret holds for a registry.
type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// run creates pods. They are deleted when the test ends.
func (n *node) run(pods ...*corev1.Pod) {
	n.t.Helper()
	for _, pod := range pods {
		if _, err := n.api.CoreV1().Pods(pod.Namespace).Create(n.t.Context(), pod, metav1.CreateOptions{}); err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { n.remove(pod) })
	}
}

// wantRunning fails the test unless all the pods get to run.
func (n *node) wantRunning(pods ...*corev1.Pod) {
	n.t.Helper()
	for _, pod := range pods {
		n.eventually("pod "+pod.Name+" runs", func() string { return whyNotRunning(n.current(pod)) })
	}
}

// wantRefused fails the test unless the pod's image cannot be pulled, for a
// reason that holds the words.
func (n *node) wantRefused(pod *corev1.Pod, words string) {
	n.t.Helper()
	n.eventually("the image of pod "+pod.Name+" is refused", func() string {
		now := n.current(pod)
		if whyNotRunning(now) == "" {
			n.t.Fatalf("pod %s runs, and should have been refused", pod.Name)
		}
		if failure := pullFailure(now); !strings.Contains(failure, words) {
			return fmt.Sprintf("%q does not say %q", failure, words)
		}
		return ""
	})
}

// remove deletes a pod. The test's own context has ended by then.
func (n *node) remove(pod *corev1.Pod) {
	ctx := context.WithoutCancel(n.t.Context())
	if err := n.api.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
		n.t.Error(err)
	}
}

func (n *node) current(pod *corev1.Pod) *corev1.Pod {
	n.t.Helper()
	now, err := n.api.CoreV1().Pods(pod.Namespace).Get(n.t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return now
}

// documentation tells operators what the cluster needs.
var documentation = cloudtest.Path("docs", "install.md")

// applyDocumented creates the objects that the documentation tells operators to
// create. They are for the audience of the plugin's sample, in whose place is
// that of this cluster's tokens.
func (n *node) applyDocumented() {
	n.t.Helper()
	page, err := os.ReadFile(documentation)
	if err != nil {
		n.t.Fatal(err)
	}
	var audience string
	n.configure(n.sample("pods.yaml"), func(provider *kubeletconfig.CredentialProvider) {
		audience = provider.TokenAttributes.ServiceAccountTokenAudience
	})
	rbac := n.api.RbacV1()
	applied := 0
	for _, rest := range strings.Split(string(page), "\n```yaml\n")[1:] {
		block, _, _ := strings.Cut(rest, "\n```\n")
		for _, document := range strings.Split(block, "\n---\n") {
			var err error
			switch {
			case strings.Contains(document, "\nkind: ClusterRole\n"):
				role := decode[rbacv1.ClusterRole](n, document)
				if !slices.Contains(role.Rules[0].Resources, audience) {
					n.t.Errorf("%s: %s does not let nodes have tokens for %s", documentation, role.Name, audience)
				}
				role.Rules[0].Resources = []string{n.Audience}
				_, err = rbac.ClusterRoles().Create(n.t.Context(), role, metav1.CreateOptions{})
			case strings.Contains(document, "\nkind: ClusterRoleBinding\n"):
				_, err = rbac.ClusterRoleBindings().Create(n.t.Context(), decode[rbacv1.ClusterRoleBinding](n, document), metav1.CreateOptions{})
			default:
				continue
			}
			if err != nil {
				n.t.Fatalf("%s: %v\n%s", documentation, err, document)
			}
			applied++
		}
	}
	if applied == 0 {
		n.t.Fatalf("%s shows no object that lets the kubelet have tokens", documentation)
	}
}

func decode[object any](n *node, document string) *object {
	n.t.Helper()
	decoded := new(object)
	if err := yaml.UnmarshalStrict([]byte(document), decoded); err != nil {
		n.t.Fatalf("%s: %v\n%s", documentation, err, document)
	}
	return decoded
}
