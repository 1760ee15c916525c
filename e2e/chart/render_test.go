// Package chart_test holds deploy/chart to what is said of it, with Helm's own
// linter and renderer, and deploy/manifests to the chart.
//
//	make build && go test -C e2e/chart -count=1 ./...
//
// With -update it writes deploy/manifests.
package chart_test

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/yaml"

	"regcred/e2e/cloud/cloudtest"
)

var chartDir = cloudtest.Path("deploy", "chart")

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// values parses values as people write them, with an image unless they have one.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	parsed := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &parsed); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if parsed["image"] == nil {
		parsed["image"] = map[string]any{"repository": "registry.example.com/regcred"}
	}
	return parsed
}

// render renders the chart as helm install does, into the texts of its objects
// by the name of their template. Values that the schema refuses are an error.
func render(t *testing.T, text string) (map[string]string, error) {
	t.Helper()
	loaded := loadChart(t)
	release := common.ReleaseOptions{Name: "regcred", Namespace: "kube-system", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(loaded, values(t, text), release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name, content := range rendered {
		if name = path.Base(name); path.Ext(name) == ".yaml" {
			files[name] = content
		}
	}
	return files, nil
}

// objects are those of a release: what is created, and in hooks what runs when
// the release is deleted.
type objects struct {
	daemonSet          appsv1.DaemonSet
	account            corev1.ServiceAccount
	providers          corev1.ConfigMap
	clusterRoles       []rbacv1.ClusterRole
	clusterBindings    []rbacv1.ClusterRoleBinding
	roles              []rbacv1.Role
	bindings           []rbacv1.RoleBinding
	hookDaemonSet      appsv1.DaemonSet
	hookJob            batchv1.Job
	hookRole           rbacv1.Role
	hookBinding        rbacv1.RoleBinding
	hookAccount        corev1.ServiceAccount
	hooks              map[string]string // weight by kind
	names, hookedNames []string
}

// install renders the chart and decodes what comes of it as the API server
// does, strictly.
func install(t *testing.T, text string) *objects {
	t.Helper()
	files, err := render(t, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	all := &objects{hooks: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, document := range split(files[name]) {
			all.add(t, name, decode(t, name, document))
		}
	}
	return all
}

// split splits a file into documents, without those of comments alone.
func split(text string) []string {
	var documents []string
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		document = strings.TrimPrefix(strings.TrimSpace(document), "---\n")
		lines := slices.DeleteFunc(strings.Split(document, "\n"), func(line string) bool {
			line = strings.TrimSpace(line)
			return line == "" || strings.HasPrefix(line, "#")
		})
		if len(lines) > 0 {
			documents = append(documents, document)
		}
	}
	return documents
}

func decode(t *testing.T, name, document string) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, rbacv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	object, _, err := strict.Decode([]byte(document), nil, nil)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, document)
	}
	return object
}

func (o *objects) add(t *testing.T, name string, object runtime.Object) {
	t.Helper()
	meta := object.(metav1.Object)
	hook := meta.GetAnnotations()["helm.sh/hook"]
	kind := object.GetObjectKind().GroupVersionKind().Kind
	into := &o.names
	if hook != "" {
		if hook != "pre-delete" || meta.GetAnnotations()["helm.sh/hook-delete-policy"] != "before-hook-creation,hook-succeeded" {
			t.Errorf("%s: %s is a hook as %v", name, kind, meta.GetAnnotations())
		}
		o.hooks[kind] = meta.GetAnnotations()["helm.sh/hook-weight"]
		into = &o.hookedNames
	}
	*into = append(*into, kind+" "+path.Join(meta.GetNamespace(), meta.GetName()))
	if meta.GetLabels()["app.kubernetes.io/name"] != "regcred" || meta.GetLabels()["app.kubernetes.io/instance"] != "regcred" {
		t.Errorf("%s: %s has labels %v", name, kind, meta.GetLabels())
	}
	switch object := object.(type) {
	case *appsv1.DaemonSet:
		if hook != "" {
			o.hookDaemonSet = *object
		} else {
			o.daemonSet = *object
		}
	case *corev1.ServiceAccount:
		if hook != "" {
			o.hookAccount = *object
		} else {
			o.account = *object
		}
	case *corev1.ConfigMap:
		o.providers = *object
	case *rbacv1.ClusterRole:
		o.clusterRoles = append(o.clusterRoles, *object)
	case *rbacv1.ClusterRoleBinding:
		o.clusterBindings = append(o.clusterBindings, *object)
	case *rbacv1.Role:
		if hook != "" {
			o.hookRole = *object
		} else {
			o.roles = append(o.roles, *object)
		}
	case *rbacv1.RoleBinding:
		if hook != "" {
			o.hookBinding = *object
		} else {
			o.bindings = append(o.bindings, *object)
		}
	case *batchv1.Job:
		o.hookJob = *object
	default:
		t.Errorf("%s: a %s, which no test knows", name, kind)
	}
}

// setting is one that the chart knows: values and, where it is among the plain
// manifests, its name there.
type setting struct {
	name, values string
}

// settings are every cloud in every mode, and what else changes what is
// rendered.
func settings() []setting {
	var all []setting
	for _, cloud := range []string{"aws", "gcp", "azure", "oracle", "ibm"} {
		more := map[string]string{
			"gcp":    "gcp: {workloadIdentityProvider: projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/prod}\n",
			"oracle": "oracle: {clusterHost: 10.0.0.10}\npod: {audience: https://kubernetes.default.svc.cluster.local}\n",
		}
		all = append(all,
			setting{cloud + "-node.yaml", fmt.Sprintf("cloud: %s\n", cloud)},
			setting{cloud + "-pod.yaml", fmt.Sprintf("cloud: %s\nidentity: pod\n%s", cloud, more[cloud])})
	}
	return append(all, setting{"uninstall.yaml", "uninstall: true\n"})
}

// text is what a plain manifest has: the objects in the order in which they are
// created, without what is Helm's.
func plain(t *testing.T, s setting) []byte {
	t.Helper()
	files, err := render(t, "uninstallOnDelete: {enabled: false}\n"+s.values)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Rendered from deploy/chart by go test -C e2e/chart -update, with\n#\n")
	for line := range strings.Lines(s.values) {
		fmt.Fprintf(&text, "#     %s", line)
	}
	fmt.Fprintf(&text, "#\n# The image is where yours is.\n")
	for _, name := range []string{"serviceaccount.yaml", "configmap.yaml", "audiences.yaml", "daemonset.yaml"} {
		for _, document := range split(files[name]) {
			fmt.Fprintln(&text, "---")
			for line := range strings.Lines(document + "\n") {
				if !strings.Contains(line, "helm.sh/chart:") && !strings.Contains(line, "app.kubernetes.io/managed-by:") {
					text.WriteString(strings.TrimRight(line, " \n") + "\n")
				}
			}
		}
		delete(files, name)
	}
	for name, content := range files {
		if documents := split(content); len(documents) > 0 {
			t.Errorf("%s is in no manifest", name)
		}
	}
	return text.Bytes()
}
