package gcr_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/gcp"
)

// A pod's own token is exchanged for an access token of the member that it is
// of a workload identity pool. The node's identity is not even looked at.
func TestAPodPullsAsItself(t *testing.T) {
	for _, test := range []struct {
		name      string
		audience  string
		ask       func(q question) question
		principal gcp.Principal
	}{
		{"cluster of GKE", gkeAudience, func(q question) question {
			q.Args = gkeArgs
			return q.annotated(enableAnnotation, "true")
		}, principals + "example-project.svc.id.goog/subject/ns/shop/sa/web"},
		{"cluster of GKE in a file", gkeAudience, func(q question) question {
			q.Args = []string{"--config", configFile(t, "identityProvider: "+clusterURL+"\nprojectID: example-project\n")}
			return q.annotated(enableAnnotation, "true")
		}, principals + "example-project.svc.id.goog/subject/ns/shop/sa/web"},
		{"provider by flag", wifAudience, func(q question) question {
			q.Args = wifArgs
			return q
		}, ownPrincipal(shop)},
		{"provider by variable", wifAudience, func(q question) question {
			q.Env = []string{"REGCRED_WORKLOAD_IDENTITY_PROVIDER=" + wifProvider}
			return q
		}, ownPrincipal(shop)},
		{"provider by file", wifAudience, func(q question) question {
			q.Args = []string{"--config", configFile(t, "workloadIdentityProvider: "+wifProvider+"\n")}
			return q
		}, ownPrincipal(shop)},
		{"provider by annotation", wifAudience, func(q question) question {
			return q.annotated(providerAnnotation, wifProvider)
		}, ownPrincipal(shop)},
		{"provider as its audience is written", wifAudience, func(q question) question {
			return q.annotated(providerAnnotation, "//iam.googleapis.com/"+wifProvider)
		}, ownPrincipal(shop)},
		{"provider as its token's audience is written", wifAudience, func(q question) question {
			return q.annotated(providerAnnotation, wifAudience)
		}, ownPrincipal(shop)},
		{"annotation before flag", wifAudience, func(q question) question {
			q.Args = []string{"--workload-identity-provider", strings.Replace(wifProvider, "/main", "/other", 1)}
			return q.annotated(providerAnnotation, wifProvider)
		}, ownPrincipal(shop)},
		{"--node-fallback does not matter", wifAudience, func(q question) question {
			q.Args = append([]string{"--node-fallback"}, wifArgs...)
			return q
		}, ownPrincipal(shop)},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			q := test.ask(n.pod(shop, test.audience, time.Hour).question(registry + "/p/r/app"))
			token := n.ask(q).wantCredential(registry, test.principal)
			if !slices.Equal(token.Scopes, []string{gcp.CloudPlatform}) {
				t.Errorf("scopes %v", token.Scopes)
			}
			n.wantCalls(askSTS)
			n.ask(q).wantCredential(registry, test.principal)
			n.wantCalls()
		})
	}
}

// The life of what STS issues is what STS says, and not the pod's token's.
func TestAPodsTokenIsKeptAsLongAsSTSSays(t *testing.T) {
	for _, life := range []time.Duration{10 * time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.STS.Life = life })
			q := n.pod(shop, wifAudience, 10*time.Minute).question(registry+"/p/r/app", append([]string{"--max-kubelet-cache=24h"}, wifArgs...)...)
			token := n.ask(q).wantCredential(registry, ownPrincipal(shop))
			if least, most := life*39/100, life*61/100; token.keep < least || token.keep > most {
				t.Errorf("the kubelet keeps a token of %s for %s, want %s to %s", life, token.keep, least, most)
			}
		})
	}
}

// Off Google Cloud there is no metadata server, and pods need none.
func TestAPodPullsAsItselfOutsideOfGoogleCloud(t *testing.T) {
	n := bootOutside(t)
	n.ask(n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)).wantCredential(registry, ownPrincipal(shop))
	n.wantCalls(askSTS)
}

