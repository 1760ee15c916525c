package explain_test

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"regcred/shared/cache"
	"regcred/shared/credential"
	"regcred/shared/explain"
	"regcred/shared/plugin"
	"regcred/shared/protocol"
	"regcred/shared/resolve"
	"regcred/shared/serviceaccount"
	"regcred/shared/settings"
)

// cloud answers for registry.cloud, for mirror.cloud as the node whoever asks,
// and for public.cloud as nobody.
type cloud struct{ settings.Common }

func (c *cloud) Flags(fs *pflag.FlagSet)                          { c.Common.Flags(fs) }
func (c *cloud) Provider(plugin.Run) (credential.Provider, error) { return c, nil }

func (c *cloud) Answer(r credential.Request) (credential.Answer, error) {
	node := login{"node"}
	switch r.Registry.Host() {
	case "registry.cloud":
		source, err := credential.Choose(r, c.NodeFallback, credential.Identities{
			Pod: func(pod *serviceaccount.Token) (credential.Source, error) {
				if r.Annotations["role"] == "" {
					return nil, nil
				}
				return append(login{r.Annotations["role"]}, pod.Identity(c.IdentityScope)...), nil
			},
			Node:   func() (credential.Source, error) { return node, nil },
			Remedy: "annotate it",
		})
		return credential.Answer{Source: source, PerImage: true, Anonymous: "*.cloud"}, err
	case "mirror.cloud":
		return credential.Answer{Source: node}, nil
	case "public.cloud":
		if r.Pod != nil {
			return credential.Answer{Source: login{"anonymous"}}, nil
		}
		return credential.Answer{Source: node}, nil
	default:
		return credential.Answer{}, nil
	}
}

// login is exchanged for the token of whoever it is of.
type login credential.Key

func (l login) String() string      { return "the cloud as " + l[0] }
func (l login) Key() credential.Key { return append(credential.Key{"login"}, token(l).Key()...) }
func (l login) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	t, err := getter.Token(ctx, token(l))
	return t.Login("user"), err
}

type token credential.Key

func (t token) String() string      { return "the cloud" }
func (t token) Key() credential.Key { return append(credential.Key{"token"}, t...) }
func (t token) Fetch(context.Context, credential.Getter) (credential.Token, error) {
	if t[0] == "refused" {
		return credential.Token{}, &credential.Failure{Problem: "refused", Advice: "grant it", Permanent: true, RetryAfter: time.Minute}
	}
	return credential.Token{Value: credential.NewSecret("hunter2-hunter2"), Expires: time.Now().Add(time.Hour), Caller: "somebody"}, nil
}

func podToken(namespace string) credential.Secret {
	claims := `{"iss":"i","sub":"system:serviceaccount:` + namespace + `:app","kubernetes.io":{"namespace":"` + namespace + `","serviceaccount":{"name":"app","uid":"u"}}}`
	return credential.NewSecret("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln")
}

func load(t *testing.T, wire protocol.Request, args ...string) (*plugin.Cloud, credential.Request) {
	t.Helper()
	described := plugin.Plugin{Name: "cloud", New: func() plugin.Settings { return new(cloud) }}
	loaded, _, err := described.Load(args, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	request, err := resolve.Request(wire)
	if err != nil {
		t.Fatal(err)
	}
	return loaded, request
}

func TestWhoseIdentityAnswers(t *testing.T) {
	shop, role := podToken("shop"), map[string]string{"role": "puller"}
	for name, tc := range map[string]struct {
		wire protocol.Request
		args []string
		want explain.Identity
		says string
	}{
		"the node's question":                 {protocol.Request{Image: "registry.cloud/app"}, nil, explain.Node, "node: the request carries no service account token"},
		"a pod with an identity":              {protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: shop, ServiceAccountAnnotations: role}, nil, explain.Pod, "pod: service account shop/app names an identity"},
		"a pod without one":                   {protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: shop}, nil, "", "refused     service account shop/app names no identity to pull with: annotate it"},
		"a pod without one that may":          {protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: shop}, []string{"--node-fallback=all"}, explain.Node, "node: service account shop/app names no identity, and --node-fallback=all lets it pull as the node"},
		"the cluster's own":                   {protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: podToken("kube-system")}, nil, explain.Node, "--node-fallback=kube-system"},
		"a registry that is the node's alone": {protocol.Request{Image: "mirror.cloud/app", ServiceAccountToken: shop, ServiceAccountAnnotations: role}, nil, explain.Node, "node: the settings have the node's identity for this registry, whoever asks"},
		"one that needs nobody's":             {protocol.Request{Image: "public.cloud/app", ServiceAccountToken: shop}, nil, explain.Nobody, "nobody: nobody's identity is needed there"},
		"an alias":                            {protocol.Request{Image: "vanity.test/app"}, []string{"--alias=vanity.test=registry.cloud"}, explain.Node, "alias of    registry.cloud"},
		"an alias of another's":               {protocol.Request{Image: "vanity.test/app"}, []string{"--alias=vanity.test=evil.test"}, "", "refused     alias of evil.test, which is not a registry of this cloud"},
		"another's registry":                  {protocol.Request{Image: "busybox"}, nil, "", "nobody: docker.io is not a registry of cloud"},
	} {
		t.Run(name, func(t *testing.T) {
			loaded, request := load(t, tc.wire, append(tc.args, "--cache-dir=")...)
			e := explain.Request("cloud", loaded, request, time.Now())
			if text := e.Text(time.Now()); e.Identity != tc.want || !strings.Contains(text, tc.says) || !strings.Contains(text, "cache       none: nothing is kept") {
				t.Errorf("got %+v\n%s", e, text)
			}
		})
	}
}

func TestWhatIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	ask := func(role string) protocol.Request {
		return protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: podToken("shop"), ServiceAccountAnnotations: map[string]string{"role": role}}
	}
	explained := func(role string) (explain.Explanation, string) {
		loaded, request := load(t, ask(role), "--cache-dir="+dir)
		now := time.Now()
		e := explain.Request("cloud", loaded, request, now)
		return e, e.Text(now)
	}
	for _, role := range []string{"puller", "refused"} {
		loaded, request := load(t, ask(role), "--cache-dir="+dir)
		answer, err := resolve.Answer(loaded, request)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cache.New(cache.Options{Dir: dir}).Get(t.Context(), answer.Source)
		if failure, failed := errors.AsType[*credential.Failure](err); failed != (role == "refused") {
			t.Fatalf("%s: %v", role, failure)
		}
	}
	for _, tc := range []struct {
		role string
		next explain.Next
		says []string
	}{
		{"puller", explain.Serve, []string{"fresh, obtained ", "refreshed from ", "expires ", "of somebody", "on the way, token puller serviceaccount", "good for    this image alone; then *.cloud without a credential", "answers from the cache, and asks nobody"}},
		{"refused", explain.Fail, []string{"failed; failed ", "refused: grant it; asked again from ", "fails, and asks nobody"}},
		{"unheard", explain.Ask, []string{dir + ": nothing is kept for this", "asks before it answers"}},
	} {
		e, text := explained(tc.role)
		if e.Next != tc.next {
			t.Errorf("%s: next is %s, want %s", tc.role, e.Next, tc.next)
		}
		for _, want := range tc.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", tc.role, want, text)
			}
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("a secret is told:\n%s", text)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if e, text := explained("puller"); e.Cache.Problem == "" || e.Cache.Entry != nil || e.Next != explain.Ask || !strings.Contains(text, "cache       not trusted: ") {
		t.Errorf("open to others: %s", text)
	}
}
