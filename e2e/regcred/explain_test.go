//go:build linux

package regcred_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// explainReport is what is looked at of a report.
type explainReport struct {
	Image, PullPolicy, Verdict string
	OK                         bool
	Notes                      []string

	OnNode struct {
		Present          *bool
		Allowed          bool
		Reason, Sentence string
		ImageID, Problem string
		RecordsOfName    []any
	}
	Providers []struct {
		Name, Reason, Error string
		Matched, Foreign    bool
		Explanation         *struct {
			Source, Identity, Refused, Next string
			Cache                           struct{ Entry *struct{ State string } }
		}
	}
	Credentials []struct{ From, Key, Username string }
}

// explain runs the tool, and reads its report. It asks no cloud.
func (m *machine) explain(args ...string) (exit int, report explainReport, text string) {
	m.t.Helper()
	args = append([]string{"explain", m.kubeletFlag()}, args...)
	before := len(m.Cloud.Calls.All())
	exit, stdout, stderr := m.run(append(args, "-o", "json")...)
	var all struct {
		APIVersion, Kind string
		Notes            []string
		Images           []explainReport
		OK               bool
	}
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || len(all.Images) != 1 {
		m.t.Fatalf("exit code %d, %v\n%s%s", exit, err, stdout, stderr)
	}
	report = all.Images[0]
	report.Notes = all.Notes
	again, text, textErr := m.run(args...)
	if again != exit || stderr != "" || textErr != "" {
		m.t.Errorf("exit codes %d and %d, %s%s", exit, again, stderr, textErr)
	}
	m.noSecret(stdout + text)
	if asked := len(m.Cloud.Calls.All()) - before; asked != 0 {
		m.t.Errorf("the cloud was asked %d times", asked)
	}
	if all.APIVersion != "regcred/v1" || all.Kind != "Explain" || report.OK != (exit == 0) || all.OK != report.OK || !strings.Contains(text, report.Verdict) {
		m.t.Errorf("exit code %d, report %+v\n%s", exit, report, text)
	}
	return exit, report, text
}

// record writes what the kubelet has recorded of an image ID.
func (m *machine) record(id, mapping string) {
	m.t.Helper()
	m.write(fmt.Sprintf("kubelet/image_manager/pulled/sha256-%x", sha256.Sum256([]byte(id))),
		`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"2026-01-02T15:04:05Z","imageRef":"`+id+`","credentialMapping":{`+mapping+`}}`)
}

func TestExplainBeforeAndAfterAPull(t *testing.T) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, kind)
			m.runtime(nil)
			m.start()
			image := m.Image(0) + ":v1"
			exit, report, text := m.explain(image)
			if len(report.Providers) != 1 || report.Providers[0].Explanation == nil {
				t.Fatalf("exit code %d: %+v\n%s", exit, report, text)
			}
			x := report.Providers[0].Explanation
			if exit != 0 || x.Source == "" || x.Identity != "node" || x.Next != "ask" || !strings.Contains(report.Verdict, "asks "+x.Source) || report.PullPolicy != "IfNotPresent" {
				t.Errorf("exit code %d: %+v\n%s", exit, report, text)
			}
			if report.OnNode.Reason != "Absent" || !strings.Contains(text, "not here") {
				t.Errorf("on the node: %+v", report.OnNode)
			}
			if exit, _, stderr := m.run("get", m.kubeletFlag(), image); exit != 0 {
				t.Fatalf("exit code %d: %s", exit, stderr)
			}
			_, report, text = m.explain(image)
			if x := report.Providers[0].Explanation; x.Next != "serve" || x.Cache.Entry == nil || x.Cache.Entry.State != "fresh" || !strings.Contains(text, "answers from the cache, and asks nobody") {
				t.Errorf("after a pull: %+v\n%s", report, text)
			}
			if exit, report, _ := m.explain("registry.example.com/app:v1"); exit != 0 || report.Providers[0].Matched || !strings.Contains(report.Verdict, "as anybody") {
				t.Errorf("another's image: %+v", report)
			}
		})
	}
}

