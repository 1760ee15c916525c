package library_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeletconfig "k8s.io/kubelet/config/v1"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"

	"regcred/shared/credential"
	"regcred/shared/kubelet"
)

// program stands for a provider: it writes down how it was run, and prints what
// it is told to. $0 names the case.
const program = `#!/bin/sh
record="$RECORDS/$CALLER-${0##*/}"
{ echo "$0"; for a; do echo "arg $a"; done; pwd; cat /proc/$$/environ - ; } >"$record" 2>&1
read code <"$ANSWERS/${0##*/}.code"
read word <"$ANSWERS/${0##*/}.stderr"
echo "$word" >&2
cat "$ANSWERS/${0##*/}"
exit "$code"
`

const protocolV1 = "credentialprovider.kubelet.k8s.io/v1"

// answerCase is an image for which some providers are asked. Each has providers
// of its own, since the kubelet remembers what a provider answered.
type answerCase struct {
	image     string
	pod       pod
	providers []kubeletconfig.CredentialProvider
}

// pod is the pod of a lookup.
type pod struct {
	account     string
	annotations map[string]string
	denied      bool // no token
}

// Providers are run in the same way, and their answers are taken or refused
// alike.
func TestAnswers(t *testing.T) {
	m := newMaker(6)
	dir := t.TempDir()
	binDir, answers, records := filepath.Join(dir, "bin"), filepath.Join(dir, "answers"), filepath.Join(dir, "records")
	for _, d := range []string{binDir, answers, records} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	shared := filepath.Join(dir, "program")
	if err := os.WriteFile(shared, []byte(program), 0o700); err != nil { //nolint:gosec // It is run.
		t.Fatal(err)
	}

	cases := make([]answerCase, scaled(600))
	var all []kubeletconfig.CredentialProvider
	for i := range cases {
		c := &cases[i]
		c.image = fmt.Sprintf("c%d.example.com/%s", i, m.path())
		c.pod = m.pod(i)
		for j := range 1 + m.IntN(2) {
			p := m.runnable(fmt.Sprintf("p%d-%d", i, j), c.image)
			if err := os.Symlink(shared, filepath.Join(binDir, p.Name)); err != nil {
				t.Fatal(err)
			}
			m.answer(t, filepath.Join(answers, p.Name), p, c.image, i)
			c.providers = append(c.providers, p)
		}
		all = append(all, c.providers...)
	}
	// They are written and loaded again: an env of none is nil then.
	text, err := kubelet.Encode(all)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := kubelet.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.CheckBinaries(binDir).Err(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RECORDS", records)
	t.Setenv("ANSWERS", answers)
	t.Setenv("CALLER", "kubelet")
	account := func(_, name string) (*core.ServiceAccount, error) {
		for _, c := range cases {
			if c.pod.account == name {
				return &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Annotations: c.pod.annotations}}, nil
			}
		}
		return nil, fmt.Errorf("no service account %s", name)
	}
	token := func(_, name string, r *authentication.TokenRequest) (*authentication.TokenRequest, error) {
		for _, c := range cases {
			if c.pod.account == name && c.pod.denied {
				return nil, errors.New("audience not permitted")
			}
		}
		return &authentication.TokenRequest{Status: authentication.TokenRequestStatus{Token: tokenOf(name, r.Spec.Audiences[0])}}, nil
	}
	if err := plugin.RegisterCredentialProviderPlugins(path, binDir, token, account); err != nil {
		t.Fatal(err)
	}

	accepted, refused, skipped := 0, 0, 0
	for i, c := range cases {
		found, _ := plugin.NewExternalCredentialProviderDockerKeyring("ns", "pod", "pod-uid", c.pod.account).Lookup(c.image)
		var want []tried
		for _, f := range found {
			w := tried{username: f.Username, password: f.Password}
			if f.Source != nil && f.Source.ServiceAccount != nil {
				w.secret = f.Source.ServiceAccount.Namespace + "/" + f.Source.ServiceAccount.Name
			}
			want = append(want, w)
		}

		environ := os.Environ()
		environ[slices.Index(environ, "CALLER=kubelet")] = "CALLER=library"
		runner := kubelet.Runner{BinDir: binDir, Environ: environ}
		var keyring kubelet.Keyring
		matched := 0
		for _, match := range config.Match(c.image) {
			if !match.Matched {
				continue
			}
			matched++
			outcome := runner.Ask(t.Context(), match.Provider, c.image, c.pod.ours())
			switch {
			case outcome.Skipped != "":
				skipped++
			case outcome.Err != nil:
				refused++
			default:
				accepted++
			}
			checkOutcome(t, outcome)
			compareRecords(t, records, match.Provider.Name)
			keyring.AddOutcome(outcome)
			if t.Failed() {
				t.Fatalf("%s: %+v", c.image, outcome)
			}
		}
		if matched != len(c.providers) {
			t.Fatalf("%d: %d providers matched, want %d", i, matched, len(c.providers))
		}
		got := keyring.Candidates(c.image)
		for k := range got {
			// compareOrder compares the origin of secrets.
			if owner := got[k].Origin.ServiceAccount; owner != "" {
				got[k].Origin = kubelet.Origin{Kind: kubelet.PullSecret, Name: owner}
			}
		}
		compareOrder(t, c.image, got, want)
	}
	t.Logf("%d answers accepted, %d refused, %d providers skipped", accepted, refused, skipped)
	if accepted < scaled(200) || refused < scaled(120) || skipped < scaled(20) {
		t.Error("little was compared")
	}
}

