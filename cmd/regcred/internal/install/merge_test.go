package install

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/shared/kubelet"
)

func provider(name string) kubeletconfig.CredentialProvider {
	return kubeletconfig.CredentialProvider{
		Name: name, APIVersion: "credentialprovider.kubelet.k8s.io/v1", DefaultCacheDuration: &metav1.Duration{Duration: time.Minute},
		MatchImages: []string{"*.example.com", "yes", "1.5"},
	}
}

// full has a value in every field, some of which YAML reads as something else.
func full() kubeletconfig.CredentialProvider {
	p := provider("full-credential-provider")
	p.Args = []string{"--a=b", "", "on", "- x", "#no comment", `"quoted"`, "two\nlines", "0x10"}
	p.Env = []kubeletconfig.ExecEnvVar{{Name: "A", Value: ""}, {Name: "B", Value: "null"}, {Name: "y", Value: "a: b"}}
	p.TokenAttributes = &kubeletconfig.ServiceAccountTokenAttributes{
		ServiceAccountTokenAudience: "sts.amazonaws.com", CacheType: "ServiceAccount", RequireServiceAccount: new(bool),
		OptionalServiceAccountAnnotationKeys: []string{"example.com/role"},
	}
	return p
}

const head = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n"

const one = `- name: foreign
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  defaultCacheDuration: 1h
  matchImages: [ "*.other.example" ] # their registry
`

// indented is one, further to the right.
func indented(by string) string {
	return by + strings.ReplaceAll(strings.TrimSuffix(one, "\n"), "\n", "\n"+by) + "\n"
}

// Whatever the form, what was there stays to the letter around what is added,
// and what is added can be taken out again.
func TestAddProvidersLeavesAllElseAsItIs(t *testing.T) {
	const jsonOne = `{"name":"foreign","apiVersion":"credentialprovider.kubelet.k8s.io/v1","defaultCacheDuration":"1h","matchImages":["*.other.example"]}`
	const jsonHead = `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[`
	for name, text := range map[string]string{
		"flush with the key":      head + "providers:\n" + one,
		"indented":                "# by hand\n" + head + "\nproviders:\n" + indented("  ") + "# the end\n",
		"deeply indented":         head + "providers:\n" + indented("        "),
		"two of them":             head + "providers:\n" + one + "\n# the second\n" + strings.ReplaceAll(one, "foreign", "other"),
		"no newline at the end":   head + "providers:\n" + strings.TrimSuffix(one, "\n"),
		"providers first":         "providers:\n" + one + head,
		"providers in the middle": "apiVersion: kubelet.config.k8s.io/v1\nproviders:\n\n" + indented("  ") + "\n\n# a kind\nkind: CredentialProviderConfig\n",
		"a document's marks":      "---\n" + head + "providers:\n" + one + "...\n",
		"another document":        head + "providers:\n" + one + "---\nrubbish: [\n",
		"CRLF":                    strings.ReplaceAll(head+"providers:\n"+one, "\n", "\r\n"),
		"a block of text":         head + "providers:\n" + one + "  args:\n  - |\n    # text\n    more\n",
		"a text over lines":       head + "providers:\n" + one + "  args:\n  - \"a\n    b\"\n",
		"with an anchor":          head + "providers:\n" + strings.Replace(one, "- name: foreign", "- name: &n foreign", 1),
		"JSON":                    jsonHead + jsonOne + "]}",
		"JSON, providers first":   `{"providers":[` + jsonOne + `],"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig"}`,
		"JSON, indented":          "{\n  \"apiVersion\": \"kubelet.config.k8s.io/v1\",\n  \"kind\": \"CredentialProviderConfig\",\n  \"providers\": [\n    " + jsonOne + "\n  ]\n}\n",
		"JSON, with tabs":         "\n{\n\t\"apiVersion\": \"kubelet.config.k8s.io/v1\",\n\t\"kind\": \"CredentialProviderConfig\",\n\t\"providers\": [\n\t\t" + jsonOne + "\n\t]\n}",
		"JSON, CRLF":              "{\r\n  \"apiVersion\": \"kubelet.config.k8s.io/v1\",\r\n  \"kind\": \"CredentialProviderConfig\",\r\n  \"providers\": [\r\n    " + jsonOne + "\r\n  ]\r\n}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			result, edit, err := addProviders("file", []byte(text), []kubeletconfig.CredentialProvider{provider("ours"), full()})
			if err != nil {
				t.Fatal(err)
			}
			at := strings.Index(string(result), edit.New)
			if edit.New == "" || at < 0 || text[:at] != string(result[:at]) || text[at:] != string(result[at+len(edit.New):]) {
				t.Fatalf("more than the providers was changed:\n%s", result)
			}
			if undone, ok := edit.undo(result); !ok || string(undone) != text {
				t.Errorf("taken out again:\n%s\nwant\n%s", undone, text)
			}
			if strings.Contains(text, "\r\n") && strings.Count(string(result), "\n") != strings.Count(string(result), "\r\n") {
				t.Errorf("lines end in two ways: %q", result)
			}
			if parsed, err := kubelet.Parse("file", result); err != nil || parsed.Providers[len(parsed.Providers)-1].Name != "full-credential-provider" {
				t.Errorf("got %v:\n%s", err, result)
			}
		})
	}
}

