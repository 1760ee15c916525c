package main

import (
	"strings"
	"testing"
)

func TestSecretsFromFiles(t *testing.T) {
	for _, test := range []struct{ name, text, want, problem string }{
		{"a Secret in YAML", "kind: Secret\nmetadata: {name: pull, namespace: team}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: eyJhdXRocyI6e319}\n", "team/pull", ""},
		{"a Secret in JSON", `{"kind":"Secret","metadata":{"name":"pull"},"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"{\"auths\":{}}"}}`, "default/pull", ""},
		{"docker configuration", `{"auths":{}}`, "file/given", ""},
		{"another object", "kind: ConfigMap\n", "", "neither a Secret nor"},
		{"docker configuration without logins", `{"credsStore":"x"}`, "", "neither a Secret nor"},
		{"base64 that is none", "kind: Secret\ndata: {.dockerconfigjson: '!'}\n", "", "neither a Secret nor"},
		{"nothing", "", "", "neither a Secret nor"},
	} {
		t.Run(test.name, func(t *testing.T) {
			secret, err := secretFrom("given", []byte(test.text))
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("%v; want %q", err, test.problem)
				}
				return
			}
			if err != nil || secret.String() != test.want {
				t.Fatalf("%s, %v; want %s", secret, err, test.want)
			}
			if _, used, err := secret.Auths(); !used || err != nil {
				t.Errorf("the kubelet uses it: %t, %v", used, err)
			}
		})
	}
}

func TestNamesOfObjects(t *testing.T) {
	if namespace, name, err := split("--pod", "team/app"); namespace != "team" || name != "app" || err != nil {
		t.Errorf("%s, %s, %v", namespace, name, err)
	}
	for _, given := range []string{"", "app", "/app", "team/", "a/b/c"} {
		if _, _, err := split("--pod", given); err == nil || !strings.Contains(err.Error(), "want NAMESPACE/NAME") {
			t.Errorf("%q: %v", given, err)
		}
	}
	if _, err := pairs([]string{"a=b", "=c"}); err == nil {
		t.Error("an annotation without a key")
	}
	if got, err := pairs([]string{"a=b=c", "d="}); err != nil || got["a"] != "b=c" || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
}
