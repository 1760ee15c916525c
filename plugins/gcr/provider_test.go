package gcr

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/plugin"
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
	p, err := s.Provider(plugin.Run{Getenv: plugintest.Getenv(env...)})
	if err != nil {
		panic(err) // a test's own mistake
	}
	return p
}

func ask(t testing.TB, p credential.Provider, name string, pod *serviceaccount.Token, annotations map[string]string) (credential.Source, error) {
	t.Helper()
	answer, err := p.Answer(plugintest.Request(t, name, pod, annotations))
	return answer.Source, err
}

func TestIdentity(t *testing.T) {
	withProvider := func(s *Settings) { s.WorkloadIdentityProvider = mainProvider }
	withCluster := func(s *Settings) { s.IdentityProvider, s.ProjectID = cluster, "shop" }
	enabled := map[string]string{enableAnnotation: "true"}
	const (
		asMain    = "service account prod/sa of //iam.googleapis.com/" + mainProvider
		byMain    = "STS of googleapis.com for a token as " + asMain
		byOther   = "STS of googleapis.com for a token as service account prod/sa of //iam.googleapis.com/" + otherProvider
		asCluster = "service account prod/sa of identitynamespace:shop.svc.id.goog:" + cluster
		byCluster = "STS of googleapis.com for a token as " + asCluster
		theNode   = "the metadata server at 169.254.169.254 for a token as the node's service account"
		thePull   = "IAM of googleapis.com for a token of " + pullAccount + " as "
	)
	for name, tc := range map[string]struct {
		edit        func(*Settings)
		pod         bool
		annotations map[string]string
		metadata    string
		want        string
		wantErr     string
	}{
		"a node asks as itself":           {want: theNode},
		"a node off Google Cloud":         {edit: func(s *Settings) { s.CredentialsFile = "/etc/key.json" }, want: "APIs of googleapis.com for a token as the node by /etc/key.json"},
		"another metadata server":         {metadata: "127.0.0.1:8080", want: "the metadata server at 127.0.0.1:8080 for a token as the node's service account"},
		"not by a URL":                    {metadata: "http://127.0.0.1", wantErr: `GCE_METADATA_HOST: not a host or host:port, without a scheme`},
		"which a file does not ask":       {metadata: "http://127.0.0.1", edit: func(s *Settings) { s.CredentialsFile = "/etc/key.json" }, want: "APIs of googleapis.com for a token as the node by /etc/key.json"},
		"nor a pod":                       {metadata: "http://127.0.0.1", pod: true, edit: withProvider, want: byMain},
		"a pod is known to the provider":  {pod: true, edit: withProvider, want: byMain},
		"a pod names a provider":          {pod: true, annotations: map[string]string{providerAnnotation: otherProvider}, want: byOther},
		"an annotation beats the setting": {pod: true, edit: withProvider, annotations: map[string]string{providerAnnotation: "//iam.googleapis.com/" + otherProvider}, want: byOther},
		"a pod is known to its cluster":   {pod: true, edit: withCluster, annotations: enabled, want: byCluster},
		"only if it says so":              {pod: true, edit: withCluster, wantErr: `service account prod/sa names no identity to pull with: annotate it with iam.gke.io/enable-wi-image-pull="true"`},
		"and says it in full":             {pod: true, edit: withCluster, annotations: map[string]string{enableAnnotation: "True"}, wantErr: "names no identity"},
		"which needs the cluster":         {pod: true, annotations: enabled, wantErr: "set --identity-provider and --project-id, which " + enableAnnotation + " needs"},
		"a pod never falls back to the node": {
			pod: true, wantErr: "service account prod/sa names no identity to pull with: annotate it with cloud.google.com/workload-identity-provider and list that annotation in the kubelet's tokenAttributes, set --workload-identity-provider, or on GKE --identity-provider and --project-id, or let pods of its namespace pull as the node with --node-fallback=prod",
		},
		"in its namespace alone":               {pod: true, edit: func(s *Settings) { s.NodeFallback = credential.FallbackTo("kube-system") }, wantErr: "names no identity"},
		"where that is allowed":                {pod: true, edit: func(s *Settings) { s.NodeFallback = credential.FallbackTo("prod") }, want: theNode},
		"unless that is allowed":               {pod: true, edit: func(s *Settings) { s.NodeFallback = credential.FallbackAll() }, want: theNode},
		"as where nothing names the cluster":   {pod: true, edit: func(s *Settings) { s.NodeFallback = credential.FallbackAll() }, annotations: enabled, want: theNode},
		"fallback does not hide an identity":   {pod: true, edit: func(s *Settings) { withProvider(s); s.NodeFallback = credential.FallbackAll() }, want: byMain},
		"nor a bad annotation":                 {pod: true, edit: func(s *Settings) { s.NodeFallback = credential.FallbackAll() }, annotations: map[string]string{providerAnnotation: "x"}, wantErr: "service account prod/sa: annotation " + providerAnnotation + ": not the name of a provider"},
		"nor a bad account":                    {pod: true, edit: func(s *Settings) { withProvider(s); s.NodeFallback = credential.FallbackAll() }, annotations: map[string]string{accountAnnotation: "x"}, wantErr: "annotation " + accountAnnotation + ": not the email of a Google service account"},
		"a pod impersonates an account":        {pod: true, edit: withProvider, annotations: map[string]string{accountAnnotation: pullAccount}, want: thePull + asMain},
		"of its cluster too":                   {pod: true, edit: withCluster, annotations: map[string]string{enableAnnotation: "true", accountAnnotation: pullAccount}, want: thePull + asCluster},
		"the configured one":                   {pod: true, edit: func(s *Settings) { withProvider(s); s.ServiceAccount = pullAccount }, want: thePull + asMain},
		"the annotated one before it":          {pod: true, edit: func(s *Settings) { withProvider(s); s.ServiceAccount = otherAccount }, annotations: map[string]string{accountAnnotation: pullAccount}, want: thePull + asMain},
		"an account alone is no identity":      {pod: true, annotations: map[string]string{accountAnnotation: pullAccount}, wantErr: "names no identity"},
		"the node's file is not for pods":      {pod: true, edit: func(s *Settings) { s.CredentialsFile = "/etc/key.json" }, wantErr: "names no identity"},
		"annotations without a token are idle": {annotations: map[string]string{providerAnnotation: otherProvider, accountAnnotation: pullAccount}, edit: withProvider, want: theNode},
	} {
		t.Run(name, func(t *testing.T) {
			var token *serviceaccount.Token
			if tc.pod {
				token = plugintest.Pod(t, "sa", "uid-1", "pod-1")
			}
			t.Setenv("GCE_METADATA_HOST", tc.metadata)
			got, err := ask(t, newProvider(tc.edit), "us-docker.pkg.dev/p/r/app", token, tc.annotations)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || got.String() != tc.want {
				t.Errorf("got %v, %v; want %s", got, err, tc.want)
			}
		})
	}
}

