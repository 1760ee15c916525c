package gcr_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

var metadataAddress = netip.MustParseAddr(metadataAPI)

// A proxy is for the way out of the node. Whoever runs it must not see what
// the metadata server says. The plugin of kubernetes/cloud-provider-gcp sends
// the question for the node's token through it.
func TestOnlyTheAPIsAreAskedThroughAProxy(t *testing.T) {
	const proxyURL = "http://192.0.2.3:3128"
	throughProxy := func(host string) calls { return calls{"proxy CONNECT " + host + ":443"} }

	for _, test := range []struct {
		name string
		ask  func(n *node) (q question, principal gcp.Principal)
		asks []calls
	}{
		{"node", func(*node) (question, gcp.Principal) {
			return question{Image: registry + "/p/r/app"}, gcp.Account(nodeAccount)
		}, []calls{askMetadata}},
		{"node, by name", func(*node) (question, gcp.Principal) {
			return question{Image: registry + "/p/r/app", Env: []string{"GCE_METADATA_HOST=metadata.google.internal"}}, gcp.Account(nodeAccount)
		}, []calls{askMetadataAt("metadata.google.internal")}},
		{"pod", func(n *node) (question, gcp.Principal) {
			return n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...), ownPrincipal(shop)
		}, []calls{throughProxy(stsAPI), askSTS}},
		{"pod that impersonates", func(n *node) (question, gcp.Principal) {
			n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: []gcp.Principal{ownPrincipal(shop)}})
			q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
			return q.annotated(accountAnnotation, pullAccount), gcp.Account(pullAccount)
		}, []calls{throughProxy(stsAPI), askSTS, throughProxy(credentialsAPI), askCredentials}},
		{"key", func(n *node) (question, gcp.Principal) {
			return question{Image: registry + "/p/r/app", Args: []string{"--credentials-file", n.keyFile(pullAccount)}}, gcp.Account(pullAccount)
		}, []calls{throughProxy(tokenAPI), askOAuth2}},
		{"exempt host", func(n *node) (question, gcp.Principal) {
			q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
			q.Env = []string{"NO_PROXY=.googleapis.com"}
			return q, ownPrincipal(shop)
		}, []calls{askSTS}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			if err := n.cloud.ServeProxy(netip.MustParseAddrPort("192.0.2.3:3128")); err != nil {
				t.Fatal(err)
			}
			q, principal := test.ask(n)
			q.Env = slices.Concat(q.Env, []string{
				"HTTPS_PROXY=" + proxyURL, "HTTP_PROXY=" + proxyURL, "https_proxy=" + proxyURL, "http_proxy=" + proxyURL, "ALL_PROXY=" + proxyURL,
			})
			n.ask(q).wantCredential(registry, principal)
			n.wantCalls(test.asks...)
		})
	}
}

func TestAProxyThatIsNotThereIsNamed(t *testing.T) {
	n := bootNode(t)
	q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
	q.Env = []string{"HTTPS_PROXY=http://192.0.2.20:3128"}
	n.ask(q).wantFailure(1, stsAPI, "192.0.2.20:3128", "connection refused", "proxy")
}

func TestTheOperatorsAuthorityIsTrusted(t *testing.T) {
	n := bootNode(t)
	q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
	q.Env = []string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"}
	q.Args = append(q.Args, "--cache-dir=")
	n.ask(q).wantFailure(1, stsAPI, "x509: certificate signed by unknown authority", "--ca-file")
	q.Args = append(q.Args, "--ca-file", cloudtest.File(t, string(n.cloud.Authority.PEM())))
	n.ask(q).wantCredential(registry, ownPrincipal(shop))
}
