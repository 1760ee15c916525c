package gcr

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

const (
	mainProvider  = "projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/main"
	otherProvider = "projects/210987654321/locations/global/workloadIdentityPools/others/providers/other"
	cluster       = "https://container.googleapis.com/v1/projects/shop/locations/us-central1/clusters/prod"
	pullAccount   = "pull@shop.iam.gserviceaccount.com"
	otherAccount  = "other@shop.iam.gserviceaccount.com"
)

func newProvider(edit func(*Settings), env ...string) credential.Provider {
	s := Plugin().New().(*Settings)
	s.IdentityScope = serviceaccount.ScopeServiceAccount
	if edit != nil {
		edit(s)
	}
	return s.Provider(plugintest.Getenv(env...))
}

func ask(t testing.TB, p credential.Provider, name string, pod *serviceaccount.Token, annotations map[string]string) (credential.Source, error) {
	t.Helper()
	return p.Source(plugintest.Request(t, name, pod, annotations))
}

func TestForeignHostsHaveNoSource(t *testing.T) {
	for _, host := range foreignHosts {
		if got, err := ask(t, newProvider(nil), host+"/app", plugintest.Pod(t, "sa", "u", "p"), nil); got != nil || err != nil {
			t.Errorf("%s: got %+v, %v", host, got, err)
		}
	}
}

// describe says in a line what a Source would ask for.
func describe(s credential.Source) string {
	switch s := s.(type) {
	case *instance:
		return "the instance's account at " + s.server
	case *fileToken:
		return "the credentials in " + s.file
	case *federated:
		return s.pod.String() + " of " + s.audience.text
	case *impersonated:
		return describe(s.self) + " as " + s.email
	case *dockerPassword:
		return s.image + " in " + s.document.attribute()
	default:
		return fmt.Sprintf("%T", s)
	}
}

