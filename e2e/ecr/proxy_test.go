package ecr_test

import (
	"net/netip"
	"slices"
	"testing"

	"regcred/e2e/cloud/aws"
)

// A proxy is for the way out of the node. Whoever runs it must see neither
// what the metadata service says nor what the container endpoint does.
func TestOnlyTheAPIsAreAskedThroughAProxy(t *testing.T) {
	const proxyURL = "http://192.0.2.3:3128"
	proxied := []string{"HTTPS_PROXY=" + proxyURL, "HTTP_PROXY=" + proxyURL}
	throughProxy := func(host string) calls { return calls{"proxy CONNECT " + host + ":443"} }

	for _, test := range []struct {
		name string
		ask  func(n *node) (q question, principal string)
		asks []calls
	}{
		{"node", func(*node) (question, string) {
			return question{Image: registry + "/app"}, nodeRole
		}, []calls{askIMDS, throughProxy(ecrAPI), askECR(ecrAPI)}},
		{"pod", func(n *node) (question, string) {
			n.addRole(shopRole, shop)
			return n.pod(shop).question(registry + "/app").as(shopRole), shopRole
		}, []calls{throughProxy(stsAPI), askSTS("AssumeRoleWithWebIdentity", stsAPI), throughProxy(ecrAPI), askECR(ecrAPI)}},
		{"container credentials", func(n *node) (question, string) {
			n.aws.Configure(func(s *aws.Settings) {
				s.Container = aws.ContainerSettings{Role: nodeRole, Authorization: "let-me-in"}
			})
			return question{Image: registry + "/app", Env: []string{
				"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials",
				"AWS_CONTAINER_AUTHORIZATION_TOKEN=let-me-in",
			}}, nodeRole
		}, []calls{{"container GetCredentials 169.254.170.23"}, throughProxy(ecrAPI), askECR(ecrAPI)}},
		{"exempt host", func(*node) (question, string) {
			return question{Image: registry + "/app", Env: []string{"NO_PROXY=.amazonaws.com"}}, nodeRole
		}, []calls{askIMDS, askECR(ecrAPI)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			if err := n.cloud.ServeProxy(netip.MustParseAddrPort("192.0.2.3:3128")); err != nil {
				t.Fatal(err)
			}
			q, principal := test.ask(n)
			q.Env = slices.Concat(q.Env, proxied)
			n.ask(q).wantCredential(registry, principal)
			n.wantCalls(test.asks...)
		})
	}
}

func TestAProxyThatIsNotThereIsNamed(t *testing.T) {
	n := bootNode(t)
	n.ask(question{Image: registry + "/app", Env: []string{"HTTPS_PROXY=http://192.0.2.10:3128"}}).
		wantFailure(1, "ecr: GetAuthorizationToken at "+ecrAPI, "192.0.2.10:3128", "connection refused", "proxy")
}
