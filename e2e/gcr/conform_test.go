package gcr_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
)

// testbed is the node that the conformance tests are given.
type testbed = cloudtest.Node[*gcp.Fake]

func TestConform(t *testing.T) {
	t.Parallel()
	cloudtest.Conform(t, cloudtest.Suite[*gcp.Fake]{
		Boot:    gcp.Boot,
		Config:  "GCRCredentialProviderConfig",
		Foreign: notGoogles,
		Images: map[string]string{
			"gcr.io/example.com/project/app":                  "gcr.io",
			registry + "/example.com/project/repo/app":        registry,
			registry + "/project/gcr.io/app":                  registry,
			registry + "/project/repo/evil.com/app:v1":        registry,
			registry + ":443/project/repo/app:v1":             registry + ":443",
			"evil.com/gcr.io/project/app":                     "",
			"registry.example.com/" + registry + "/project/a": "",
		},
		Malformed: []string{"\u0261cr.io/p/app", registry + "/P/R/app"},
		// A token is good for every registry of Google's that its owner may read.
		Shared: []string{"europe-west12-docker.pkg.dev", "docker.us-central1.rep.pkg.dev", "gcr.io", "us.gcr.io"},
		Ways: []cloudtest.Way[*gcp.Fake]{
			{
				Name:    "pod that impersonates",
				Calls:   slices.Concat(askSTS, askCredentials),
				Refresh: askCredentials,
				Go: func(n *testbed) cloudtest.Errand {
					identity := n.Workload(shop)
					n.Fake.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: []gcp.Principal{gcp.Principal(identity.Owner)}})
					identity.Annotations[accountAnnotation] = pullAccount
					q := n.Pod(shop, identity)
					return cloudtest.Errand{Question: q, Owner: string(gcp.Account(pullAccount)), Secrets: []string{signature(q.Token)}}
				},
			},
			{
				Name:  "cluster of GKE",
				Calls: askSTS,
				Go: func(n *testbed) cloudtest.Errand {
					provider := gcp.Cluster("example-project", "123456789012", n.Issuer.URL)
					n.Fake.AddProvider(provider)
					q := n.Own("--identity-provider", n.Issuer.URL, "--project-id", "example-project")
					q.Token = n.Token(shop, gkeAudience, time.Hour)
					q.Annotations = map[string]string{enableAnnotation: "true"}
					return cloudtest.Errand{Question: q, Owner: string(provider.Principal(shop.Subject())), Secrets: []string{signature(q.Token)}}
				},
			},
			{
				Name:  "key",
				Calls: askOAuth2,
				Go: func(n *testbed) cloudtest.Errand {
					content, err := n.Fake.AddKey(pullAccount)
					if err != nil {
						n.T.Fatal(err)
					}
					var key struct {
						PrivateKey string `json:"private_key"`
					}
					if err := json.Unmarshal(content, &key); err != nil {
						n.T.Fatal(err)
					}
					q := n.Own("--credentials-file", cloudtest.File(n.T, string(content)))
					return cloudtest.Errand{Question: q, Owner: string(gcp.Account(pullAccount)), Secrets: []string{strings.Split(key.PrivateKey, "\n")[5]}}
				},
			},
			{
				Name:  "external account",
				Calls: askSTS,
				Go: func(n *testbed) cloudtest.Errand {
					identity := n.Workload(shop)
					token := n.Token(shop, n.Audience, time.Hour)
					q := n.Own()
					q.Env = append(q.Env, "GOOGLE_APPLICATION_CREDENTIALS="+cloudtest.File(n.T, externalAccount(n.T, token, nil)))
					return cloudtest.Errand{Question: q, Owner: identity.Owner, Secrets: []string{signature(token)}}
				},
			},
		},
		Refused: []cloudtest.Refused[*gcp.Fake]{
			{Name: "a provider that does not exist", Says: []string{"status 400 invalid_target", "provider"}, Ask: func(n *testbed) cloudtest.Question {
				gone := gcp.WorkloadIdentity("123456789012", "clusters", "main")
				gone.Disabled = true
				n.Fake.AddProvider(gone)
				return n.Pod(shop, n.Workload(shop))
			}},
			{Name: "malformed, says STS", Says: []string{"status 400 invalid_request"}, Ask: func(n *testbed) cloudtest.Question {
				n.Cloud.Faults.Always("sts", "", fake.Refuse(400, "invalid_request", `Invalid value for "audience".`))
				return n.Pod(shop, n.Workload(shop))
			}},
		},
		RefusedSays: map[string][]string{
			"a token for another audience": {"invalid_grant", "serviceAccountTokenAudience"},
			"an expired token":             {"invalid_grant"},
			"a token of another cluster":   {"invalid_grant"},
		},
		Nameless: []cloudtest.Nameless{
			{Name: "nothing is configured", Says: []string{"--workload-identity-provider", "--identity-provider"}},
			{Name: "the annotation of GKE is missing", Args: gkeArgs, Says: []string{enableAnnotation}},
			{Name: "the annotation of GKE says no", Args: gkeArgs, Annotations: map[string]string{enableAnnotation: "false"}, Says: []string{enableAnnotation}},
			{Name: "the cluster is not configured", Annotations: map[string]string{enableAnnotation: "true"}, Says: []string{"--identity-provider", "--project-id"}},
			{Name: "an account to impersonate alone", Annotations: map[string]string{accountAnnotation: pullAccount}, Says: []string{"--workload-identity-provider"}},
		},
		Annotations: map[string][]string{
			providerAnnotation: {
				"main",
				strings.Replace(wifProvider, "123456789012", "example-project", 1),
				strings.Replace(wifProvider, "global", "us", 1),
				strings.Replace(wifProvider, "/main", "/", 1),
				strings.Replace(wifProvider, "/main", "/main/extra", 1),
				strings.Replace(wifProvider, "/main", "/../main", 1),
				strings.Replace(wifProvider, "/main", "/MAIN", 1),
				strings.Replace(wifProvider, "/main", "/ma in", 1),
				wifProvider + "?x=y",
				"//iam.evil.com/" + wifProvider, "https://evil.com/" + wifProvider, "http://iam.googleapis.com/" + wifProvider,
				"//iam.googleapis.com.evil.com/" + wifProvider, "//iam.s3nsapis.fr/" + wifProvider,
				"identitynamespace:" + gkeAudience + ":" + clusterURL,
			},
			accountAnnotation: {
				"pull", "pull@example.com", "pull@", "@example-project.iam.gserviceaccount.com",
				pullAccount + ".evil.com", pullAccount + "\n", " " + pullAccount, pullAccount + ":generateIdToken", pullAccount + "/keys",
				"../../x@example-project.iam.gserviceaccount.com", "a?b@example-project.iam.gserviceaccount.com", "a%2fb@example-project.iam.gserviceaccount.com",
				"pull@evil.com/.iam.gserviceaccount.com", "pull@example@project.iam.gserviceaccount.com", "pull@.iam.gserviceaccount.com",
				strings.Repeat("p", 64<<10) + "@example-project.iam.gserviceaccount.com",
			},
		},
		Commands: [][]string{
			{"get-credentials"},
			{"get-credentials", "--v=3"},
			{"get-credentials", "--authFlow=gcr"},
			{"get-credentials", "-a", "gcr", "--v=3", "--logtostderr"},
			{"--v=4", "get-credentials", "--logtostderr=true", "--stderrthreshold=2", "--alsologtostderrthreshold=2", "--vmodule=a=1"},
			append([]string{"get-credentials", "--v=3"}, gkeArgs...),
		},
		Help: []string{
			`"docker.*.rep.pkg.dev"`, "--authFlow", "--identity-provider", "--project-id", "--workload-identity-provider", "--service-account",
			"--credentials-file", "$GOOGLE_APPLICATION_CREDENTIALS", "$KUBE_SIDECAR_CACHE_DURATION", "$KUBE_SIDECAR_CACHE_TYPE",
		},
		Mistakes: []cloudtest.Mistake{
			{Name: "unknown flow", Args: []string{"--authFlow=gcloud"}, Says: "authFlow"},
			{Name: "cache type of the kubelet's spelling", Env: []string{"KUBE_SIDECAR_CACHE_TYPE=Image"}, Says: "cacheType"},
			{Name: "duration that is none", Env: []string{"KUBE_SIDECAR_CACHE_DURATION=ten"}, Says: "KUBE_SIDECAR_CACHE_DURATION"},
			{Name: "duration below zero", Env: []string{"KUBE_SIDECAR_CACHE_DURATION=-10s"}, Says: "maxKubeletCache"},
			{Name: "unknown field of this plugin", Config: "projectId: x\n", Says: "projectId"},
			{Name: "cluster without a project", Args: []string{"--identity-provider", clusterURL}, Says: "settings: "},
			{Name: "project that is none", Args: []string{"--identity-provider", clusterURL, "--project-id", "a b"}, Says: "settings: "},
			{Name: "cluster that is none", Args: []string{"--identity-provider", "a b", "--project-id", "example-project"}, Says: "settings: "},
			{Name: "provider that is none", Args: []string{"--workload-identity-provider", "clusters/main"}, Says: "settings: "},
			{Name: "service account that is none", Args: []string{"--service-account", "pull"}, Says: "settings: "},
			{Name: "cluster and provider: tokens have one audience", Args: slices.Concat(gkeArgs, wifArgs), Says: "settings: "},
			{Name: "unknown universe", Args: []string{"--universe-domain=evil.com"}, Says: "universeDomain"},
			{Name: "relative credentials file", Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=key.json"}, Says: "credentialsFile"},
		},
	})
}

// signature is what of a token proves anything.
func signature(token string) string { return token[strings.LastIndex(token, ".")+1:] }
