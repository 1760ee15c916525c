package acr_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
)

const proxyURL = "http://192.0.2.3:3128"

// A proxy is for the way out of the node. Whoever runs it must not see what the
// machine's own services say. The vendor's plugin sends the question for the
// node's token through it.
func TestOnlyEntraAndRegistriesAreAskedThroughAProxy(t *testing.T) {
	throughProxy := func(host string) calls { return calls{"proxy CONNECT " + host + ":443"} }
	for _, test := range []struct {
		name string
		ask  func(n *node) question
		want string
		asks []calls
	}{
		{"machine", func(*node) question { return question{Image: image} }, system.ClientID,
			[]calls{askIMDS, throughProxy(registry), askExchange}},
		{"machine of Azure Arc", func(n *node) question {
			n.azure.Configure(func(s *azure.Settings) { s.Arc.InstanceSettings = azure.InstanceSettings{System: &system} })
			if err := n.azure.PlaceArc(n.cloud); err != nil {
				n.t.Fatal(err)
			}
			return question{Image: image, Args: []string{"--credential=azure-arc"}}
		}, system.ClientID, []calls{askArc, throughProxy(registry), askExchange}},
		{"app", func(n *node) question { return question{Image: image, Args: n.asApp()} }, appID,
			[]calls{throughProxy(entraAPI), askEntra, throughProxy(registry), askExchange}},
		{"pod", func(n *node) question {
			n.trust(appID, shop)
			return n.pod(shop, podAudience, time.Hour).question(annotated...)
		}, appID, []calls{throughProxy(entraAPI), askEntra, throughProxy(registry), askExchange}},
		{"exempt hosts", func(n *node) question {
			return question{Image: image, Args: n.asApp(), Env: []string{"NO_PROXY=.azurecr.io,login.microsoftonline.com"}}
		}, appID, []calls{askEntra, askExchange}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			n.serve(registry, system.ClientID, appID)
			if err := n.cloud.ServeProxy(netip.MustParseAddrPort("192.0.2.3:3128")); err != nil {
				t.Fatal(err)
			}
			q := test.ask(n)
			q.Env = slices.Concat(q.Env, []string{
				"HTTPS_PROXY=" + proxyURL, "HTTP_PROXY=" + proxyURL, "https_proxy=" + proxyURL, "http_proxy=" + proxyURL, "ALL_PROXY=" + proxyURL,
			})
			n.ask(q).wantCredential(registry, test.want)
			n.wantCalls(test.asks...)
		})
	}
}

func TestAProxyThatIsNotThereIsNamed(t *testing.T) {
	n := bootNode(t)
	n.ask(question{Image: image, Env: []string{"HTTPS_PROXY=http://192.0.2.30:3128"}}).
		wantFailure(1, registry, "192.0.2.30:3128", "connection refused", "proxy")
}

func TestTheOperatorsAuthorityIsTrusted(t *testing.T) {
	n := bootNode(t)
	n.serve(registry, appID)
	q := question{Image: image, Args: append(n.asApp(), "--cache-dir="), Env: []string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"}}
	n.ask(q).wantFailure(1, entraAPI, "x509: certificate signed by unknown authority", "--ca-file")
	n.ask(q.with("--ca-file", n.file(string(n.cloud.Authority.PEM())))).wantCredential(registry, appID)
	// Bindings have an authority of their own, and no other.
	n.trust(appID, shop)
	n.azure.Bind(appID, shop.Subject())
	bound := n.pod(shop, azure.BindingAudience, time.Hour).question(clientAnnotation, appID).with(n.bind()...)
	bound.Env = q.Env
	n.ask(bound.with("--ca-file", n.file(string(n.cloud.Authority.PEM())))).wantCredential(registry, appID)
}
