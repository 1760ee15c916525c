package acr_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// bindingNode is a node of a cluster in which pods of a service account are
// bound to an identity that may pull.
func bindingNode(t *testing.T) (n *node, args []string) {
	t.Helper()
	n = bootNode(t)
	n.serve(registry, system.ClientID, pull.ClientID, other.ClientID)
	n.azure.Bind(pull.ClientID, shop.Subject())
	return n, n.bind()
}

func TestAPodPullsAsTheIdentityThatItIsBoundTo(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	p := n.pod(shop, azure.BindingAudience, time.Hour)
	for _, q := range []question{
		p.question(clientAnnotation, pull.ClientID).with(args...),
		p.question(clientAnnotation, pull.ClientID).with(args...),
		// By default, also where the annotation is there and empty.
		p.question().with(args...).with("--ib-default-client-id", pull.ClientID),
		p.question(clientAnnotation, "").with(args...).with("--ib-default-client-id", pull.ClientID),
		// AKS's own command line, on a node that has a service principal.
		p.question().with(args...).with("--ib-default-client-id", pull.ClientID, azureJSON(t, map[string]any{
			"tenantId": nil, "useManagedIdentityExtension": false, "aadClientId": appID, "aadClientSecret": "x",
		})),
	} {
		n.ask(q).wantCredential(registry, pull.ClientID)
	}
	n.WantCalls(askBinding, askExchange)
}

// What a pod names goes before what the node has for all.
func TestTheAnnotationGoesBeforeTheDefault(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	n.azure.Bind(other.ClientID, shop.Subject())
	q := n.pod(shop, azure.BindingAudience, time.Hour).question(clientAnnotation, other.ClientID).with(args...)
	n.ask(q.with("--ib-default-client-id", pull.ClientID)).wantCredential(registry, other.ClientID)
}

func TestTheTenantOfABindingIsTold(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	p := n.pod(shop, azure.BindingAudience, time.Hour)
	for tenants, q := range map[string]question{
		tenant: p.question(clientAnnotation, pull.ClientID).with(args...).with("--ib-default-tenant-id", tenant),
		"contoso.onmicrosoft.com": p.question(clientAnnotation, pull.ClientID, tenantAnnotation, "contoso.onmicrosoft.com").
			with(args...).with("--ib-default-tenant-id", abroad),
	} {
		n.ask(q).wantCredential(registry, pull.ClientID)
		if asked := cloudtest.Summaries(n.Cloud, "acr", ""); len(asked) != 1 || asked[0] != pull.ClientID+" in "+tenant+`, tenant "`+tenants+`"` {
			t.Errorf("the registry was asked %q, want it to be told of %s", asked, tenants)
		}
		n.Cloud.Calls.Reset()
	}
}

// Two pods that name the same identity have each to be bound to it.
func TestBoundPodsDoNotShare(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	ask := func(p pod) answer { return n.ask(p.question(clientAnnotation, pull.ClientID).with(args...)) }
	first := ask(n.pod(shop, azure.BindingAudience, time.Hour)).wantCredential(registry, pull.ClientID)
	n.WantCalls(askBinding, askExchange)
	ask(n.pod(batch, azure.BindingAudience, time.Hour)).WantFailure(1, "jobs/batch", "status 403", pull.ClientID, bindingSNI)
	n.WantCalls(askBinding)
	n.azure.Bind(pull.ClientID, shop.Subject(), batch.Subject())
	cloudtest.Purge(t, n.Cloud)
	second := ask(n.pod(batch, azure.BindingAudience, time.Hour)).wantCredential(registry, pull.ClientID)
	if second.password == first.password {
		t.Error("two service accounts have one token")
	}
}

// A static pod has no token. The vendor's plugin fails as well.
func TestWithoutATokenABindingIsAnErrorUnlessTheNodesIdentityIsAllowed(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	args = append(args, "--ib-default-client-id", pull.ClientID)
	q := question{Image: image, Args: args}
	n.ask(q).WantFailure(1, registry, "service account token", "static pods", "--node-fallback")
	n.WantCalls()
	n.ask(q.with("--node-fallback")).wantCredential(registry, system.ClientID)
	n.WantCalls(askNode)
	q.Image = "registry.k8s.io/pause"
	n.ask(q).wantNothing()
}

func TestAPodThatIsBoundToNobodyIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		audience string
		fault    cloud.Fault
		says     []string
	}{
		{"a token for Entra", podAudience, nil, []string{"401", azure.BindingAudience}},
		{"forbidden", azure.BindingAudience, cloud.Refusal{Status: http.StatusForbidden, Code: "access_denied"}, []string{"403"}},
		{"out of order", azure.BindingAudience, cloud.Refusal{Status: http.StatusServiceUnavailable}, []string{"503"}},
		{"a page instead of JSON", azure.BindingAudience, cloud.NotJSON, nil},
		{"a redirect", azure.BindingAudience, cloud.Refusal{Status: http.StatusFound}, []string{"302"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n, args := bindingNode(t)
			if test.fault != nil {
				n.Cloud.Faults.Always("identitybinding", "", test.fault)
			}
			q := n.pod(shop, test.audience, time.Hour).question(clientAnnotation, pull.ClientID).with(args...).with("--node-fallback")
			n.ask(q).WantFailure(1, append(test.says, registry, bindingSNI, "shop/web", pull.ClientID)...)
			if asked := n.Cloud.Calls.Count("imds", "") + n.Cloud.Calls.Count("entra", ""); asked != 0 {
				t.Errorf("others were asked %d times", asked)
			}
		})
	}
	t.Run("nobody at all", func(t *testing.T) {
		t.Parallel()
		n, args := bindingNode(t)
		q := n.pod(shop, azure.BindingAudience, time.Hour).question().with(args...)
		n.ask(q).WantFailure(1, "shop/web", clientAnnotation, "--ib-default-client-id")
		n.WantCalls()
	})
}

// A binding is of the cluster's own cloud. A registry of another one is pulled
// from as the node or not at all.
func TestABindingIsOfTheClustersOwnCloud(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	china, _ := n.sovereign(azure.China, "example.azurecr.cn")
	config := configFile(t, "registries:\n  example.azurecr.cn:\n    cloud: AzureChinaCloud\n    credential: client-secret\n    tenantID: "+sovereignTenant+
		"\n    clientID: "+appID+"\n    clientSecretFile: "+china.Args[len(china.Args)-1]+"\n")
	q := n.pod(shop, azure.BindingAudience, time.Hour).question().with(args...).with("--config", config, "--node-fallback")
	q.Image = "example.azurecr.cn/" + repository
	n.ask(q).wantCredentialOf("example.azurecr.cn", sovereignApp)
	n.WantCalls(askEntraAt("login.chinacloudapi.cn"), askExchangeAt("example.azurecr.cn"))
	n.ask(q.with("--ib-default-client-id", pull.ClientID)).WantFailure(1, "shop/web", "AzureChinaCloud", "AzurePublicCloud", "identity bindings")
	n.WantCalls()
}

// The server is at the API server's address whatever its name resolves to, is
// known by its certificate alone, and is not reached through a proxy.
func TestTheServerOfBindingsIsPinned(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	if err := n.Cloud.ServeProxy(netip.MustParseAddrPort("192.0.2.3:3128")); err != nil {
		t.Fatal(err)
	}
	// What the name resolves to is not asked: nobody listens there.
	if err := n.Cloud.AddHosts(netip.MustParseAddr("192.0.2.66"), bindingSNI); err != nil {
		t.Fatal(err)
	}
	q := n.pod(shop, azure.BindingAudience, time.Hour).question(clientAnnotation, pull.ClientID).with(args...)
	q.Env = []string{"HTTPS_PROXY=http://192.0.2.3:3128", "NO_PROXY=azurecr.io"}
	n.ask(q).wantCredential(registry, pull.ClientID)
	n.WantCalls(askBinding, askExchange)
}

func TestTheServerOfBindingsMayHaveAName(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	if err := n.Cloud.AddHosts(netip.MustParseAddr(bindingIP), "api.cluster.example"); err != nil {
		t.Fatal(err)
	}
	args[3] = "api.cluster.example"
	q := n.pod(shop, azure.BindingAudience, time.Hour).question(clientAnnotation, pull.ClientID).with(args...)
	n.ask(q).wantCredential(registry, pull.ClientID)
	n.WantCalls(askBinding, askExchange)
}

// The system's authorities have no say there, and the cluster's none elsewhere.
func TestOnlyTheClustersAuthorityIsTrustedForBindings(t *testing.T) {
	t.Parallel()
	n, args := bindingNode(t)
	q := n.pod(shop, azure.BindingAudience, time.Hour).question(clientAnnotation, pull.ClientID)
	args[5] = cloudtest.File(t, string(n.Cloud.Authority.PEM()))
	n.ask(q.with(args...)).WantFailure(1, bindingSNI, "x509", "--ib-ca-file")
	n.WantCalls()
	args[5] = "/nonexistent/ca.crt"
	n.ask(q.with(args...).with("--cache-dir=")).WantFailure(1, "/nonexistent/ca.crt")
	n.WantCalls()
}
