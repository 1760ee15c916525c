package gcr_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/gcp"
)

// A pod's own token is exchanged for an access token of the member that it is
// of a workload identity pool. The node's identity is not even looked at.
func TestAPodPullsAsItself(t *testing.T) {
	t.Parallel()
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
			t.Parallel()
			n := bootNode(t)
			q := test.ask(n.pod(shop, test.audience, time.Hour).question(registry + "/p/r/app"))
			token := n.ask(q).wantCredential(registry, test.principal)
			if !slices.Equal(token.Scopes, []string{gcp.CloudPlatform}) {
				t.Errorf("scopes %v", token.Scopes)
			}
			n.WantCalls(askSTS)
			n.ask(q).wantCredential(registry, test.principal)
			n.WantCalls()
		})
	}
}

// The life of what STS issues is what STS says, and not the pod's token's.
func TestAPodsTokenIsKeptAsLongAsSTSSays(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{10 * time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			t.Parallel()
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
	t.Parallel()
	n := bootOutside(t)
	n.ask(n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)).wantCredential(registry, ownPrincipal(shop))
	n.WantCalls(askSTS)
}

// A static pod has no service account: it is the node's own.
func TestAStaticPodPullsAsTheNode(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.ask(question{Image: registry + "/p/r/app", Args: wifArgs}).wantCredential(registry, gcp.Account(nodeAccount))
	n.WantCalls(askMetadata)
}