// In these flows the node's docker configuration says whose registries it has
// passwords for, and what it has is the node's.
func TestDockerConfigFlows(t *testing.T) {
	flow := func(name string, fallback credential.NodeFallback) credential.Provider {
		return newProvider(func(s *Settings) { s.AuthFlow, s.NodeFallback = name, fallback })
	}
	pod := plugintest.Pod(t, "sa", "u", "p")
	for name, attribute := range map[string]string{flowConfig: "google-dockercfg", flowConfigURL: "google-dockercfg-url"} {
		got, err := ask(t, flow(name, credential.NodeFallback{}), "Registry.example.com:5000/team/app:v1", nil, nil)
		want := "the metadata server at 169.254.169.254 for " + attribute + ", for registry.example.com:5000/team/app"
		if err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		_, err = ask(t, flow(name, credential.NodeFallback{}), "gcr.io/p/app", pod, map[string]string{providerAnnotation: mainProvider})
		if want := "service account prod/sa names no identity to pull with: leave tokenAttributes out of the kubelet's configuration, since --authFlow=" + name + " has passwords of the node alone"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
		if _, err := ask(t, flow(name, credential.FallbackAll()), "gcr.io/p/app", pod, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whether the kubelet may use an answer for other images of the registry.
func TestPerImage(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*Settings)
		want bool
	}{
		"a token is the registry's":       {nil, false},
		"as the operator may repeat":      {func(s *Settings) { s.CacheType = global }, false},
		"unless the operator says no":     {func(s *Settings) { s.CacheType = perImage }, true},
		"a password may be of one part":   {func(s *Settings) { s.AuthFlow = flowConfig }, true},
		"whatever the operator says then": {func(s *Settings) { s.AuthFlow, s.CacheType = flowConfigURL, perRegistry }, true},
	} {
		answer, err := newProvider(tc.edit).Answer(plugintest.Request(t, "gcr.io/p/app", nil, nil))
		if err != nil || answer.PerImage != tc.want || answer.Anonymous != "" {
			t.Errorf("%s: got %+v, %v", name, answer, err)
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
	elsewhere := func(p credential.Provider) credential.Key {
		t.Setenv("GCE_METADATA_HOST", "metadata")
		defer t.Setenv("GCE_METADATA_HOST", "")
		return key(p, name, nil, nil)
	}
	scoped := newProvider(func(s *Settings) {
		s.WorkloadIdentityProvider, s.Scopes = mainProvider, []string{everything + ".read-only"}
	})
	docker := newProvider(func(s *Settings) { s.AuthFlow = flowConfig })
	sa := plugintest.Pod(t, "sa", "uid-1", "pod-1")

	for what, same := range map[string][2]credential.Key{
		"registries":                {key(plain, name, nil, nil), key(plain, "gcr.io/other/app", nil, nil)},
		"registries, to a pod":      {key(plain, name, sa, nil), key(plain, "docker.us-central1.rep.pkg.dev/p/r/app", sa, nil)},
		"pods of a service account": {key(plain, name, sa, nil), key(plain, name, plugintest.Pod(t, "sa", "uid-1", "pod-2"), nil)},
		"how a provider is written": {key(plain, name, sa, nil), key(plain, name, sa, map[string]string{providerAnnotation: "https://iam.googleapis.com/" + mainProvider})},
		"the port":                  {key(plain, name, nil, nil), key(plain, "us-docker.pkg.dev:443/p/r/app", nil, nil)},
		"what files do not look at": {key(byFile(), name, nil, nil), elsewhere(byFile())},
		"what instances have":       {key(plain, name, nil, nil), key(scoped, name, nil, nil)},
		"a tag":                     {key(docker, name, nil, nil), key(docker, name+":v1", nil, nil)},
	} {
		if !slices.Equal(same[0], same[1]) {
			t.Errorf("%s: %q and %q differ", what, same[0], same[1])
		}
	}
	if k := fmt.Sprint(key(byFile("AWS_ACCESS_KEY_ID=hunter2"), name, nil, nil)); strings.Contains(k, "hunter2") {
		t.Errorf("a secret is in %s", k)
	}
	main, _ := providerAudience(mainProvider, googleCloud)
	onTheWay := &federatedToken{endpoints: newEndpoints(googleCloud, "", nil), pod: sa, identityScope: serviceaccount.ScopeServiceAccount, audience: main, scopes: []string{everything}}
	keys := map[string]string{}
	for what, k := range map[string]credential.Key{
		"node":                    key(plain, name, nil, nil),
		"another metadata server": elsewhere(plain),
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
		"another scope":           key(scoped, name, sa, nil),
		"an impersonation's":      key(scoped, name, sa, map[string]string{accountAnnotation: pullAccount}),
		"a file's":                key(newProvider(func(s *Settings) { s.CredentialsFile, s.Scopes = "/etc/key.json", []string{everything + ".read-only"} }), name, nil, nil),
		"the token on the way":    onTheWay.Key(),
		"dockercfg":               key(docker, name, nil, nil),
		"of another image":        key(docker, name+"2", nil, nil),
		"by URL":                  key(newProvider(func(s *Settings) { s.AuthFlow = flowConfigURL }), name, nil, nil),
		"the document":            (&dockerConfig{server: server(t, googleCloud)}).Key(),
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
	env := []string{"KUBE_SIDECAR_CACHE_DURATION=1h30m", "KUBE_SIDECAR_CACHE_TYPE=image", "GOOGLE_APPLICATION_CREDENTIALS=/etc/key.json"}
	// As kubelets of GKE and OpenShift start the plugin that this one stands
	// in for.
	args := []string{"get-credentials", "-a", "gcr", "--v=3", "--identity-provider=" + cluster, "--project-id", "shop", "--logtostderr"}
	if _, _, err := plugin.Load(args, plugintest.Getenv(env...)); err != nil {
		t.Fatal(err)
	}
	read, _, err := plugin.Read(args, plugintest.Getenv(env...))
	if err != nil {
		t.Fatal(err)
	}
	s := read.(*Settings)
	if s.MaxKubeletCache.String() != "1h30m0s" || s.CacheType != perImage || s.CredentialsFile != "/etc/key.json" || s.IdentityProvider != cluster || s.ProjectID != "shop" {
		t.Errorf("got %+v", s)
	}
	for want, args := range map[string][]string{
		`authFlow: "k8s" is none of`:                         {"--authFlow=k8s"},
		`cacheType: "Image" is none of`:                      {"--cache-type=Image"},
		`universeDomain: no registries are known of "x"`:     {"--universe-domain=x"},
		`credentialsFile: not an absolute path: "key.json"`:  {"--credentials-file=key.json"},
		`projectID: empty, while identityProvider needs it`:  {"--identity-provider=" + cluster},
		`projectID: not the id of a project: "a b"`:          {"--identity-provider=" + cluster, "--project-id=a b"},
		`identityProvider: not the URL of a cluster: "a b"`:  {"--identity-provider=a b", "--project-id=shop"},
		`workloadIdentityProvider: cannot be combined`:       {"--identity-provider=" + cluster, "--project-id=shop", "--workload-identity-provider=" + mainProvider},
		`workloadIdentityProvider: not the name of`:          {"--workload-identity-provider=clusters/main"},
		`serviceAccount: not the email of`:                   {"--service-account=pull"},
		`scopes: none of ["https://www.googleapis.com/auth/`: {"--scope=https://www.googleapis.com/auth/logging.write"},
		`scopes: none of [] reads registries`:                {"--scope="},
		`scopes: "x y" is not the URL of a scope`:            {"--scope=" + everything, "--scope=x y"},
		`command line: unknown flag: --no-such (see --hel`:   {"--no-such"},
	} {
		if _, _, err := plugin.Load(args, plugintest.Getenv()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
	for _, args := range [][]string{
		{"--scope=" + everything + ".read-only"}, {"--scope=https://www.googleapis.com/auth/devstorage.read_only,https://www.googleapis.com/auth/logging.write"},
		{"--cache-type=global"}, {"--authFlow=dockercfg-url"}, {"--universe-domain=s3nsapis.fr"},
	} {
		if _, _, err := plugin.Load(args, plugintest.Getenv()); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}
