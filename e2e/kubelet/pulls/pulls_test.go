// Package pulls holds what the tool says of images that are there to what the
// kubelet's own code decides.
package pulls

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/credentialprovider"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/images/pullmanager"

	"regcred/shared/kubelet/pulls"
)

// What cases are made of: few of each, so that they meet.
var (
	ids   = []string{"sha256:1", "sha256:2"}
	names = []string{
		"app", "app:v1", "docker.io/library/app:v1", "registry.test/team/app", "registry.test/team/app:v1", "registry.test:5000/app:v1",
		"registry.test/team/app@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7",
		"registry.test/team/app:v1@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7",
		"Registry.Test/team/app", "registry.test/team/application", "registry.test/Team/app", "", "https://registry.test/app",
	}
	bare = []string{"app", "docker.io/library/app", "registry.test/team/app", "registry.test:5000/app", "Registry.Test/team/app"}

	policies  = []string{pulls.NeverVerify, pulls.NeverVerifyPreloadedImages, pulls.NeverVerifyAllowlistedImages, pulls.AlwaysVerify}
	allowed   = []string{"app", "registry.test/team/app", "registry.test/*", "registry.test/team/*", "registry.test/te/*", "docker.io/library/app"}
	uids      = []string{"u1", "u2"}
	spaces    = []string{"shop", "prod"}
	hashes    = []string{"h1", "h2", ""}
	versions  = []string{"v1beta1", "v1beta1", "v1beta1", "v1alpha1"}
	breakages = []string{
		`{`, ``, `null`, `{"kind":"ImagePreloadedRecord","apiVersion":"kubelet.config.k8s.io/v1beta1"}`,
		`{"kind":"ImagePulledRecord","apiVersion":"example.com/v1"}`,
		`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":"sha256:1","preloaded":true}`,
		`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":"sha256:3"}`,
		`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":"sha256:1","credentialMapping":[]}`,
	}
)

type dice struct{ *rand.Rand }

func one[T any](d dice, of []T) T { return of[d.IntN(len(of))] }

func (d dice) secret() pulls.Secret {
	return pulls.Secret{UID: one(d, uids), Namespace: one(d, spaces), Name: "pull", CredentialHash: one(d, hashes)}
}

func (d dice) account() pulls.ServiceAccount {
	return pulls.ServiceAccount{UID: one(d, uids), Namespace: one(d, spaces), Name: "app"}
}

// record is the text of a record of an image ID.
func (d dice) record(id string) string {
	if d.IntN(8) == 0 {
		return one(d, breakages)
	}
	var mapping []string
	used := map[string]bool{}
	for range d.IntN(3) {
		name := one(d, bare)
		if used[name] {
			continue
		}
		used[name] = true
		access := "{}"
		switch d.IntN(5) {
		case 0:
			access = `{"nodePodsAccessible":true}`
		case 1:
			var secrets []string
			count := 1 + d.IntN(3)
			if d.IntN(6) == 0 {
				count = 98 + d.IntN(4) // about where the kubelet stops writing
			}
			for range count {
				s := d.secret()
				secrets = append(secrets, fmt.Sprintf(`{"uid":%q,"namespace":%q,"name":%q,"credentialHash":%q}`, s.UID, s.Namespace, s.Name, s.CredentialHash))
			}
			access = `{"kubernetesSecrets":[` + strings.Join(secrets, ",") + `]}`
		case 2, 3:
			a := d.account()
			access = fmt.Sprintf(`{"kubernetesServiceAccounts":[{"uid":%q,"namespace":%q,"name":%q}]}`, a.UID, a.Namespace, a.Name)
		}
		mapping = append(mapping, fmt.Sprintf("%q:%s", name, access))
	}
	return fmt.Sprintf(`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/%s","lastUpdatedTime":"2026-01-02T15:04:05Z","imageRef":%q,"credentialMapping":{%s}}`,
		one(d, versions), id, strings.Join(mapping, ","))
}

