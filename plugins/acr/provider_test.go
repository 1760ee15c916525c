package acr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/resolve"
	"regcred/shared/serviceaccount"
)

func testPod(t testing.TB) *serviceaccount.Token { return plugintest.Pod(t, "sa", "uid-1", "pod-1") }

// ask returns how a provider answers, through aliases as a run does.
func ask(t testing.TB, c *plugin.Cloud, name string, pod *serviceaccount.Token, annotations map[string]string) (credential.Answer, error) {
	t.Helper()
	return resolve.Answer(c, plugintest.Request(t, name, pod, annotations))
}

// describe says in a line what is asked, or that there is nothing to ask.
func describe(a credential.Answer) string {
	if a.Source == nil {
		return "nothing"
	}
	return a.Source.String()
}

// exchanged describes a registry's token for one of Entra's, which is from a
// source.
func exchanged(host, tenant, source string) string {
	return tokenOf(host, "a registry token", tenant, source)
}

func tokenOf(host, what, tenant, source string) string {
	text := host + " for " + what
	if tenant != "" {
		text += " in tenant " + tenant
	}
	return text + ", by way of " + source
}

// imds, atArc and entra describe where an Entra token is from.
func imds(as string) string {
	return "Azure's metadata service for " + defaultAudience + " as " + as
}

func atArc(as string) string { return "Azure Arc's agent for " + defaultAudience + " as " + as }

func entra(authority, as string) string {
	return "Entra at " + authority + " for " + defaultAudience + " as " + as
}

func app(client, tenant, how string) string {
	return "application " + client + " of tenant " + tenant + " " + how
}

const (
	machine = "the machine's managed identity"
	login   = "login.microsoftonline.com"
)

func TestForeignHostsHaveNoSource(t *testing.T) {
	s := load(t, nil)
	bound := load(t, nil, "--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=10.0.0.1", "--ib-default-client-id="+client)
	for _, tc := range hosts {
		if tc.cloud != "" {
			continue
		}
		for _, s := range []*plugin.Cloud{s, bound} {
			for _, pod := range []*serviceaccount.Token{nil, testPod(t)} {
				if got, err := ask(t, s, tc.host+"/app", pod, map[string]string{clientAnnotation: client, tenantAnnotation: tenant}); got.Source != nil || err != nil {
					t.Errorf("%s: got %s, %v", tc.host, describe(got), err)
				}
			}
		}
	}
}