func tokenOf(account, audience string) string { return "token-of-" + account + "-for-" + audience }

func (p pod) ours() kubelet.Pod {
	if p.account == "" {
		return kubelet.Pod{}
	}
	return kubelet.Pod{
		ServiceAccount: &kubelet.ServiceAccount{Namespace: "ns", Name: p.account, UID: "uid-" + p.account, Annotations: p.annotations},
		Token: func(_ context.Context, audience string) (credential.Secret, error) {
			if p.denied {
				return credential.Secret{}, errors.New("audience not permitted")
			}
			return credential.NewSecret(tokenOf(p.account, audience)), nil
		},
	}
}

func (m maker) pod(i int) pod {
	p := pod{account: usually(m, 4, fmt.Sprintf("account-%d", i), ""), annotations: map[string]string{}, denied: m.odds(15)}
	for range m.IntN(4) {
		p.annotations[one(m, "a", "b", "a.io/role")] = one(m, "", "value", "<&>", "\n")
	}
	return p
}

// runnable is a provider that the kubelet starts with.
func (m maker) runnable(name, image string) kubeletconfig.CredentialProvider {
	host, _, _ := strings.Cut(image, "/")
	p := kubeletconfig.CredentialProvider{
		Name: name, MatchImages: []string{usually(m, 4, host, image, host+"/")}, DefaultCacheDuration: &meta.Duration{},
		APIVersion: usually(m, 4, protocolV1, "credentialprovider.kubelet.k8s.io/v1beta1", "credentialprovider.kubelet.k8s.io/v1alpha1"),
		Args:       usually(m, 3, nil, []string{"--v=3", "", "a b", "$HOME"}),
	}
	if m.odds(3) {
		p.Env = []kubeletconfig.ExecEnvVar{{Name: "ONE", Value: "first"}, {Name: "ONE", Value: "second"}, {Name: "HOME", Value: "/elsewhere"}, {Name: "A B", Value: "x=y"}}
	}
	if p.APIVersion == protocolV1 && m.odds(2) {
		require := m.odds(2)
		p.TokenAttributes = &kubeletconfig.ServiceAccountTokenAttributes{
			ServiceAccountTokenAudience: "sts.example.com", RequireServiceAccount: &require,
			CacheType:                            one(m, kubeletconfig.ServiceAccountServiceAccountTokenCacheType, kubeletconfig.TokenServiceAccountTokenCacheType),
			OptionalServiceAccountAnnotationKeys: one(m, nil, []string{"b"}),
		}
		if require && m.odds(3) {
			p.TokenAttributes.RequiredServiceAccountAnnotationKeys = []string{"a"}
		}
	}
	return p
}