// The kubelet's records, whatever is in them, say the same to both.
func TestVerdictsAreTheKubelets(t *testing.T) {
	const cases = 3000
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // it says what it thinks of each broken record
	seen := map[pulls.Reason]int{}
	for seed := range uint64(cases) {
		d := dice{rand.New(rand.NewPCG(seed, 37))}
		root := t.TempDir()
		for _, dir := range []string{"pulled", "pulling"} {
			if err := os.MkdirAll(filepath.Join(root, "image_manager", dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range ids {
			if d.IntN(3) > 0 {
				put(t, root, "pulled", id, d.record(id))
			}
		}
		for range d.IntN(3) {
			image := one(d, names)
			text := fmt.Sprintf(`{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/%s","image":%q}`, one(d, versions), image)
			if d.IntN(6) == 0 {
				text = one(d, breakages)
			}
			put(t, root, "pulling", image, text)
		}
		name, id := one(d, names), one(d, append(ids, ""))
		policy := pulls.Policy{Verification: one(d, policies)}
		for range d.IntN(3) {
			policy.Allowlist = append(policy.Allowlist, one(d, allowed))
		}
		var pod pulls.Pod
		for range d.IntN(3) {
			pod.Secrets = append(pod.Secrets, d.secret())
		}
		if d.IntN(2) == 0 {
			account := d.account()
			pod.ServiceAccount = &account
		}

		got := pulls.In(root).Verdict(name, id, pod, policy)
		if want := mustPull(t, root, name, id, pod, policy); got.Allowed == want {
			t.Errorf("seed %d: image %q, ID %q, pod %+v, policy %+v: says %s (%s), while the kubelet pulls: %t\n%s", seed, name, id, pod, policy, got.Reason, got, want, tree(root))
		}
		if got.String() == "" || strings.ContainsAny(got.String(), "\n\x1b") {
			t.Errorf("seed %d: no sentence: %q", seed, got)
		}
		seen[got.Reason]++
	}
	for _, reason := range []pulls.Reason{
		pulls.NotVerified, pulls.Exempt, pulls.Preloaded, pulls.NodeAccessible, pulls.SecretKnown, pulls.ServiceAccountKnown,
		pulls.Absent, pulls.RecordUnreadable, pulls.NoRecord, pulls.OtherName, pulls.NoCredentials, pulls.OtherCredentials,
	} {
		if seen[reason] < 5 {
			t.Errorf("%s was tried %d times", reason, seen[reason])
		}
	}
}

// mustPull is what the kubelet's own code decides.
func mustPull(t *testing.T, root, name, id string, pod pulls.Pod, policy pulls.Policy) bool {
	t.Helper()
	accessor, err := pullmanager.NewFSPullRecordsAccessor(klog.Background(), copied(t, root))
	if err != nil {
		t.Fatal(err)
	}
	enforcer, err := pullmanager.NewImagePullCredentialVerificationPolicy(kubeletconfig.ImagePullCredentialsVerificationPolicy(policy.Verification), policy.Allowlist)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := pullmanager.NewImagePullManager(context.Background(), readOnlyAtStart{accessor}, enforcer, nil, 8)
	if err != nil {
		t.Fatal(err)
	}
	must, err := manager.MustAttemptImagePull(t.Context(), name, id, func() ([]kubeletconfig.ImagePullSecret, *kubeletconfig.ImagePullServiceAccount, error) {
		var secrets []kubeletconfig.ImagePullSecret
		for _, s := range pod.Secrets {
			secrets = append(secrets, kubeletconfig.ImagePullSecret(s))
		}
		if pod.ServiceAccount == nil {
			return secrets, nil, nil
		}
		account := kubeletconfig.ImagePullServiceAccount(*pod.ServiceAccount)
		return secrets, &account, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return must
}

// readOnlyAtStart has no intents for a kubelet that starts: it would turn them
// into records by what its runtime lists, of which there is none.
type readOnlyAtStart struct {
	pullmanager.PullRecordsAccessor
}

func (readOnlyAtStart) ListImagePullIntents() ([]*kubeletconfig.ImagePullIntent, error) {
	return nil, nil
}

// copied is a copy of the records: the kubelet's code rewrites them.
func copied(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t *testing.T, root, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, "image_manager", dir, pulls.FileOf(name)), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tree(root string) string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(root, "image_manager", "*", "*"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		fmt.Fprintf(&b, "%s: %.600s\n", file, text)
	}
	return b.String()
}

func TestTheHashOfALogin(t *testing.T) {
	for _, login := range []credentialprovider.AuthConfig{
		{}, {Username: "user", Password: "password"}, {Username: "u<&>", Password: "pä\u2028\"s\\s", Email: "a@b.test"}, {Password: "only\xff"},
	} {
		want := credentialprovider.NewTrackedAuthConfig(&login, nil).AuthConfigHash
		if got := pulls.Hash(login.Username, login.Password, login.Email); got != want || got == "" {
			t.Errorf("%+v: %s, want %s", login, got, want)
		}
	}
}