func TestIdentity(t *testing.T) {
	withProvider := func(s *Settings) { s.WorkloadIdentityProvider = mainProvider }
	withCluster := func(s *Settings) { s.IdentityProvider, s.ProjectID = cluster, "shop" }
	enabled := map[string]string{enableAnnotation: "true"}
	const (
		byMain    = "service account prod/sa of //iam.googleapis.com/" + mainProvider
		byOther   = "service account prod/sa of //iam.googleapis.com/" + otherProvider
		byCluster = "service account prod/sa of identitynamespace:shop.svc.id.goog:" + cluster
		theNode   = "the instance's account at 169.254.169.254"
	)
	for name, tc := range map[string]struct {
		edit        func(*Settings)
		pod         bool
		annotations map[string]string
		env         []string
		want        string
		wantErr     string
	}{
		"a node asks as itself":           {want: theNode},
		"a node off Google Cloud":         {edit: func(s *Settings) { s.CredentialsFile = "/etc/key.json" }, want: "the credentials in /etc/key.json"},
		"another metadata server":         {env: []string{"GCE_METADATA_HOST=127.0.0.1:8080"}, want: "the instance's account at 127.0.0.1:8080"},
		"by a name":                       {env: []string{"GCE_METADATA_HOST=metadata.google.internal."}, want: "the instance's account at metadata.google.internal."},
		"by a name with a port":           {env: []string{"GCE_METADATA_HOST=metadata.google.internal.:80"}, want: "the instance's account at metadata.google.internal.:80"},
		"by an address of IPv6":           {env: []string{"GCE_METADATA_HOST=[fd20:ce::254]:80"}, want: "the instance's account at [fd20:ce::254]:80"},
		"not by a URL":                    {env: []string{"GCE_METADATA_HOST=http://127.0.0.1"}, wantErr: `GCE_METADATA_HOST: "http://127.0.0.1" is not a host or host:port, without a scheme`},
		"nor with a path":                 {env: []string{"GCE_METADATA_HOST=evil.com/x"}, wantErr: "GCE_METADATA_HOST"},
		"a pod is known to the provider":  {pod: true, edit: withProvider, want: byMain},
		"a pod names a provider":          {pod: true, annotations: map[string]string{providerAnnotation: otherProvider}, want: byOther},
		"an annotation beats the setting": {pod: true, edit: withProvider, annotations: map[string]string{providerAnnotation: "//iam.googleapis.com/" + otherProvider}, want: byOther},
		"a pod is known to its cluster":   {pod: true, edit: withCluster, annotations: enabled, want: byCluster},
		"only if it says so":              {pod: true, edit: withCluster, wantErr: `service account prod/sa has no identity to pull with: annotate it with iam.gke.io/enable-wi-image-pull="true"`},
		"and says it in full":             {pod: true, edit: withCluster, annotations: map[string]string{enableAnnotation: "True"}, wantErr: "has no identity"},
		"which needs the cluster":         {pod: true, annotations: enabled, wantErr: enableAnnotation + " needs --identity-provider and --project-id"},
		"a pod never falls back to the node": {
			pod: true, wantErr: "service account prod/sa has no identity to pull with: set --identity-provider and --project-id, or --workload-identity-provider, or allow the node's identity with --node-fallback",
		},
		"unless that is allowed":               {pod: true, edit: func(s *Settings) { s.NodeFallback = true }, want: theNode},
		"as where nothing names the cluster":   {pod: true, edit: func(s *Settings) { s.NodeFallback = true }, annotations: enabled, want: theNode},
		"fallback does not hide an identity":   {pod: true, edit: func(s *Settings) { withProvider(s); s.NodeFallback = true }, want: byMain},
		"nor a bad annotation":                 {pod: true, edit: func(s *Settings) { s.NodeFallback = true }, annotations: map[string]string{providerAnnotation: "x"}, wantErr: "service account prod/sa: annotation " + providerAnnotation + ": is not the name of a provider"},
		"nor a bad account":                    {pod: true, edit: func(s *Settings) { withProvider(s); s.NodeFallback = true }, annotations: map[string]string{accountAnnotation: "x"}, wantErr: "annotation " + accountAnnotation + `: "x" is not the email`},
		"a pod impersonates an account":        {pod: true, edit: withProvider, annotations: map[string]string{accountAnnotation: pullAccount}, want: byMain + " as " + pullAccount},
		"of its cluster too":                   {pod: true, edit: withCluster, annotations: map[string]string{enableAnnotation: "true", accountAnnotation: pullAccount}, want: byCluster + " as " + pullAccount},
		"the configured one":                   {pod: true, edit: func(s *Settings) { withProvider(s); s.ServiceAccount = pullAccount }, want: byMain + " as " + pullAccount},
		"the annotated one before it":          {pod: true, edit: func(s *Settings) { withProvider(s); s.ServiceAccount = otherAccount }, annotations: map[string]string{accountAnnotation: pullAccount}, want: byMain + " as " + pullAccount},
		"an account alone is no identity":      {pod: true, annotations: map[string]string{accountAnnotation: pullAccount}, wantErr: "has no identity"},
		"the node's file is not for pods":      {pod: true, edit: func(s *Settings) { s.CredentialsFile = "/etc/key.json" }, wantErr: "has no identity"},
		"annotations without a token are idle": {annotations: map[string]string{providerAnnotation: otherProvider, accountAnnotation: pullAccount}, edit: withProvider, want: theNode},
	} {
		t.Run(name, func(t *testing.T) {
			var token *serviceaccount.Token
			if tc.pod {
				token = plugintest.Pod(t, "sa", "uid-1", "pod-1")
			}
			got, err := ask(t, newProvider(tc.edit, tc.env...), "us-docker.pkg.dev/p/r/app", token, tc.annotations)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || describe(got) != tc.want {
				t.Errorf("got %s, %v; want %s", describe(got), err, tc.want)
			}
		})
	}
}