// answer writes what a provider prints: an answer, most often nearly right.
func (m maker) answer(t *testing.T, path string, p kubeletconfig.CredentialProvider, image string, i int) {
	t.Helper()
	auth := map[string]any{}
	for range m.IntN(4) {
		password := usually(m, 8, fmt.Sprintf("password-%d-%d", i, m.IntN(1000)), "", tokenOf(fmt.Sprintf("account-%d", i), "sts.example.com"))
		auth[m.key(image)] = map[string]any{"username": fmt.Sprint(m.IntN(1000)), "password": password}
	}
	answer := map[string]any{
		"kind": usually(m, 25, "CredentialProviderResponse", "CredentialProviderRequest", "", "credentialproviderresponse"),
		"apiVersion": usually(m, 25, p.APIVersion, protocolV1, "credentialprovider.kubelet.k8s.io/v1beta1", "", "v1", "credentialprovider.kubelet.k8s.io/__internal",
			"kubelet.config.k8s.io/v1"),
		"cacheKeyType":  usually(m, 15, one[any](m, "Image", "Registry", "Global"), "", "image", "ServiceAccount", nil, 1),
		"cacheDuration": usually[any](m, 8, "5m0s", "0s", "0", "-1s", "", 300, nil, "1d", "5m30s", true),
		"auth":          auth,
	}
	switch m.IntN(30) {
	case 0:
		answer["auth"] = one[any](m, nil, []any{}, "x", map[string]any{image: nil}, map[string]any{image: map[string]any{}}, map[string]any{image: "x"}, map[string]any{image: map[string]any{"username": 1}})
	case 1:
		auth["registry.example.com"] = map[string]any{"username": "u", "password": "secret-of-a-field", "email": "unknown-field-value"}
	case 2:
		answer[one(m, "extra", "CacheKeyType", "Auth", "metadata")] = "text-of-an-unknown-field"
	case 3:
		delete(answer, one(m, "kind", "apiVersion", "cacheKeyType", "cacheDuration", "auth"))
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	text := string(encoded)
	switch m.IntN(30) {
	case 0:
		text = one(m, "", "null", "{}", "[]", "yaml: true", "log line\n"+text, text+"\nlog line", text+text, "\ufeff"+text, text+"\x00", "\u00a0"+text, text[:m.IntN(len(text)+1)])
	case 1:
		text = " \n\t" + text + "\r\n \n"
	case 2:
		text = strings.Replace(text, `"auth":`, `"auth":{"first.example.com":{"username":"u","password":"hidden-in-a-duplicate"}},"auth":`, 1)
	case 3:
		text = strings.Replace(text, `"password":`, `"password":"hidden-in-a-double","password":`, 1)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stderr := "0", "a word on stderr\n"
	if m.odds(12) {
		code, stderr = one(m, "1", "2", "255"), fmt.Sprintf("it failed with hidden-in-%d-stderr for password-%d\n", i, i)
	}
	for suffix, text := range map[string]string{".code": code + "\n", ".stderr": stderr} {
		if err := os.WriteFile(path+suffix, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// checkOutcome checks what is told about a run.
func checkOutcome(t *testing.T, o kubelet.Outcome) {
	t.Helper()
	told := fmt.Sprintf("%v %v %+v", o.Err, o.Problems, o)
	for _, word := range []string{"secret-of-a-field", "hidden-in-a-d", "text-of-an-unknown-field", "token-of-", "password-"} {
		// The annotation of a case is no secret, and the stderr of one may have
		// the beginning of a password, as nothing else tells it.
		if strings.Contains(strings.ReplaceAll(told, o.Stderr, ""), word) {
			t.Errorf("%q is told: %s", word, told)
		}
	}
	if o.Err != nil && (strings.ContainsAny(o.Err.Error(), "\n\r") || o.Err.Error() == "") {
		t.Errorf("error %q", o.Err)
	}
	if o.Err != nil && o.Exited && o.ExitCode == 0 && o.Problems.Err() == nil {
		t.Errorf("no reason: %+v", o)
	}
}

// compareRecords compares how a provider was run, if it was.
func compareRecords(t *testing.T, dir, name string) {
	t.Helper()
	read := func(caller string) string {
		path := filepath.Join(dir, caller+"-"+name)
		text, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		_ = os.Remove(path)
		return strings.Replace(string(text), "CALLER="+caller, "CALLER=", 1)
	}
	want, got := read("kubelet"), read("library")
	if got != want {
		t.Errorf("%s was run as\n%s\nand by the kubelet as\n%s", name, got, want)
	}
}

// The answers that say by their names what the kubelet does with them are
// right.
func TestNamedAnswers(t *testing.T) {
	paths, err := filepath.Glob("../../../shared/kubelet/testdata/answer/*.json")
	if err != nil || len(paths) < 20 {
		t.Fatal(err, len(paths))
	}
	dir := t.TempDir()
	config := kubeletconfig.CredentialProviderConfig{TypeMeta: meta.TypeMeta{Kind: "CredentialProviderConfig", APIVersion: "kubelet.config.k8s.io/v1"}}
	hosts := map[string]string{}
	for i, path := range paths {
		name := fmt.Sprintf("named-%d", i)
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\ncat >/dev/null\nexec cat '"+absolute+"'\n"), 0o700); err != nil { //nolint:gosec // It is run.
			t.Fatal(err)
		}
		hosts[path] = fmt.Sprintf("named%d.example.net", i)
		config.Providers = append(config.Providers, kubeletconfig.CredentialProvider{
			Name: name, MatchImages: []string{hosts[path]}, DefaultCacheDuration: &meta.Duration{}, APIVersion: protocolV1,
		})
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := plugin.RegisterCredentialProviderPlugins(file, dir, nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(hosts)) {
		// A key of "*.*.*" is in each answer that has one.
		found, _ := plugin.NewExternalCredentialProviderDockerKeyring("", "", "", "").Lookup(hosts[path] + "/app")
		name := filepath.Base(path)
		if ok := strings.HasPrefix(name, "ok-"); ok != (len(found) > 0) {
			t.Errorf("%s: the kubelet found %+v", name, found)
		}
	}
}
