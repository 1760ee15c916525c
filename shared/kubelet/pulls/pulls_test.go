package pulls

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// put writes a file of the kubelet's.
func put(t testing.TB, root, dir, file, text string) {
	t.Helper()
	path := filepath.Join(root, "image_manager", dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func record(version, id, mapping string) string {
	return fmt.Sprintf(`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/%s","lastUpdatedTime":"2026-01-02T15:04:05Z","imageRef":%q,"credentialMapping":{%s}}`, version, id, mapping)
}

const team = `{"kubernetesSecrets":[{"uid":"u1","namespace":"team","name":"pull","credentialHash":"h1"}]}`

// That the verdicts are the kubelet's is tested with the kubelet's own code. What
// is said of them is tested here.
func TestWhatIsSaidOfAnImage(t *testing.T) {
	const id, image = "sha256:1", "registry.test/team/app:v1"
	for name, tc := range map[string]struct {
		mapping string // empty: no record
		id      string
		pod     Pod
		policy  Policy
		reason  Reason
		allowed bool
		says    string
	}{
		"absent":         {"", "", Pod{}, Policy{}, Absent, false, "not here: it has to be pulled"},
		"an old kubelet": {"", id, Pod{}, Policy{Off: true}, NotVerified, true, "the kubelet verifies nobody's access"},
		"preloaded":      {"", id, Pod{}, Policy{}, Preloaded, true, "ends with the first pull of the same content, be it under another name"},
		"poisoned": {`"mirror.test/app":` + team, id, Pod{}, Policy{}, OtherName, false,
			"its ID was pulled as mirror.test/app with secret team/pull, and never under this name"},
		"poisoned by many": {`"a":` + team + `,"b":{"nodePodsAccessible":true},"c":{},"d":{},"e":{}`, id, Pod{}, Policy{}, OtherName, false,
			"a with secret team/pull; b with credentials of the node, or none; c with credentials that are not known; 2 more names"},
		"another's":   {`"registry.test/team/app":` + team, id, Pod{Secrets: []Secret{{UID: "u2", Namespace: "shop", Name: "pull", CredentialHash: "h2"}}}, Policy{}, OtherCredentials, false, "pulled with secret team/pull, which the pod has not"},
		"its own":     {`"registry.test/team/app":` + team, id, Pod{Secrets: []Secret{{UID: "u1", Namespace: "team", Name: "pull"}}}, Policy{}, SecretKnown, true, "its secret team/pull"},
		"same login":  {`"registry.test/team/app":` + team, id, Pod{Secrets: []Secret{{UID: "u2", Namespace: "shop", Name: "pull", CredentialHash: "h1"}}}, Policy{}, SecretKnown, true, "its secret shop/pull, or with the same login"},
		"not known":   {`"registry.test/team/app":` + team, id, Pod{Unknown: errors.New("nobody\nknows")}, Policy{}, CredentialsUnknown, false, "is not known (nobody knows)"},
		"allowlisted": {`"registry.test/team/app":` + team, id, Pod{}, Policy{Verification: NeverVerifyAllowlistedImages, Allowlist: []string{"registry.test/*"}}, Exempt, true, "whoever pulled it"},
		"strict":      {"", id, Pod{}, Policy{Verification: AlwaysVerify}, NoRecord, false, "no pull of it is recorded"},
		"a hostile name": {`"registry.test/team/app":{"kubernetesServiceAccounts":[{"uid":"u","namespace":"\u001b[31m","name":"x\ny"}]}`, id, Pod{}, Policy{}, OtherCredentials, false,
			"service account [31m/x y"},
		"many tenants": {`"registry.test/team/app":{"kubernetesServiceAccounts":[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"},{"name":"e"}]}`, id, Pod{}, Policy{}, OtherCredentials, false,
			"service account /c, 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if tc.mapping != "" {
				put(t, root, "pulled", FileOf(id), record("v1beta1", id, tc.mapping))
			}
			got := In(root).Verdict(image, tc.id, tc.pod, tc.policy)
			if got.Reason != tc.reason || got.Allowed != tc.allowed || !strings.Contains(got.String(), tc.says) || strings.ContainsAny(got.String(), "\n\x1b") {
				t.Errorf("got %s, %t: %q", got.Reason, got.Allowed, got)
			}
		})
	}
}