// An image that is here may not be for everybody, which nobody is told but root.
func TestExplainSaysWhoMayUseWhatIsHere(t *testing.T) {
	const id = "sha256:1f0a4d2f1f0a4d2f1f0a4d2f1f0a4d2f1f0a4d2f1f0a4d2f1f0a4d2f1f0a4d2f"
	secret := func(name, uid string) string {
		return `{"kubernetesSecrets":[{"uid":"` + uid + `","namespace":"team","name":"` + name + `","credentialHash":"h"}]}`
	}
	for _, test := range []struct {
		name    string
		mapping string // of the record; empty: there is none
		policy  string // of verification
		args    []string
		reason  string
		exit    int
		says    []string
	}{
		{"preloaded", "", "", nil, "Preloaded", 0, []string{"every pod may use it", "starts from the image that is here"}},
		{"verified always", "", "AlwaysVerify", []string{"--pull-policy=Never"}, "NoRecord", 1, []string{"ErrImageNeverPull"}},
		{"pulled by the node", `"IMAGE":{"nodePodsAccessible":true}`, "", nil, "NodeAccessible", 0, nil},
		{"poisoned by another name", `"mirror.example.com/app":` + secret("pull", "u1"), "", nil, "OtherName", 0,
			[]string{"here, but this pod may not use it without a pull: its ID was pulled as mirror.example.com/app with secret team/pull"}},
		{"poisoned, and never pulled", `"mirror.example.com/app":` + secret("pull", "u1"), "", []string{"--pull-policy=Never"}, "OtherName", 1,
			[]string{"mirror.example.com/app with secret team/pull", "ErrImageNeverPull, as if the image were not here"}},
		{"of another's secret", `"IMAGE":` + secret("other", "u9"), "", []string{"--pod=team/app-0"}, "OtherCredentials", 0, []string{"pulled with secret team/other, which the pod has not"}},
		{"of the pod's secret", `"IMAGE":` + secret("pull", "u1"), "", []string{"--pod=team/app-0"}, "SecretKnown", 0, []string{"secret team/pull"}},
		{"asked for each time", `"IMAGE":{"nodePodsAccessible":true}`, "", []string{"--pull-policy=Always"}, "NodeAccessible", 0, []string{"asks the registry for the image, whether it is here or not"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, clouds.All()[0])
			image := m.Image(0) + ":v1"
			m.runtime(map[string]string{image: id})
			if test.policy != "" {
				m.write("kubelet.yaml", m.read("kubelet.yaml")+"imagePullCredentialsVerificationPolicy: "+test.policy+"\n")
			}
			m.record("sha256:0", `"registry.example.com/other":{"nodePodsAccessible":true}`)
			if test.mapping != "" {
				m.record(id, strings.ReplaceAll(test.mapping, "IMAGE", m.Image(0)))
			}
			login := base64.StdEncoding.EncodeToString([]byte("jane:hunter2-hunter2"))
			config := base64.StdEncoding.EncodeToString([]byte(`{"auths":{"` + m.Registry(0) + `":{"auth":"` + login + `"}}}`))
			m.objects = map[string]string{
				"/api/v1/namespaces/team/pods/app-0":          `{"metadata":{"namespace":"team","name":"app-0","uid":"p"},"spec":{"serviceAccountName":"app","imagePullSecrets":[{"name":"pull"}],"containers":[{"name":"c","image":"` + image + `","imagePullPolicy":"IfNotPresent"}]}}`,
				"/api/v1/namespaces/team/serviceaccounts/app": `{"metadata":{"namespace":"team","name":"app","uid":"s"}}`,
				"/api/v1/namespaces/team/secrets/pull":        `{"metadata":{"namespace":"team","name":"pull","uid":"u1"},"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"` + config + `"}}`,
			}
			m.start()
			exit, report, text := m.explain(append(test.args, image)...)
			if strings.Contains(text, "hunter2") {
				t.Error("a password is told")
			}
			if exit != test.exit || report.OnNode.Reason != test.reason || report.OnNode.ImageID != id {
				t.Errorf("exit code %d, %+v, want %d and %s\n%s", exit, report.OnNode, test.exit, test.reason, text)
			}
			for _, want := range test.says {
				if !strings.Contains(text, want) {
					t.Errorf("does not say %q:\n%s", want, text)
				}
			}
			if strings.Contains(text, "is not known here") {
				t.Errorf("records that are not known:\n%s", text)
			}
		})
	}
}

// A kubelet that keeps no records lets every pod use what is there.
func TestExplainOfAKubeletWithoutRecords(t *testing.T) {
	m := boot(t, clouds.All()[0])
	image := m.Image(0) + ":v1"
	m.runtime(map[string]string{image: "sha256:1"})
	m.start()
	if exit, report, text := m.explain("--pull-policy=Never", image); exit != 0 || report.OnNode.Reason != "NotVerified" || !strings.Contains(text, "the kubelet keeps no records") {
		t.Errorf("exit code %d, %+v\n%s", exit, report.OnNode, text)
	}
}