// A list in brackets is written again; what it means stays.
func TestAddProvidersToAListInBrackets(t *testing.T) {
	for name, text := range map[string]string{
		"one":       "# by hand\n" + head + "providers: [{name: foreign, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: 1h, matchImages: ['a.example']}] # all\n",
		"mixed":     head + "providers:\n  [ {name: foreign, apiVersion: credentialprovider.kubelet.k8s.io/v1,\n  defaultCacheDuration: 1h, matchImages: ['a.example']} ]\n",
		"a comment": head + "providers:\n" + one + "  args:\n  - |\n    a\n    # the last line of a text\n",
	} {
		result, edit, err := addProviders("file", []byte(text), []kubeletconfig.CredentialProvider{full()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		parsed, err := kubelet.Parse("file", result)
		if err != nil || len(parsed.Providers) != 2 || parsed.Providers[0].Name != "foreign" {
			t.Errorf("%s: %v:\n%s", name, err, result)
		}
		if edit.New != "" {
			t.Errorf("%s: an edit that cannot be taken out: %q", name, edit.New)
		}
		if strings.Contains(text, "# by hand") && !strings.Contains(string(result), "# by hand") {
			t.Errorf("%s: the comment is gone:\n%s", name, result)
		}
	}
}

func TestAddProvidersRefusesWhatTheKubeletRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           "",
		"an unknown field":  head + "providers:\n" + one + "  caching: yes\n",
		"a duplicate":       head + "providers:\n" + strings.ReplaceAll(one, "foreign", "ours"),
		"an older version":  strings.Replace(head, "/v1", "/v1beta1", 1) + "providers:\n" + one,
		"another kind":      "apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration\n",
		"no list":           head + "providers: {}\n",
		"half of it":        `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[`,
		"two lists":         head + "providers:\n" + one + "providers:\n" + one,
		"not even a letter": "\x00\xff",
	} {
		// The tokens make it one that an older version does not have.
		if result, _, err := addProviders("file", []byte(text), []kubeletconfig.CredentialProvider{provider("ours"), full()}); err == nil {
			t.Errorf("%s: no error:\n%s", name, result)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than a line: %v", name, err)
		}
	}
}

func TestNewConfigIsValid(t *testing.T) {
	text, err := newConfig([]kubeletconfig.CredentialProvider{provider("a"), full()})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := kubelet.Parse("file", text)
	if err != nil || len(parsed.Providers) != 2 {
		t.Errorf("%v:\n%s", err, text)
	}
}

func FuzzAddProviders(f *testing.F) {
	f.Add(head + "providers:\n" + one)
	f.Add(head + "providers: []\n")
	f.Add("{\"apiVersion\":\"kubelet.config.k8s.io/v1\",\"kind\":\"CredentialProviderConfig\",\"providers\":[\n{}]}")
	f.Fuzz(func(t *testing.T, text string) {
		result, edit, err := addProviders("file", []byte(text), []kubeletconfig.CredentialProvider{full()})
		if err != nil {
			return
		}
		if _, err := kubelet.Parse("file", result); err != nil {
			t.Errorf("the kubelet would not start: %v", err)
		}
		if edit.New == "" {
			return
		}
		if undone, ok := edit.undo(result); !ok || string(undone) != text {
			t.Errorf("not taken out again: %q", undone)
		}
	})
}
