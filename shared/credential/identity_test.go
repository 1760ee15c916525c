package credential_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/json"

	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// named is a Source that is only told from others.
type named string

func (n named) String() string      { return string(n) }
func (n named) Key() credential.Key { return credential.Key{string(n)} }
func (n named) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	return credential.Credential{}, errors.New("not asked for")
}

func TestChoose(t *testing.T) {
	refused := errors.New("annotation invalid")
	own := func(*serviceaccount.Token) (credential.Source, error) { return named("pod"), nil }
	none := func(*serviceaccount.Token) (credential.Source, error) { return nil, nil }
	wrong := func(*serviceaccount.Token) (credential.Source, error) { return nil, refused }
	inNamespace := func(namespace string) *serviceaccount.Token {
		return &serviceaccount.Token{Namespace: namespace, Name: "app"}
	}
	for _, test := range []struct {
		name     string
		pod      *serviceaccount.Token
		identity func(*serviceaccount.Token) (credential.Source, error)
		fallback credential.NodeFallback
		want     string
		wantErr  string
	}{
		{"a request without a pod is the node's", nil, own, credential.NodeFallback{}, "node", ""},
		{"a pod is answered as itself", inNamespace("prod"), own, credential.FallbackAll(), "pod", ""},
		{"one that names none is refused", inNamespace("prod"), none, credential.NodeFallback{}, "", "service account prod/app names no identity to pull with: annotate it"},
		{"also beside the cluster's own", inNamespace("prod"), none, credential.FallbackTo("kube-system"), "", "--node-fallback=kube-system,prod"},
		{"the cluster's own fall back", inNamespace("kube-system"), none, credential.FallbackTo("kube-system"), "node", ""},
		{"all fall back where that is wanted", inNamespace("prod"), none, credential.FallbackAll(), "node", ""},
		{"a named identity that is wrong never does", inNamespace("kube-system"), wrong, credential.FallbackAll(), "", "service account kube-system/app: annotation invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source, err := credential.Choose(credential.Request{Pod: test.pod}, test.fallback, credential.Identities{
				Pod:    test.identity,
				Node:   func() (credential.Source, error) { return named("node"), nil },
				Remedy: "annotate it",
			})
			switch {
			case test.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), test.wantErr) || source != nil {
					t.Errorf("got %v, %v, want error %q", source, err, test.wantErr)
				}
			case err != nil || source.String() != test.want:
				t.Errorf("got %v, %v, want %s", source, err, test.want)
			}
		})
	}
}

func TestNodeFallback(t *testing.T) {
	for text, want := range map[string]string{
		`"none"`: "none", `false`: "none", `[]`: "none",
		`"all"`: "all", `true`: "all", `["all"]`: "all",
		`"kube-system"`: "kube-system", `"kube-system, ingress"`: "kube-system,ingress", `["kube-system","ingress"]`: "kube-system,ingress",
		`""`: "", `"Prod"`: "", `["a,b","c"]`: "a,b,c", `"*"`: "", `"-a"`: "", `7`: "7", `{}`: "", `"all,prod"`: "all,prod",
	} {
		var fallback credential.NodeFallback
		err := json.UnmarshalCaseSensitivePreserveInts([]byte(text), &fallback)
		if want == "" {
			if err == nil {
				t.Errorf("%s: read as %s, want an error", text, &fallback)
			}
			continue
		}
		if err != nil || fallback.String() != want {
			t.Errorf("%s: got %s, %v, want %s", text, &fallback, err, want)
		}
	}
}
