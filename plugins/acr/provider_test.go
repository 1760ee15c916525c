package acr

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

func testPod(t testing.TB) *serviceaccount.Token { return plugintest.Pod(t, "sa", "uid-1", "pod-1") }

func ask(t testing.TB, s *Settings, name string, pod *serviceaccount.Token, annotations map[string]string) (credential.Source, error) {
	t.Helper()
	return s.Provider(plugintest.Getenv()).Source(plugintest.Request(t, name, pod, annotations))
}

// describe says in a line what a Source would ask for.
func describe(s credential.Source) string {
	switch s := s.(type) {
	case nil:
		return "nothing"
	case *plainLogin:
		return s.server + " with the password of " + s.login.Username + " in " + s.login.PasswordFile
	case *accessToken:
		return s.repository + " of " + describe(s.refresh)
	case *refreshToken:
		text := s.server + " by " + describe(s.entra)
		if s.tenant != "" {
			text += ", tenant " + s.tenant
		}
		return text
	case *managedIdentity:
		return strings.TrimSpace("imds " + s.selector.parameter + " " + s.selector.value)
	case *arcIdentity:
		return strings.TrimSpace("arc " + s.selector.parameter + " " + s.selector.value)
	case *identityBinding:
		return s.pod.String() + " bound to " + s.client + " at " + s.bindings.SNIName
	case *application:
		text := s.client + " of " + s.tenant + " at " + s.authority + ": "
		switch p := s.proof.(type) {
		case secretProof:
			text += "client-secret " + p.where()
		case certificateProof:
			text += "client-certificate " + p.file
		case tokenFileProof:
			text += "workload-identity " + p.file
		case managedProof:
			text += "federated-managed-identity " + describe(p.identity) + " " + p.identity.audience
		case podProof:
			text += p.pod.String()
		}
		return text
	default:
		return fmt.Sprintf("%T", s)
	}
}

