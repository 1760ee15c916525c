package acr_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
)

// A pod has its own identity or none: the node's is not lent.
func TestAPodWithoutAnIdentityIsRefusedUnlessTheNodesIsAllowed(t *testing.T) {
	for name, annotations := range map[string][]string{
		"no annotations":  nil,
		"empty":           {clientAnnotation, "", tenantAnnotation, ""},
		"a tenant alone":  {tenantAnnotation, tenant},
		"others' of them": {"azure.workload.identity/client-id", appID},
	} {
		t.Run(name, func(t *testing.T) {
			n := podNode(t)
			q := n.pod(shop, podAudience, time.Hour).question(annotations...)
			n.ask(q).wantFailure(1, registry, "shop/web", clientAnnotation, "--node-fallback")
			n.wantCalls()
			n.ask(q.with("--node-fallback")).wantCredential(registry, system.ClientID)
			n.wantCalls(askNode)
		})
	}
}

// Annotations are a pod's author's. They end up in URLs.
func TestAnAnnotationThatIsNoIDIsRefusedWithoutACall(t *testing.T) {
	n := podNode(t)
	p := n.pod(shop, podAudience, time.Hour)
	for _, test := range []struct{ client, tenant, says string }{
		{"pull", tenant, clientAnnotation},
		{appID + "&scope=x", tenant, clientAnnotation},
		{"/subscriptions/x/y", tenant, clientAnnotation},
		{appID, "common", tenantAnnotation},
		{appID, "organizations", tenantAnnotation},
		{appID, "../evil", tenantAnnotation},
		{appID, "evil.com/x", tenantAnnotation},
		{appID, "evil.com?x", tenantAnnotation},
		{appID, "evil.com#x", tenantAnnotation},
		{appID, "a@evil.com", tenantAnnotation},
		{appID, "evil..com", tenantAnnotation},
		{appID, "evil.com\n", tenantAnnotation},
	} {
		t.Run(test.client+" "+test.tenant, func(t *testing.T) {
			n := n.in(t)
			q := p.question(clientAnnotation, test.client, tenantAnnotation, test.tenant).with("--node-fallback")
			n.ask(q).wantFailure(1, "shop/web", test.says)
			n.wantCalls()
		})
	}
}

// Whoever Entra refuses does not pull with the node's identity instead, not
// even where a pod without an identity would.
func TestAPodThatEntraRefusesIsRefused(t *testing.T) {
	const stranger = "a0000000-0000-4000-8000-00000000000f"
	for _, test := range []struct {
		name    string
		prepare func(n *node) question
		says    []string
	}{
		{"token for another audience", func(n *node) question {
			return n.pod(shop, "https://kubernetes.default.svc", time.Hour).question(annotated...)
		}, []string{"AADSTS700212", "serviceAccountTokenAudience", podAudience}},
		{"no federated credential", func(n *node) question {
			n.trust(appID, batch)
			return n.pod(shop, podAudience, time.Hour).question(annotated...)
		}, []string{"AADSTS700213", "federated credential", cluster.URL, shop.Subject()}},
		{"app that does not exist", func(n *node) question {
			return n.pod(shop, podAudience, time.Hour).question(clientAnnotation, stranger, tenantAnnotation, tenant)
		}, []string{"AADSTS700016", stranger}},
		{"tenant that does not exist", func(n *node) question {
			return n.pod(shop, podAudience, time.Hour).question(clientAnnotation, appID, tenantAnnotation, "nobody.example")
		}, []string{"AADSTS90002", "nobody.example", "--cloud"}},
		{"expired token", func(n *node) question { return n.pod(shop, podAudience, -time.Second).question(annotated...) },
			[]string{"AADSTS700024"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := podNode(t)
			q := test.prepare(n).with("--node-fallback")
			says := slices.Concat(test.says, []string{registry + ": ", entraAPI, "service account shop/web"})
			n.ask(q).wantFailure(1, says...)
			n.wantCalls(askEntra) // once: what is refused stays refused
			n.ask(q).wantFailure(1, append(says, "ago to another process")...)
			n.wantCalls()
		})
	}
}

func TestAPodThatTheRegistryRefusesIsRefused(t *testing.T) {
	n := podNode(t)
	n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, Roles: pullers(tenant, system.ClientID)})
	q := n.pod(shop, podAudience, time.Hour).question(annotated...).with("--node-fallback")
	n.ask(q).wantFailure(1, registry, "401", "shop/web", appID, tenant, "AcrPull", "Container Registry Repository Reader")
	n.wantCalls(askEntra, askExchange)
	n.ask(q).wantFailure(1, "ago to another process")
	n.wantCalls()
}

func TestABrokenServiceAccountTokenCausesNoCall(t *testing.T) {
	n := podNode(t)
	good := n.pod(shop, podAudience, time.Hour).token
	for name, token := range map[string]string{
		"not a JWT":  "opaque",
		"two parts":  good[:strings.LastIndex(good, ".")],
		"not base64": "a.%%%.c",
		"too long":   good + strings.Repeat("x", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			n := n.in(t)
			q := question{Image: image, Token: token}.annotated(annotated...).with("--node-fallback")
			n.ask(q).wantFailure(1, "service account token")
			n.wantCalls()
		})
	}
}

// The failure of one identity says nothing of another's.
func TestAFailureIsItsIdentitysOwn(t *testing.T) {
	n := podNode(t)
	n.trust(appID, batch)
	n.ask(n.pod(shop, podAudience, time.Hour).question(annotated...)).wantFailure(1, "AADSTS700213")
	n.ask(n.pod(batch, podAudience, time.Hour).question(annotated...)).wantCredential(registry, appID)
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
}

func TestAHiccupPasses(t *testing.T) {
	for name, fault := range map[string]cloud.Fault{
		"throttled":    cloud.Refusal{Status: http.StatusTooManyRequests},
		"server error": cloud.Refusal{Status: http.StatusInternalServerError},
		"unavailable":  cloud.Refusal{Status: http.StatusServiceUnavailable, RetryAfter: time.Second},
		"reset":        cloud.Reset{},
	} {
		t.Run(name, func(t *testing.T) {
			n := podNode(t)
			n.cloud.Faults.First(1, "entra", "", fault)
			n.cloud.Faults.First(1, "acr", "", fault)
			n.ask(n.pod(shop, podAudience, time.Hour).question(annotated...)).wantCredential(registry, appID)
			n.wantCalls(askEntra, askEntra, askExchange, askExchange)
		})
	}
}