// A later kubelet's records are read as far as they are known, and told where
// they are not. An earlier one's have no field that it does not know.
func TestRecordsAreReadTolerantly(t *testing.T) {
	root := t.TempDir()
	if all, err := In(root).List(); err != nil || len(all.Records)+len(all.Pulling)+len(all.Unknown) != 0 || In(root).Exists() {
		t.Errorf("nothing holds %+v, %v", all, err)
	}
	put(t, root, "pulled", FileOf("sha256:1"), record("v1alpha1", "sha256:1", `"a":{"nodePodsAccessible":true}`))
	put(t, root, "pulled", FileOf("sha256:2"), strings.Replace(record("v1", "sha256:2", `"b":{"nodePodsAccessible":true,"since":"x"}`), "{", `{"later":1,`, 1))
	put(t, root, "pulling", FileOf("a:v1"), `{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":"a:v1"}`)
	put(t, root, "pulled", "sha256-unfinished.tmp", "{")
	put(t, root, "pulled", "README", "{")
	unknown := map[string]string{
		"sha256-1": `{"kind":"ImagePreloadedRecord","apiVersion":"kubelet.config.k8s.io/v1beta1"}`,
		"sha256-2": `not JSON`,
		"sha256-3": record("v1beta1", "sha256:3", `"a":{"later":1}`),
		"sha256-4": `{"kind":"ImagePulledRecord","apiVersion":"example.com/v1"}`,
		"sha256-5": strings.Repeat(" ", maxRecord+1),
	}
	for file, text := range unknown {
		put(t, root, "pulled", file, text)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(root, "image_manager/pulled/sha256-6")); err != nil {
		t.Fatal(err)
	}
	all, err := In(root).List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range all.Records {
		for name := range r.Names {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"a", "b"}) || !slices.Equal(all.Pulling, []string{"a:v1"}) || len(all.Unknown) != len(unknown)+1 || !In(root).Exists() {
		t.Errorf("listed %+v", all)
	}
	for _, file := range all.Unknown {
		if file.Reason == "" || strings.Contains(file.Reason, "\n") {
			t.Errorf("%s: %q", file.File, file.Reason)
		}
	}
	if of := all.Of("b:v2"); len(of) != 1 || of[0].ImageRef != "sha256:2" || len(all.Of("https://x")) != 0 {
		t.Errorf("of b: %+v", of)
	}
	if got := In(root).Verdict("b:v2", "sha256:2", Pod{}, Policy{}); got.Reason != NodeAccessible {
		t.Errorf("by a record of a later kubelet: %s", got)
	}
	put(t, root, "pulled", FileOf("sha256:9"), unknown["sha256-1"])
	if got := In(root).Verdict("b:v2", "sha256:9", Pod{}, Policy{}); got.Reason != RecordUnreadable || !strings.Contains(got.String(), "ImagePreloadedRecord") {
		t.Errorf("by a record of another kind: %s", got)
	}
}

// Whatever a record holds, there is a verdict of one line.
func FuzzVerdict(f *testing.F) {
	f.Add([]byte(record("v1beta1", "sha256:1", `"app":`+team)), "app:v1")
	f.Add([]byte(`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1","credentialMapping":{"":{}}}`), "")
	f.Add([]byte("\x00"), "a@sha256:x")
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		put(t, root, "pulled", FileOf("sha256:1"), string(text))
		v := In(root).Verdict(name, "sha256:1", Pod{Secrets: []Secret{{Name: "pull"}}}, Policy{})
		if s := v.String(); s == "" || strings.ContainsAny(s, "\n\r\x1b") {
			t.Errorf("%q", s)
		}
	})
}