func TestWhoGetsWhat(t *testing.T) {
	file := write(t, "config.yaml", head+`registries:
  own.azurecr.io: {clientID: `+client2+`, tenantID: `+tenant2+`}
  China.azurecr.cn: {credential: client-secret, clientID: `+client2+`, clientSecretFile: /s, tenantID: `+tenant2+`, cloud: azurechinacloud}
  plain.azurecr.io: {login: {username: admin, passwordFile: /p}}
  plain.azurecr.us: {login: {username: admin, passwordFile: /p}}
`)
	var (
		plain    = []string{"--config=" + file}
		tenanted = []string{"--config=" + file, "--tenant-id=" + tenant}
		fallback = []string{"--config=" + file, "--node-fallback"}
		shanghai = exchanged("china.azurecr.cn", tenant2, entra("login.chinacloudapi.cn", app(client2, tenant2, "with the secret in /s")))
		password = "/p for the password of user admin at plain.azurecr."
		bound2   = func(client, tenant string) string {
			return exchanged("a.azurecr.io", tenant, "the cluster's server x.ests.aks for "+defaultAudience+" as service account prod/sa as managed identity "+client)
		}
		node     = exchanged("a.azurecr.io", "", imds(machine))
		inHome   = exchanged("a.azurecr.io", tenant, imds(machine))
		own      = exchanged("own.azurecr.io", tenant2, imds("managed identity "+client2))
		podsOwn  = exchanged("a.azurecr.io", tenant, entra(login, "service account prod/sa as application "+client+" of tenant "+tenant))
		bindings = []string{"--config=" + file, "--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=10.0.0.1"}
		bound    = append([]string{"--ib-default-client-id=" + client2, "--ib-default-tenant-id=" + tenant2, "--tenant-id=" + tenant}, bindings...)
		mirrored = []string{"-r", "mcr.microsoft.com:m.azurecr.io,b.test:china.azurecr.cn,c.test:c.azurecr.us"}
		both     = map[string]string{clientAnnotation: client, tenantAnnotation: tenant}
		one      = map[string]string{clientAnnotation: client}
		empty    = map[string]string{clientAnnotation: "", tenantAnnotation: ""}
	)
	const (
		noIdentity = "service account prod/sa names no identity to pull with: annotate it with kubernetes.azure.com/acr-client-id and kubernetes.azure.com/acr-tenant-id and list those annotations in the kubelet's tokenAttributes, or let pods of its namespace pull as the node with --node-fallback=kube-system,prod"
		noBinding  = "service account prod/sa names no identity to pull with: annotate it with kubernetes.azure.com/acr-client-id and list that annotation in the kubelet's tokenAttributes, set --ib-default-client-id, or let"
		otherCloud = "registry of cloud AzureUSGovernmentCloud, while the node's is taken to be AzurePublicCloud, since nothing names it: set --cloud, or give the registry an identity of its own under registries, with cloud AzureUSGovernmentCloud"
	)
	for name, tc := range map[string]struct {
		args        []string
		image       string
		pod         bool
		annotations map[string]string
		want        string
		wantErr     string
	}{
		"a node asks as itself":                        {want: node},
		"and tells its tenant":                         {args: tenanted, want: inHome},
		"at the login server in lower case":            {image: "A.AzureCR.io:443/app", want: node},
		"annotations without a token are idle":         {annotations: both, want: node},
		"a registry has its own identity":              {args: tenanted, image: "OWN.azurecr.io/app", want: own},
		"a registry of another cloud has its own":      {args: tenanted, image: "china.azurecr.cn/app", want: shanghai},
		"a registry has a password":                    {args: plain, image: "plain.azurecr.io/app", want: password + "io"},
		"which needs no cloud":                         {args: plain, image: "plain.azurecr.us/app", want: password + "us"},
		"a token stays in its cloud":                   {image: "a.azurecr.us/app", wantErr: otherCloud},
		"by repository":                                {args: []string{"--scope=repository"}, image: "a.azurecr.io/team/app:v1", want: tokenOf("a.azurecr.io", "a token to pull team/app", "", imds(machine))},
		"a pod asks as itself":                         {pod: true, annotations: both, want: podsOwn},
		"in the node's tenant":                         {args: tenanted, pod: true, annotations: one, want: podsOwn},
		"in its own before that":                       {args: []string{"--tenant-id=" + tenant2}, pod: true, annotations: both, want: podsOwn},
		"in some tenant":                               {pod: true, annotations: one, wantErr: "service account prod/sa: annotate it with kubernetes.azure.com/acr-tenant-id too"},
		"not as the node instead":                      {args: []string{"--node-fallback"}, pod: true, annotations: one, wantErr: "annotate it with kubernetes.azure.com/acr-tenant-id too"},
		"a pod without identity is refused":            {args: tenanted, pod: true, wantErr: noIdentity},
		"empty annotations are none":                   {args: tenanted, pod: true, annotations: empty, wantErr: noIdentity},
		"a tenant alone is none":                       {pod: true, annotations: map[string]string{tenantAnnotation: tenant}, wantErr: noIdentity},
		"unless it is of kube-system":                  {args: []string{"--node-fallback=prod,kube-system"}, pod: true, want: node},
		"which is so by itself":                        {args: []string{"--node-fallback=kube-system"}, pod: true, wantErr: noIdentity},
		"and static pods of none where pods are bound": {args: append([]string{"--node-fallback=kube-system"}, bound...), wantErr: "no service account token in the request"},
		"unless fallback is allowed":                   {args: []string{"--node-fallback"}, pod: true, want: node},
		"which does not hide an identity":              {args: []string{"--node-fallback"}, pod: true, annotations: both, want: podsOwn},
		"nor a bad client":                             {args: []string{"--node-fallback"}, pod: true, annotations: map[string]string{clientAnnotation: "x&y"}, wantErr: `annotation kubernetes.azure.com/acr-client-id: not an id such as 00000000-0000-0000-0000-000000000000: "x&y"`},
		"nor a bad tenant":                             {args: []string{"--node-fallback"}, pod: true, annotations: map[string]string{clientAnnotation: client, tenantAnnotation: "../x.y"}, wantErr: `annotation kubernetes.azure.com/acr-tenant-id: neither the id of a tenant nor a domain: "../x.y"`},
		"a pod asks as itself at every registry":       {args: plain, image: "own.azurecr.io/app", pod: true, annotations: both, want: strings.Replace(podsOwn, "a.azurecr.io", "own.azurecr.io", 1)},
		"a registry's identity is the node's":          {args: plain, image: "own.azurecr.io/app", pod: true, wantErr: noIdentity},
		"for pods too if that is allowed":              {args: fallback, image: "own.azurecr.io/app", pod: true, want: own},
		"a password is the node's":                     {args: plain, image: "plain.azurecr.io/app", pod: true, wantErr: noIdentity},
		"and for pods if that is allowed":              {args: fallback, image: "plain.azurecr.io/app", pod: true, want: password + "io"},
		"a pod in the registry's cloud":                {args: plain, image: "china.azurecr.cn/app", pod: true, annotations: both, want: exchanged("china.azurecr.cn", tenant, entra("login.chinacloudapi.cn", "service account prod/sa as application "+client+" of tenant "+tenant))},
		"where the node's tenant is not":               {args: tenanted, image: "china.azurecr.cn/app", pod: true, annotations: one, wantErr: "acr-tenant-id too"},
		"a token stays in the cloud that is named":     {args: []string{"--cloud=AzurePublicCloud"}, image: "a.azurecr.us/app", wantErr: "registry of cloud AzureUSGovernmentCloud, while the identity is of AzurePublicCloud: give it an identity of its own under registries, with cloud AzureUSGovernmentCloud"},
		"a pod's token stays in its cloud":             {image: "a.azurecr.us/app", pod: true, annotations: both, wantErr: "service account prod/sa: " + otherCloud},
		"which a password does not change":             {args: plain, image: "plain.azurecr.us/app", pod: true, annotations: both, wantErr: otherCloud},
		"a bound pod":                                  {args: bound, pod: true, annotations: both, want: bound2(client, tenant)},
		"a bound pod without annotations":              {args: bound, pod: true, want: bound2(client2, tenant2)},
		"a bound pod with empty annotations":           {args: bound, pod: true, annotations: empty, want: bound2(client2, tenant2)},
		"a bound pod without any client":               {args: bindings, pod: true, wantErr: noBinding},
		"a bound pod with a bad client":                {args: bound, pod: true, annotations: map[string]string{clientAnnotation: "x"}, wantErr: "acr-client-id: not an id such as 00000000-0000-0000-0000-000000000000: \"x\""},
		"a bound pod at another cloud":                 {args: bound, image: "china.azurecr.cn/app", pod: true, wantErr: "service account prod/sa: registry of cloud AzureChinaCloud, while identity bindings are of the cluster's own, AzurePublicCloud: the pod cannot pull from it; entries in registries are the node's"},
		"also if fallback is allowed":                  {args: append([]string{"--node-fallback"}, bound...), image: "china.azurecr.cn/app", pod: true, annotations: both, wantErr: "identity bindings are of the cluster's own"},
		"a pod bound to none at another cloud":         {args: bindings, image: "china.azurecr.cn/app", pod: true, wantErr: noBinding},
		"as the node there":                            {args: append([]string{"--node-fallback"}, bindings...), image: "china.azurecr.cn/app", pod: true, want: shanghai},
		"or with its password":                         {args: append([]string{"--node-fallback"}, bindings...), image: "plain.azurecr.us/app", pod: true, want: password + "us"},
		"a node where pods are bound":                  {args: bound, wantErr: "no service account token in the request, which --ib-sni-name needs and static pods do not have"},
		"if that is allowed":                           {args: append([]string{"--node-fallback"}, bound...), want: inHome},
		"a bound pod without any client, allowed":      {args: append([]string{"--node-fallback"}, bindings...), pod: true, want: node},
		"a mirrored image":                             {args: mirrored, image: "mcr.microsoft.com/oss/pause:3", want: exchanged("m.azurecr.io", "", imds(machine))},
		"of a pod with an identity":                    {args: mirrored, image: "mcr.microsoft.com/oss/pause:3", pod: true, annotations: both, want: exchanged("m.azurecr.io", "", imds(machine))},
		"where pods are bound":                         {args: append(slices.Clone(bound), mirrored...), image: "mcr.microsoft.com/oss/pause:3", want: exchanged("m.azurecr.io", tenant, imds(machine))},
		"by a mirror with its own identity":            {args: append(slices.Clone(plain), mirrored...), image: "b.test/app", want: shanghai},
		"by a mirror of another cloud":                 {args: mirrored, image: "c.test/app", wantErr: otherCloud},
		"by repository of the same path":               {args: append([]string{"--scope=repository"}, mirrored...), image: "mcr.microsoft.com/oss/pause:3", want: tokenOf("m.azurecr.io", "a token to pull oss/pause", "", imds(machine))},
		"the mirror itself keeps the rules":            {args: mirrored, image: "m.azurecr.io/app", pod: true, wantErr: noIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.image == "" {
				tc.image = "a.azurecr.io/app"
			}
			var pod *serviceaccount.Token
			if tc.pod {
				pod = testPod(t)
			}
			got, err := ask(t, load(t, nil, tc.args...), tc.image, pod, tc.annotations)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) || got.Source != nil {
					t.Errorf("got %s, %v; want %q", describe(got), err, tc.wantErr)
				}
				return
			}
			if err != nil || describe(got) != tc.want {
				t.Errorf("got %s, %v; want %s", describe(got), err, tc.want)
			}
		})
	}
}