// In these flows the node's docker configuration says whose registries it has
// passwords for, and what it has is the node's.
func TestDockerConfigFlows(t *testing.T) {
	flow := func(name string, fallback bool) credential.Provider {
		return newProvider(func(s *Settings) { s.AuthFlow, s.NodeFallback = name, fallback })
	}
	for name, want := range map[string]string{
		flowConfig:    "registry.example.com:5000/team/app in google-dockercfg",
		flowConfigURL: "registry.example.com:5000/team/app in google-dockercfg-url",
	} {
		got, err := ask(t, flow(name, false), "Registry.example.com:5000/team/app:v1", nil, nil)
		if err != nil || describe(got) != want {
			t.Errorf("%s: got %s, %v", name, describe(got), err)
		}
		if _, err := ask(t, flow(name, false), "gcr.io/p/app", plugintest.Pod(t, "sa", "u", "p"), nil); err == nil {
			t.Errorf("%s: a pod is answered as the node", name)
		}
		if _, err := ask(t, flow(name, true), "gcr.io/p/app", plugintest.Pod(t, "sa", "u", "p"), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a credential depends on is in its key, and nothing else is.
func TestKeys(t *testing.T) {
	const name = "us-docker.pkg.dev/p/r/app"
	key := func(p credential.Provider, name string, pod *serviceaccount.Token, annotations map[string]string) credential.Key {
		t.Helper()
		s, err := ask(t, p, name, pod, annotations)
		if err != nil || s == nil {
			t.Fatalf("got %v, %v", s, err)
		}
		return s.Key()
	}
	plain := newProvider(func(s *Settings) { s.WorkloadIdentityProvider = mainProvider })
	byPod := newProvider(func(s *Settings) {
		s.WorkloadIdentityProvider, s.IdentityScope = mainProvider, serviceaccount.ScopePod
	})
	byFile := func(env ...string) credential.Provider {
		return newProvider(func(s *Settings) { s.CredentialsFile = "/etc/key.json" }, env...)
	}
	docker := newProvider(func(s *Settings) { s.AuthFlow = flowConfig })
	sa := plugintest.Pod(t, "sa", "uid-1", "pod-1")

	for what, same := range map[string][2]credential.Key{
		"registries":                {key(plain, name, nil, nil), key(plain, "gcr.io/other/app", nil, nil)},
		"registries, to a pod":      {key(plain, name, sa, nil), key(plain, "docker.us-central1.rep.pkg.dev/p/r/app", sa, nil)},
		"pods of a service account": {key(plain, name, sa, nil), key(plain, name, plugintest.Pod(t, "sa", "uid-1", "pod-2"), nil)},
		"how a provider is written": {key(plain, name, sa, nil), key(plain, name, sa, map[string]string{providerAnnotation: "https://iam.googleapis.com/" + mainProvider})},
		"the port":                  {key(plain, name, nil, nil), key(plain, "us-docker.pkg.dev:443/p/r/app", nil, nil)},
		"what files do not look at": {key(byFile(), name, nil, nil), key(byFile("GCE_METADATA_HOST=metadata"), name, nil, nil)},
		"a tag":                     {key(docker, name, nil, nil), key(docker, name+":v1", nil, nil)},
	} {
		if !slices.Equal(same[0], same[1]) {
			t.Errorf("%s: %q and %q differ", what, same[0], same[1])
		}
	}
	if k := fmt.Sprint(key(byFile("AWS_ACCESS_KEY_ID=hunter2"), name, nil, nil)); strings.Contains(k, "hunter2") {
		t.Errorf("a secret is in %s", k)
	}
	keys := map[string]string{}
	for what, k := range map[string]credential.Key{
		"node":                    key(plain, name, nil, nil),
		"another metadata server": key(newProvider(nil, "GCE_METADATA_HOST=metadata"), name, nil, nil),
		"another universe":        key(newProvider(func(s *Settings) { s.UniverseDomain = berlin.domain }), "docker.pkg-berlin-build0.goog/a/b", nil, nil),
		"file":                    key(byFile(), name, nil, nil),
		"another file":            key(newProvider(func(s *Settings) { s.CredentialsFile = "/etc/other.json" }), name, nil, nil),
		"a file for AWS":          key(byFile("AWS_ACCESS_KEY_ID=AKIA"), name, nil, nil),
		"service account":         key(plain, name, sa, nil),
		"another service account": key(plain, name, plugintest.Pod(t, "sb", "uid-2", "pod-1"), nil),
		"a recreated one":         key(plain, name, plugintest.Pod(t, "sa", "uid-9", "pod-1"), nil),
		"another provider":        key(plain, name, sa, map[string]string{providerAnnotation: otherProvider}),
		"impersonation":           key(plain, name, sa, map[string]string{accountAnnotation: pullAccount}),
		"of another account":      key(plain, name, sa, map[string]string{accountAnnotation: otherAccount}),
		"by another one":          key(plain, name, plugintest.Pod(t, "sb", "uid-2", "pod-1"), map[string]string{accountAnnotation: pullAccount}),
		"pod":                     key(byPod, name, sa, nil),
		"another pod":             key(byPod, name, plugintest.Pod(t, "sa", "uid-1", "pod-2"), nil),
		"dockercfg":               key(docker, name, nil, nil),
		"of another image":        key(docker, name+"2", nil, nil),
		"by URL":                  key(newProvider(func(s *Settings) { s.AuthFlow = flowConfigURL }), name, nil, nil),
		"the document":            (&dockerConfig{server: metadataAddress}).Key(),
	} {
		id := fmt.Sprintf("%q", k)
		if other, ok := keys[id]; ok {
			t.Errorf("%s and %s share %s", what, other, id)
		}
		keys[id] = what
	}
}

func TestProviderAudience(t *testing.T) {
	for _, name := range []string{mainProvider, "//iam.googleapis.com/" + mainProvider, "https://iam.googleapis.com/" + mainProvider} {
		got, err := providerAudience(name, googleCloud)
		if err != nil || got.text != "//iam.googleapis.com/"+mainProvider || got.project != "123456789012" || got.pool != "clusters" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if got, err := providerAudience("//iam.apis-berlin-build0.goog/"+mainProvider, berlin); err != nil || got.text != "//iam.apis-berlin-build0.goog/"+mainProvider {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, name := range []string{
		"", "main", "clusters/main", "/" + mainProvider, mainProvider + "/", mainProvider + "/x", "//evil.com/" + mainProvider, "http://iam.googleapis.com/" + mainProvider,
		"//iam.apis-berlin-build0.goog/" + mainProvider,
		strings.Replace(mainProvider, "123456789012", "shop", 1), strings.Replace(mainProvider, "123456789012", "", 1),
		strings.Replace(mainProvider, "global", "us", 1), strings.Replace(mainProvider, "clusters", "Clusters", 1), strings.Replace(mainProvider, "clusters", "", 1),
		strings.Replace(mainProvider, "main", "ma in", 1), strings.Replace(mainProvider, "main", "ma\nin", 1), strings.Replace(mainProvider, "main", "a&audience=b", 1),
		strings.Replace(mainProvider, "main", strings.Repeat("a", 65), 1), strings.Replace(mainProvider, "workloadIdentityPools", "workforcePools", 1),
	} {
		if got, err := providerAudience(name, googleCloud); err == nil {
			t.Errorf("%q: got %+v", name, got)
		}
	}
}

func TestPrincipals(t *testing.T) {
	sa := plugintest.Pod(t, "sa", "u", "p")
	byProvider, _ := providerAudience(mainProvider, googleCloud)
	byCluster, _ := clusterAudience("shop", cluster)
	for got, want := range map[string]string{
		byProvider.principal(sa): "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters/subject/system:serviceaccount:prod:sa",
		byCluster.principal(sa):  "principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/shop.svc.id.goog/subject/ns/prod/sa/sa",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEmails(t *testing.T) {
	for _, email := range []string{
		pullAccount, "pull@shop.example.com.iam.gserviceaccount.com", "123456789012-compute@developer.gserviceaccount.com", "shop@appspot.gserviceaccount.com",
	} {
		if err := checkEmail(email); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
	for _, email := range []string{
		"", "pull", "pull@", "@shop.iam.gserviceaccount.com", "pull@gserviceaccount.com", "pull@.gserviceaccount.com", "pull@shop.iam.gserviceaccount.com.evil.com",
		"pull@shop.evil.com", "pull/..@shop.iam.gserviceaccount.com", "pull@shop/x.iam.gserviceaccount.com", "pull@a@shop.iam.gserviceaccount.com",
		"pull@shop..iam.gserviceaccount.com", "pull%2e@shop.iam.gserviceaccount.com", "pull@shop.iam.gserviceaccount.com:signBlob?x=", "p\null@shop.iam.gserviceaccount.com",
		strings.Repeat("a", 101) + "@shop.iam.gserviceaccount.com",
	} {
		if err := checkEmail(email); err == nil {
			t.Errorf("%q is taken for an email", email)
		}
	}
}

func TestSettings(t *testing.T) {
	plugin := Plugin()
	env := map[string]string{"KUBE_SIDECAR_CACHE_DURATION": "1h30m", "KUBE_SIDECAR_CACHE_TYPE": "image", "GOOGLE_APPLICATION_CREDENTIALS": "/etc/key.json"}
	load := func(env map[string]string, args ...string) (*Settings, error) {
		s, _, err := plugin.Load(args, func(name string) string { return env[name] })
		if err != nil {
			return nil, err
		}
		return s.(*Settings), nil
	}
	// As kubelets of GKE and OpenShift start the plugin that this one stands
	// in for.
	s, err := load(env, "get-credentials", "-a", "gcr", "--v=3", "--identity-provider="+cluster, "--project-id", "shop", "--logtostderr")
	if err != nil {
		t.Fatal(err)
	}
	if s.MaxKubeletCache.String() != "1h30m0s" || !s.PerImage() || s.CredentialsFile != "/etc/key.json" || s.IdentityProvider != cluster || s.ProjectID != "shop" {
		t.Errorf("got %+v", s)
	}
	for cacheType, want := range map[string]bool{"registry": false, "global": false, "image": true} {
		if s, err := load(nil, "--cache-type", cacheType); err != nil || s.PerImage() != want {
			t.Errorf("%s: got %+v, %v", cacheType, s, err)
		}
	}
	if s, err := load(nil, "--authFlow=dockercfg"); err != nil || !s.PerImage() {
		t.Errorf("got %+v, %v", s, err)
	}
	for want, args := range map[string][]string{
		`authFlow: "k8s" is none of`:                       {"--authFlow=k8s"},
		`cacheType: "Image" is none of`:                    {"--cache-type=Image"},
		`universeDomain: the registries of "x"`:            {"--universe-domain=x"},
		`credentialsFile: "key.json" is not an absolute`:   {"--credentials-file=key.json"},
		`projectID: is needed with identityProvider`:       {"--identity-provider=" + cluster},
		`projectID: "a b" is not`:                          {"--identity-provider=" + cluster, "--project-id=a b"},
		`identityProvider: "a b" is not`:                   {"--identity-provider=a b", "--project-id=shop"},
		`workloadIdentityProvider: can not be combined`:    {"--identity-provider=" + cluster, "--project-id=shop", "--workload-identity-provider=" + mainProvider},
		`workloadIdentityProvider: is not the name`:        {"--workload-identity-provider=clusters/main"},
		`serviceAccount: "pull" is not the email`:          {"--service-account=pull"},
		`command line: unknown flag: --no-such (see --hel`: {"--no-such"},
	} {
		if _, err := load(nil, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}