func TestForeignHostsHaveNoSource(t *testing.T) {
	s := load(t, nil)
	bound := load(t, nil, "--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=10.0.0.1", "--ib-default-client-id="+client)
	for _, tc := range hosts {
		if tc.cloud != "" {
			continue
		}
		for _, s := range []*Settings{s, bound} {
			for _, pod := range []*serviceaccount.Token{nil, testPod(t)} {
				if got, err := ask(t, s, tc.host+"/app", pod, map[string]string{clientAnnotation: client, tenantAnnotation: tenant}); got != nil || err != nil {
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
		bindings = []string{"--config=" + file, "--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=10.0.0.1"}
		bound    = append([]string{"--ib-default-client-id=" + client2, "--ib-default-tenant-id=" + tenant2, "--tenant-id=" + tenant}, bindings...)
		mirrored = []string{"-r", "mcr.microsoft.com:m.azurecr.io,b.test:china.azurecr.cn,c.test:c.azurecr.us"}
		both     = map[string]string{clientAnnotation: client, tenantAnnotation: tenant}
		one      = map[string]string{clientAnnotation: client}
		empty    = map[string]string{clientAnnotation: "", tenantAnnotation: ""}
	)
	const (
		node       = "a.azurecr.io by imds"
		podsOwn    = "a.azurecr.io by " + client + " of " + tenant + " at login.microsoftonline.com: service account prod/sa, tenant " + tenant
		nobody     = "service account prod/sa has no identity to pull with: annotate it with kubernetes.azure.com/acr-client-id and kubernetes.azure.com/acr-tenant-id"
		nobodyIB   = "service account prod/sa has no identity to pull with: annotate it with kubernetes.azure.com/acr-client-id, and list that annotation in the kubelet's tokenAttributes, or set --ib-default-client-id"
		otherCloud = "the registry is of cloud AzureUSGovernmentCloud, and the identity of AzurePublicCloud: give it an identity of its own under registries, with cloud AzureUSGovernmentCloud"
	)
	for name, tc := range map[string]struct {
		args        []string
		image       string
		pod         bool
		annotations map[string]string
		want        string
		wantErr     string
	}{
		"a node asks as itself":                   {want: node},
		"and tells its tenant":                    {args: tenanted, want: node + ", tenant " + tenant},
		"at the login server in lower case":       {image: "A.AzureCR.io:443/app", want: node},
		"annotations without a token are idle":    {annotations: both, want: node},
		"a registry has its own identity":         {args: tenanted, image: "OWN.azurecr.io/app", want: "own.azurecr.io by imds client_id " + client2 + ", tenant " + tenant2},
		"a registry of another cloud has its own": {args: tenanted, image: "china.azurecr.cn/app", want: "china.azurecr.cn by " + client2 + " of " + tenant2 + " at login.chinacloudapi.cn: client-secret /s, tenant " + tenant2},
		"a registry has a password":               {args: plain, image: "plain.azurecr.io/app", want: "plain.azurecr.io with the password of admin in /p"},
		"which needs no cloud":                    {args: plain, image: "plain.azurecr.us/app", want: "plain.azurecr.us with the password of admin in /p"},
		"a token stays in its cloud":              {image: "a.azurecr.us/app", wantErr: otherCloud},
		"by repository":                           {args: []string{"--scope=repository"}, image: "a.azurecr.io/team/app:v1", want: "team/app of " + node},
		"a pod asks as itself":                    {pod: true, annotations: both, want: podsOwn},
		"in the node's tenant":                    {args: tenanted, pod: true, annotations: one, want: podsOwn},
		"in its own before that":                  {args: []string{"--tenant-id=" + tenant2}, pod: true, annotations: both, want: podsOwn},
		"in some tenant":                          {pod: true, annotations: one, wantErr: "service account prod/sa: annotate it with kubernetes.azure.com/acr-tenant-id too"},
		"not as the node instead":                 {args: []string{"--node-fallback"}, pod: true, annotations: one, wantErr: "annotate it with kubernetes.azure.com/acr-tenant-id too"},
		"a pod without identity is refused":       {args: tenanted, pod: true, wantErr: nobody},
		"empty annotations are none":              {args: tenanted, pod: true, annotations: empty, wantErr: nobody},
		"a tenant alone is none":                  {pod: true, annotations: map[string]string{tenantAnnotation: tenant}, wantErr: nobody},
		"unless fallback is allowed":              {args: []string{"--node-fallback"}, pod: true, want: node},
		"which does not hide an identity":         {args: []string{"--node-fallback"}, pod: true, annotations: both, want: podsOwn},
		"nor a bad client":                        {args: []string{"--node-fallback"}, pod: true, annotations: map[string]string{clientAnnotation: "x&y"}, wantErr: `annotation kubernetes.azure.com/acr-client-id: "x&y" is not an id`},
		"nor a bad tenant":                        {args: []string{"--node-fallback"}, pod: true, annotations: map[string]string{clientAnnotation: client, tenantAnnotation: "../x.y"}, wantErr: `annotation kubernetes.azure.com/acr-tenant-id: "../x.y" is neither`},
		"a pod asks as itself at every registry":  {args: plain, image: "own.azurecr.io/app", pod: true, annotations: both, want: strings.Replace(podsOwn, "a.azurecr.io", "own.azurecr.io", 1)},
		"a registry's identity is the node's":     {args: plain, image: "own.azurecr.io/app", pod: true, wantErr: nobody},
		"for pods too if that is allowed":         {args: fallback, image: "own.azurecr.io/app", pod: true, want: "own.azurecr.io by imds client_id " + client2 + ", tenant " + tenant2},
		"a password is the node's":                {args: plain, image: "plain.azurecr.io/app", pod: true, wantErr: nobody},
		"and for pods if that is allowed":         {args: fallback, image: "plain.azurecr.io/app", pod: true, want: "plain.azurecr.io with the password of admin in /p"},
		"a pod in the registry's cloud":           {args: plain, image: "china.azurecr.cn/app", pod: true, annotations: both, want: "china.azurecr.cn by " + client + " of " + tenant + " at login.chinacloudapi.cn: service account prod/sa, tenant " + tenant},
		"where the node's tenant is not":          {args: tenanted, image: "china.azurecr.cn/app", pod: true, annotations: one, wantErr: "acr-tenant-id too"},
		"a pod's token stays in its cloud":        {image: "a.azurecr.us/app", pod: true, annotations: both, wantErr: "service account prod/sa: " + otherCloud},
		"which a password does not change":        {args: plain, image: "plain.azurecr.us/app", pod: true, annotations: both, wantErr: otherCloud},
		"a bound pod":                             {args: bound, pod: true, annotations: both, want: "a.azurecr.io by service account prod/sa bound to " + client + " at x.ests.aks, tenant " + tenant},
		"a bound pod without annotations":         {args: bound, pod: true, want: "a.azurecr.io by service account prod/sa bound to " + client2 + " at x.ests.aks, tenant " + tenant2},
		"a bound pod with empty annotations":      {args: bound, pod: true, annotations: empty, want: "a.azurecr.io by service account prod/sa bound to " + client2 + " at x.ests.aks, tenant " + tenant2},
		"a bound pod without any client":          {args: bindings, pod: true, wantErr: nobodyIB},
		"a bound pod with a bad client":           {args: bound, pod: true, annotations: map[string]string{clientAnnotation: "x"}, wantErr: "acr-client-id: \"x\" is not an id"},
		"a bound pod at another cloud":            {args: bound, image: "china.azurecr.cn/app", pod: true, wantErr: "service account prod/sa: the registry is of cloud AzureChinaCloud, and identity bindings of the cluster's own, AzurePublicCloud: the pod can not pull from it; entries in registries are the node's"},
		"also if fallback is allowed":             {args: append([]string{"--node-fallback"}, bound...), image: "china.azurecr.cn/app", pod: true, annotations: both, wantErr: "identity bindings of the cluster's own"},
		"a pod bound to none at another cloud":    {args: bindings, image: "china.azurecr.cn/app", pod: true, wantErr: nobodyIB},
		"as the node there":                       {args: append([]string{"--node-fallback"}, bindings...), image: "china.azurecr.cn/app", pod: true, want: "china.azurecr.cn by " + client2 + " of " + tenant2 + " at login.chinacloudapi.cn: client-secret /s, tenant " + tenant2},
		"or with its password":                    {args: append([]string{"--node-fallback"}, bindings...), image: "plain.azurecr.us/app", pod: true, want: "plain.azurecr.us with the password of admin in /p"},
		"a node where pods are bound":             {args: bound, wantErr: "the request has no service account token, which --ib-sni-name needs and static pods do not have"},
		"if that is allowed":                      {args: append([]string{"--node-fallback"}, bound...), want: node + ", tenant " + tenant},
		"a bound pod without any client, allowed": {args: append([]string{"--node-fallback"}, bindings...), pod: true, want: node},
		"a mirrored image":                        {args: mirrored, image: "mcr.microsoft.com/oss/pause:3", want: "m.azurecr.io by imds"},
		"of a pod with an identity":               {args: mirrored, image: "mcr.microsoft.com/oss/pause:3", pod: true, annotations: both, want: "m.azurecr.io by imds"},
		"where pods are bound":                    {args: append(slices.Clone(bound), mirrored...), image: "mcr.microsoft.com/oss/pause:3", want: "m.azurecr.io by imds, tenant " + tenant},
		"by a mirror with its own identity":       {args: append(slices.Clone(plain), mirrored...), image: "b.test/app", want: "china.azurecr.cn by " + client2 + " of " + tenant2 + " at login.chinacloudapi.cn: client-secret /s, tenant " + tenant2},
		"by a mirror of another cloud":            {args: mirrored, image: "c.test/app", wantErr: otherCloud},
		"by repository of the same path":          {args: append([]string{"--scope=repository"}, mirrored...), image: "mcr.microsoft.com/oss/pause:3", want: "oss/pause of m.azurecr.io by imds"},
		"the mirror itself keeps the rules":       {args: mirrored, image: "m.azurecr.io/app", pod: true, wantErr: nobody},
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
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
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

// An alias keeps the rules: a pod's is a pod's.
func TestAnAliasIsNoMirror(t *testing.T) {
	s := load(t, nil, "--alias=vanity.test=a.azurecr.io")
	request := plugintest.Request(t, "vanity.test/app", testPod(t), nil)
	request.Registry, _ = s.Registry(request.Registry)
	if got, err := s.Provider(plugintest.Getenv()).Source(request); err == nil {
		t.Errorf("got %s", describe(got))
	}
}

// A password is sent to nobody but the host that it is of.
func TestALoginIsForItsHostAlone(t *testing.T) {
	file := write(t, "config.yaml", head+"registries: {plain.azurecr.io: {login: {username: admin, passwordFile: /p}}}\n")
	s := load(t, nil, "--config="+file, "--node-fallback", "--alias=vanity.test=plain.azurecr.io", "--alias=plain.azurecr.io:5000=plain.azurecr.io", "--alias=PLAIN.azurecr.io:443=plain.azurecr.io")
	for _, pod := range []*serviceaccount.Token{nil, testPod(t)} {
		for _, name := range []string{"vanity.test/app", "plain.azurecr.io:5000/app"} {
			request := plugintest.Request(t, name, pod, nil)
			request.Registry, _ = s.Registry(request.Registry)
			if got, err := s.Provider(plugintest.Getenv()).Source(request); err == nil || !strings.Contains(err.Error(), "the login of plain.azurecr.io in registries is for that host alone") {
				t.Errorf("%s: got %s, %v", name, describe(got), err)
			}
		}
	}
	if got, err := ask(t, s, "Plain.azurecr.io:443/app", nil, nil); err != nil || describe(got) != "plain.azurecr.io with the password of admin in /p" {
		t.Errorf("got %s, %v", describe(got), err)
	}
}

func TestFederationOfAManagedIdentityNeedsAKnownAudience(t *testing.T) {
	s := load(t, nil, "--cloud=Bleu", "--credential=federated-managed-identity", "--client-id="+client, "--managed-identity-client-id="+client2, "--tenant-id="+tenant)
	if _, err := ask(t, s, "a.azurecr.sovcloud-azure.fr/app", nil, nil); err == nil || !strings.Contains(err.Error(), "is not possible in cloud Bleu") {
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
		if err != nil || s == nil {
			t.Fatalf("got %v, %v", s, err)
		}
		return s.Key()
	}
	app := func(more ...string) []string {
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
		"an application":              key(app(), name, nil, nil),
		"at another authority":        key(app("--authority=https://login.test"), name, nil, nil),
		"of another tenant":           key(app("--tenant-id="+tenant2), name, nil, nil),
		"another application":         key(app("--client-id="+client2), name, nil, nil),
		"with another secret":         key(app("--client-secret-file=/t"), name, nil, nil),
		"for another audience":        key(app("--audience=api://other"), name, nil, nil),
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
	s := load(t, nil, "--tenant-id="+tenant)
	var shared credential.Key
	for _, name := range []string{"a.azurecr.io/app", "b.azurecr.io/app", "c.eastus.geo.azurecr.io/app"} {
		source, err := ask(t, s, name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		k := source.(*refreshToken).entra.Key()
		if shared != nil && !slices.Equal(shared, k) {
			t.Errorf("%q and %q differ", shared, k)
		}
		shared = k
	}
}