// A multi-tenant service principal: azure.json is of one tenant, and a registry
// of another one, in which the application is known too.
func TestTheNodesApplicationInARegistrysTenant(t *testing.T) {
	central := "--config=" + write(t, "config.yaml", head+"registries: {Central.azurecr.io: {tenantID: "+tenant2+"}}\n")
	secret := write(t, "azure.json", `{"aadClientId":"`+client+`","aadClientSecret":"s","tenantId":"`+tenant+`"}`)
	federated := []string{central, "--credential=federated-managed-identity", "--client-id=" + client, "--managed-identity-client-id=" + client2, "--tenant-id=" + tenant}
	in := func(host, tenant, how string) string {
		return exchanged(host, tenant, entra(login, app(client, tenant, how)))
	}
	for name, tc := range map[string]struct {
		args  []string
		image string
		want  string
	}{
		"there":           {[]string{secret, central}, "central.azurecr.io/app", in("central.azurecr.io", tenant2, "with the secret in "+secret)},
		"and elsewhere":   {[]string{secret, central}, "a.azurecr.io/app", in("a.azurecr.io", tenant, "with the secret in "+secret)},
		"without secrets": {federated, "central.azurecr.io/app", in("central.azurecr.io", tenant2, "by managed identity "+client2)},
	} {
		if got, err := ask(t, load(t, nil, tc.args...), tc.image, nil, nil); err != nil || describe(got) != tc.want {
			t.Errorf("%s: got %s, %v; want %s", name, describe(got), err, tc.want)
		}
	}
	// The tokens of both tenants are kept apart.
	c := load(t, nil, secret, central)
	here, _ := ask(t, c, "a.azurecr.io/app", nil, nil)
	there, _ := ask(t, c, "central.azurecr.io/app", nil, nil)
	if k := there.Source.Key(); slices.Contains(k, tenant) || !slices.Contains(k, tenant2) || slices.Contains(here.Source.Key(), tenant2) {
		t.Errorf("got %q and %q", here.Source.Key(), k)
	}
	// An azure.json without an identity is an error where one is needed.
	c = load(t, nil, write(t, "azure.json", `{"tenantId":"`+tenant+`"}`), central)
	if _, err := ask(t, c, "central.azurecr.io/app", nil, nil); err == nil || !strings.Contains(err.Error(), "names no identity") {
		t.Errorf("got %v", err)
	}
	const field = `registries["Central.azurecr.io"].tenantID: `
	for want, args := range map[string][]string{
		field + "without a credential it is for the node's application, and the node has a managed identity": {central},
		field + "neither the id of a tenant nor a domain":                                                    {"--config=" + write(t, "c.yaml", head+"registries: {Central.azurecr.io: {tenantID: common}}\n"), secret},
		`registries["a.azurecr.cn"].cloud: the login server is of AzureChinaCloud`:                           {"--config=" + write(t, "c.yaml", head+"registries: {a.azurecr.cn: {tenantID: "+tenant2+"}}\n"), secret},
		`registries["a.azurecr.cn"]: no identity`:                                                            {"--config=" + write(t, "c.yaml", head+"registries: {a.azurecr.cn: {tenantID: "+tenant2+", cloud: AzureChinaCloud}}\n"), secret},
	} {
		if _, err := tryLoad(nil, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// An alias keeps the rules: a pod's is a pod's.
func TestAnAliasIsNoMirror(t *testing.T) {
	c := load(t, nil, "--alias=vanity.test=a.azurecr.io")
	if got, err := ask(t, c, "vanity.test/app", testPod(t), nil); !errors.Is(err, credential.ErrNoIdentity) {
		t.Errorf("got %s, %v", describe(got), err)
	}
	if got, err := ask(t, c, "vanity.test/app", nil, nil); err != nil || describe(got) != exchanged("a.azurecr.io", "", imds(machine)) {
		t.Errorf("got %s, %v", describe(got), err)
	}
}

// A password is sent to nobody but the host that it is of.
func TestALoginIsForItsHostAlone(t *testing.T) {
	file := write(t, "config.yaml", head+"registries: {plain.azurecr.io: {login: {username: admin, passwordFile: /p}}}\n")
	c := load(t, nil, "--config="+file, "--node-fallback", "--alias=vanity.test=plain.azurecr.io", "--alias=plain.azurecr.io:5000=plain.azurecr.io", "--alias=PLAIN.azurecr.io:443=plain.azurecr.io")
	for _, pod := range []*serviceaccount.Token{nil, testPod(t)} {
		for _, name := range []string{"vanity.test/app", "plain.azurecr.io:5000/app"} {
			if got, err := ask(t, c, name, pod, nil); err == nil || !strings.Contains(err.Error(), "the login of plain.azurecr.io in registries is for that host alone") {
				t.Errorf("%s: got %s, %v", name, describe(got), err)
			}
		}
	}
	got, err := ask(t, c, "Plain.azurecr.io:443/app", nil, nil)
	if err != nil || describe(got) != "/p for the password of user admin at plain.azurecr.io" {
		t.Fatalf("got %s, %v", describe(got), err)
	}
	_, err = got.Source.Fetch(t.Context(), nil)
	plugintest.WantFailure(t, err, true, `the password of user admin, which registries["plain.azurecr.io"].login.passwordFile names, cannot be read: no such file or directory: /p`, "", stageFile)
}

func TestFederationOfAManagedIdentityNeedsAKnownAudience(t *testing.T) {
	s := load(t, nil, "--cloud=Bleu", "--credential=federated-managed-identity", "--client-id="+client, "--managed-identity-client-id="+client2, "--tenant-id="+tenant)
	if _, err := ask(t, s, "a.azurecr.sovcloud-azure.fr/app", nil, nil); err == nil || !strings.Contains(err.Error(), "in cloud Bleu: the audience of federated credentials is not known there") {
		t.Errorf("got %v", err)
	}
}

// What a credential depends on is in its key, and nothing else is.
func TestKeys(t *testing.T) {
	const name = "a.azurecr.io/app"
	annotated := func(client, tenant string) map[string]string {
		return map[string]string{clientAnnotation: client, tenantAnnotation: tenant}
	}
	key := func(args []string, name string, pod *serviceaccount.Token, annotations map[string]string) credential.Key {
		t.Helper()
		s, err := ask(t, load(t, nil, args...), name, pod, annotations)
		if err != nil || s.Source == nil {
			t.Fatalf("got %s, %v", describe(s), err)
		}
		return s.Source.Key()
	}
	application := func(more ...string) []string {
		return append([]string{"--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s", "--tenant-id=" + tenant}, more...)
	}
	certificate := func(more ...string) []string {
		return append([]string{"--credential=client-certificate", "--client-id=" + client, "--client-certificate-file=/c", "--tenant-id=" + tenant}, more...)
	}
	federated := func(by string) []string {
		return []string{"--credential=federated-managed-identity", "--client-id=" + client, "--managed-identity-client-id=" + by, "--tenant-id=" + tenant}
	}
	bound := func(more ...string) []string {
		return append([]string{"--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=10.0.0.1"}, more...)
	}
	byRepository, byPod := []string{"--scope=repository"}, []string{"--identity-scope=pod"}
	login := []string{"--config=" + write(t, "c.yaml", head+"registries: {a.azurecr.io: {login: {username: u, passwordFile: /p}}, b.azurecr.io: {login: {username: v, passwordFile: /p}}, c.azurecr.io: {login: {username: u, passwordFile: /q}}}")}
	azure := write(t, "azure.json", `{"aadClientId":"`+client+`","aadClientSecret":"hunter2hunter2","tenantId":"`+tenant+`"}`)
	sa := testPod(t)

	for what, same := range map[string][2]credential.Key{
		"tags":                      {key(nil, name+":v1", nil, nil), key(nil, name+":v2", nil, nil)},
		"repositories":              {key(nil, name, nil, nil), key(nil, "a.azurecr.io/other", nil, nil)},
		"the port":                  {key(nil, name, nil, nil), key(nil, "a.azurecr.io:443/app", nil, nil)},
		"the case of the host":      {key(nil, name, nil, nil), key(nil, "A.azurecr.io/app", nil, nil)},
		"the case of ids":           {key(nil, name, sa, annotated("AAAAAAAA-2222-3333-4444-555555555555", tenant)), key(nil, name, sa, annotated("aaaaaaaa-2222-3333-4444-555555555555", strings.ToUpper(tenant)))},
		"pods of a service account": {key(nil, name, sa, annotated(client, tenant)), key(nil, name, plugintest.Pod(t, "sa", "uid-1", "pod-2"), annotated(client, tenant))},
		"a mirror":                  {key([]string{"-r", "m.test:a.azurecr.io"}, "m.test/app", nil, nil), key(nil, name, nil, nil)},
		"tags of a repository":      {key(byRepository, name+":v1", nil, nil), key(byRepository, name+":v2", nil, nil)},
	} {
		if !slices.Equal(same[0], same[1]) {
			t.Errorf("%s: %q and %q differ", what, same[0], same[1])
		}
	}
	keys := map[string]string{}
	for what, k := range map[string]credential.Key{
		"node":                        key(nil, name, nil, nil),
		"another registry":            key(nil, "b.azurecr.io/app", nil, nil),
		"its endpoint in a region":    key(nil, "a.eastus.geo.azurecr.io/app", nil, nil),
		"the node's tenant":           key([]string{"--tenant-id=" + tenant}, name, nil, nil),
		"by client id":                key([]string{"--client-id=" + client}, name, nil, nil),
		"by object id":                key([]string{"--object-id=" + client}, name, nil, nil),
		"Arc":                         key([]string{"--credential=azure-arc"}, name, nil, nil),
		"another audience":            key([]string{"--audience=api://other"}, name, nil, nil),
		"an application":              key(application(), name, nil, nil),
		"at another authority":        key(application("--authority=https://login.test"), name, nil, nil),
		"of another tenant":           key(application("--tenant-id="+tenant2), name, nil, nil),
		"another application":         key(application("--client-id="+client2), name, nil, nil),
		"with another secret":         key(application("--client-secret-file=/t"), name, nil, nil),
		"for another audience":        key(application("--audience=api://other"), name, nil, nil),
		"with the secret of a file":   key([]string{azure}, name, nil, nil),
		"with a certificate":          key(certificate(), name, nil, nil),
		"with a password":             key(certificate("--client-certificate-password-file=/p"), name, nil, nil),
		"with a token":                key([]string{"--credential=workload-identity", "--client-id=" + client, "--federated-token-file=/s", "--tenant-id=" + tenant}, name, nil, nil),
		"by a managed identity":       key(federated(client2), name, nil, nil),
		"by another managed identity": key(federated(client), name, nil, nil),
		"pod":                         key(nil, name, sa, annotated(client, tenant)),
		"pod of another application":  key(nil, name, sa, annotated(client2, tenant)),
		"pod of another tenant":       key(nil, name, sa, annotated(client, tenant2)),
		"pod of another audience":     key([]string{"--audience=api://other"}, name, sa, annotated(client, tenant)),
		"pod of another authority":    key([]string{"--authority=https://login.test"}, name, sa, annotated(client, tenant)),
		"pod at another registry":     key(nil, "b.azurecr.io/app", sa, annotated(client, tenant)),
		"who names the same client":   key(nil, name, plugintest.Pod(t, "sb", "uid-2", "pod-1"), annotated(client, tenant)),
		"a recreated service account": key(nil, name, plugintest.Pod(t, "sa", "uid-9", "pod-1"), annotated(client, tenant)),
		"by pod":                      key(byPod, name, sa, annotated(client, tenant)),
		"by another pod":              key(byPod, name, plugintest.Pod(t, "sa", "uid-1", "pod-2"), annotated(client, tenant)),
		"bound":                       key(bound(), name, sa, annotated(client, tenant)),
		"bound to another":            key(bound(), name, sa, annotated(client2, tenant)),
		"bound in another tenant":     key(bound(), name, sa, annotated(client, tenant2)),
		"bound, another pod":          key(bound(), name, plugintest.Pod(t, "sb", "uid-2", "pod-1"), annotated(client, tenant)),
		"bound elsewhere":             key(bound("--ib-sni-name=y.ests.aks"), name, sa, annotated(client, tenant)),
		"bound at another address":    key(bound("--ib-apiserver-ip=10.0.0.2"), name, sa, annotated(client, tenant)),
		"bound by another authority":  key(bound("--ib-ca-file=/other"), name, sa, annotated(client, tenant)),
		"a repository":                key(byRepository, name, nil, nil),
		"another repository":          key(byRepository, "a.azurecr.io/other", nil, nil),
		"a repository elsewhere":      key(byRepository, "b.azurecr.io/app", nil, nil),
		"a pod's repository":          key(byRepository, name, sa, annotated(client, tenant)),
		"a login":                     key(login, name, nil, nil),
		"another user":                key(login, "b.azurecr.io/app", nil, nil),
		"another password":            key(login, "c.azurecr.io/app", nil, nil),
		"the machine's token":         (&managedIdentity{audience: defaultAudience}).Key(),
		"the machine's, to federate":  (&managedIdentity{audience: "api://AzureADTokenExchange"}).Key(),
		"the machine's, by client id": (&managedIdentity{selector: selector{"client_id", client}, audience: defaultAudience}).Key(),
		"the machine's, at Arc":       (&arcIdentity{audience: defaultAudience}).Key(),
	} {
		id := fmt.Sprintf("%q", k)
		if other, ok := keys[id]; ok {
			t.Errorf("%s and %s share %s", what, other, id)
		}
		if strings.Contains(id, "hunter2") || strings.Contains(id, sa.Reveal()) {
			t.Errorf("a secret is in %s", id)
		}
		keys[id] = what
	}
}

// Three registries share one token of the machine's.
func TestRegistriesShareTheTokenOfEntra(t *testing.T) {
	c := load(t, nil, "--tenant-id="+tenant)
	var shared credential.Key
	for _, name := range []string{"a.azurecr.io/app", "b.azurecr.io/app", "c.eastus.geo.azurecr.io/app"} {
		answer, err := ask(t, c, name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var obtained credential.Key
		_, registry, _ := credential.TokenOf(answer.Source)
		_, err = registry.Fetch(t.Context(), tokens(func(source credential.TokenSource) (credential.Token, error) {
			obtained = source.Key()
			return credential.Token{}, errors.New("no token")
		}))
		if err == nil || obtained == nil || shared != nil && !slices.Equal(shared, obtained) {
			t.Errorf("%q and %q differ, %v", shared, obtained, err)
		}
		shared = obtained
	}
}