// A runtime that does not answer is told, and so is a record of a later kubelet.
func TestExplainWithoutARuntime(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.write("kubelet.yaml", m.read("kubelet.yaml")+"containerRuntimeEndpoint: unix:///nonexistent/cri.sock\n")
	m.record("sha256:00", `"`+m.Image(0)+`":{"nodePodsAccessible":true}`)
	m.write("kubelet/image_manager/pulled/sha256-01", `{"kind":"ImagePreloadedRecord","apiVersion":"kubelet.config.k8s.io/v1beta1"}`)
	m.start()
	exit, report, text := m.explain(m.Image(0) + ":v1")
	if exit != 0 || report.OnNode.Present != nil || !strings.Contains(report.OnNode.Problem, "/nonexistent/cri.sock") || len(report.OnNode.RecordsOfName) != 1 {
		t.Errorf("exit code %d, %+v", exit, report.OnNode)
	}
	for _, want := range []string{"whether the image is here is not known", "the kubelet has pulled sha256:00 under this name, with credentials of the node, or none", "ImagePreloadedRecord"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
}

// A pod's own identity is explained with a token of its service account.
func TestExplainForAPod(t *testing.T) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, kind)
			shop := m.Workload(fake.Shop)
			q, err := m.PodQuestion(m.Image(0), fake.Shop, shop)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for name := range shop.Annotations {
				names = append(names, name)
			}
			m.provider()["args"] = q.Args
			m.provider()["tokenAttributes"] = map[string]any{
				"serviceAccountTokenAudience": "audience.test", "cacheType": "ServiceAccount", "requireServiceAccount": true, "optionalServiceAccountAnnotationKeys": names,
			}
			var env []map[string]string
			for _, variable := range q.Env {
				name, value, _ := strings.Cut(variable, "=")
				env = append(env, map[string]string{"name": name, "value": value})
			}
			m.provider()["env"] = env
			annotations, _ := json.Marshal(shop.Annotations) // strings always encode
			account := "/api/v1/namespaces/" + fake.Shop.Namespace + "/serviceaccounts/" + fake.Shop.Name
			m.objects = map[string]string{
				account:            `{"metadata":{"namespace":"` + fake.Shop.Namespace + `","name":"` + fake.Shop.Name + `","uid":"` + fake.Shop.UID + `","annotations":` + string(annotations) + `}}`,
				account + "/token": `{"status":{"token":"` + q.Token + `","expirationTimestamp":"2099-01-02T15:04:05Z"}}`,
			}
			m.start()
			exit, report, text := m.explain("--service-account="+fake.Shop.Namespace+"/"+fake.Shop.Name, m.Image(0)+":v1")
			if strings.Contains(text, q.Token) {
				t.Error("the token is told")
			}
			if len(report.Providers) != 1 || report.Providers[0].Explanation == nil || report.Providers[0].Explanation.Identity != "pod" || exit != 0 {
				t.Errorf("exit code %d, %+v\n%s", exit, report, text)
			}
			exit, report, text = m.explain(m.Image(0) + ":v1")
			if exit != 0 || !strings.Contains(report.Providers[0].Reason, "requires a service account") {
				t.Errorf("without a service account: exit code %d, %+v\n%s", exit, report, text)
			}
		})
	}
}

// What is not of this suite cannot explain itself, and is not run for the image.
func TestExplainDoesNotRunOthers(t *testing.T) {
	m := boot(t, clouds.All()[0])
	ran := m.path("ran")
	cloudtest.Program(t, m.path("bin/other-credential-provider"), []byte("#!/bin/sh\necho \"$@\" >> "+ran+"\ncat >> "+ran+"\nexit 1\n"))
	other := map[string]any{"name": "other-credential-provider", "apiVersion": fake.V1, "matchImages": []string{"registry.example.com"}, "defaultCacheDuration": "0s"}
	m.config["providers"] = append(m.config["providers"].([]any), other)
	m.start()
	exit, report, text := m.explain("registry.example.com/app:v1")
	if exit != 0 || !report.Providers[1].Foreign || !strings.Contains(text, "not of this suite") || !strings.Contains(report.Verdict, "of which nothing is known here") {
		t.Errorf("exit code %d, %+v\n%s", exit, report, text)
	}
	if said, err := os.ReadFile(ran); err == nil && (strings.Contains(string(said), "explain") || strings.Contains(string(said), "registry.example.com")) {
		t.Errorf("it was run with %q", said)
	}
}

func TestExplainOfWhatIsWrong(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.provider()["args"] = []string{"--role-arm=x"}
	m.start()
	if exit, report, _ := m.explain(m.Image(0) + ":v1"); exit != 1 || !strings.Contains(report.Verdict, "unknown flag: --role-arm") {
		t.Errorf("a wrong flag: exit code %d, %s", exit, report.Verdict)
	}
	for _, args := range [][]string{{}, {"--pull-policy=Sometimes", "a"}, {"-o", "yaml", "a"}, {"--pod=x", "a"}} {
		if exit, stdout, stderr := m.run(append([]string{"explain", m.kubeletFlag()}, args...)...); exit != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q", args, exit, stdout, stderr)
		}
	}
	if exit, stdout, _ := m.run("explain", m.kubeletFlag(), "registry.example.com/a", "registry.example.com/b"); exit != 0 || strings.Count(stdout, "On this node") != 2 {
		t.Errorf("two images: exit code %d\n%s", exit, stdout)
	}
	if exit, stdout, stderr := m.run("explain", m.kubeletFlag(), "https://x"); exit != 1 || stdout != "" || !strings.Contains(stderr, "image") {
		t.Errorf("no image: exit code %d, %q, %q", exit, stdout, stderr)
	}
}