// A pod without an identity of its own gets nothing of the node's, unless the
// operator said so.
func TestAPodWithoutAnIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		question
		says []string
	}{
		"nothing is configured":            {question{}, []string{"--workload-identity-provider", "--identity-provider"}},
		"the annotation of GKE is missing": {question{Args: gkeArgs}, []string{enableAnnotation}},
		"the annotation of GKE says no":    {question{Args: gkeArgs}.annotated(enableAnnotation, "false"), []string{enableAnnotation}},
		"the cluster is not configured":    {question{}.annotated(enableAnnotation, "true"), []string{"--identity-provider", "--project-id"}},
		"an account to impersonate alone":  {question{}.annotated(accountAnnotation, pullAccount), []string{"--workload-identity-provider"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			q := test.question
			q.Image, q.Token = registry+"/p/r/app", n.pod(shop, gkeAudience, time.Hour).token
			n.ask(q).wantFailure(1, append(test.says, registry, "service account shop/web", "--node-fallback")...)
			n.wantCalls()
		})
	}
	t.Run("pulls as the node if that is allowed", func(t *testing.T) {
		n := bootNode(t)
		q := n.pod(shop, gkeAudience, time.Hour).question(registry+"/p/r/app", "--node-fallback")
		own := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
		n.wantCalls(askMetadata)
		if n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount)).password != own.password {
			t.Error("the node's own token is another")
		}
	})
	t.Run("is the node's own: a static pod has no service account", func(t *testing.T) {
		n := bootNode(t)
		n.ask(question{Image: registry + "/p/r/app", Args: wifArgs}).wantCredential(registry, gcp.Account(nodeAccount))
		n.wantCalls(askMetadata)
	})
}

func TestAHalfConfiguredClusterIsAMistakeOfTheOperator(t *testing.T) {
	for name, args := range map[string][]string{
		"no project":                        {"--identity-provider", clusterURL},
		"project that is none":              {"--identity-provider", clusterURL, "--project-id", "a b"},
		"cluster that is none":              {"--identity-provider", "a b", "--project-id", "example-project"},
		"provider that is none":             {"--workload-identity-provider", "clusters/main"},
		"service account that is none":      {"--service-account", "pull"},
		"both, as tokens have one audience": slices.Concat(gkeArgs, wifArgs),
	} {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			n.ask(question{Image: registry + "/p/r/app", Args: args}).wantFailure(2, "settings: ")
			n.wantCalls()
		})
	}
}

// Whoever may edit a service account writes its annotations.
func TestAnInvalidAnnotationCausesNoCall(t *testing.T) {
	n := bootNode(t)
	p := n.pod(shop, wifAudience, time.Hour)
	for annotation, values := range map[string][]string{
		providerAnnotation: {
			"main",
			strings.Replace(wifProvider, "123456789012", "example-project", 1),
			strings.Replace(wifProvider, "global", "us", 1),
			strings.Replace(wifProvider, "/main", "/", 1),
			strings.Replace(wifProvider, "/main", "/main/extra", 1),
			strings.Replace(wifProvider, "/main", "/../main", 1),
			strings.Replace(wifProvider, "/main", "/MAIN", 1),
			strings.Replace(wifProvider, "/main", "/ma in", 1),
			wifProvider + "\n", " " + wifProvider, wifProvider + "?x=y",
			"//iam.evil.com/" + wifProvider, "https://evil.com/" + wifProvider, "http://iam.googleapis.com/" + wifProvider,
			"//iam.googleapis.com.evil.com/" + wifProvider, "//iam.s3nsapis.fr/" + wifProvider,
			"identitynamespace:" + gkeAudience + ":" + clusterURL,
			strings.Repeat("p", 64<<10),
		},
		accountAnnotation: {
			"pull", "pull@example.com", "pull@", "@example-project.iam.gserviceaccount.com",
			pullAccount + ".evil.com", pullAccount + "\n", " " + pullAccount, pullAccount + ":generateIdToken", pullAccount + "/keys",
			"../../x@example-project.iam.gserviceaccount.com", "a?b@example-project.iam.gserviceaccount.com", "a%2fb@example-project.iam.gserviceaccount.com",
			"pull@evil.com/.iam.gserviceaccount.com", "pull@example@project.iam.gserviceaccount.com", "pull@.iam.gserviceaccount.com",
			strings.Repeat("p", 64<<10) + "@example-project.iam.gserviceaccount.com",
		},
	} {
		for i, value := range values {
			t.Run(fmt.Sprintf("%s %d", annotation, i), func(t *testing.T) {
				n := n.in(t)
				q := p.question(registry+"/p/r/app", append([]string{"--node-fallback"}, wifArgs...)...).annotated(annotation, value)
				a := n.ask(q)
				a.wantFailure(1, registry, "service account shop/web", "annotation "+annotation)
				if len(a.Stderr) > 1024 {
					t.Errorf("the line has %d characters", len(a.Stderr))
				}
				n.wantCalls()
			})
		}
	}
}
