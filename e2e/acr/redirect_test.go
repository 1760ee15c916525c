package acr_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
)

// elsewhere is what somebody may send the plugin to, with what the plugin has in
// its hands: a token, a secret, an assertion.
const elsewhere = "evil.example"

// redirected answers every request with a redirect that keeps method and body.
func redirected(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "https://"+elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
}

// What is in a token service's place may send the plugin elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	// All of the machine's own are asked over plain HTTP.
	plain := func(address string) func(*testing.T, *cloud.Cloud) {
		return func(t *testing.T, c *cloud.Cloud) {
			if err := c.Serve(netip.MustParseAddrPort(address), http.HandlerFunc(redirected)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tls := func(name string) func(*testing.T, *cloud.Cloud) {
		return func(t *testing.T, c *cloud.Cloud) {
			if err := c.ServeTLS(netip.MustParseAddr("192.0.2.60"), http.HandlerFunc(redirected), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		place func(*testing.T, *cloud.Cloud)
		ask   func(n *node) question
		says  string
	}{
		{"the machine's service", plain("169.254.169.254:80"), func(*node) question { return question{Image: image} }, imdsAPI},
		{"the agent of Azure Arc", plain("127.0.0.1:40342"), func(*node) question {
			return question{Image: image, Args: []string{"--credential=azure-arc"}}
		}, "127.0.0.1:40342"},
		{"Entra", tls("login.example"), func(n *node) question {
			return question{Image: image, Args: append(n.asApp(), "--authority=https://login.example")}
		}, "login.example"},
		{"the registry", tls("moved.azurecr.io"), func(n *node) question {
			return question{Image: "moved.azurecr.io/app", Args: n.asApp()}
		}, "moved.azurecr.io"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootOutside(t)
			followed := 0
			stranger := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed++ })
			if err := n.cloud.ServeTLS(netip.MustParseAddr("192.0.2.61"), stranger, elsewhere); err != nil {
				t.Fatal(err)
			}
			test.place(t, n.cloud)
			n.ask(test.ask(n)).wantFailure(1, test.says, "status 307")
			if followed != 0 {
				t.Error("the redirect was followed")
			}
		})
	}
}

// A registry says where its tokens are. Nobody asks it: the place is known, and
// what it says could be anybody's.
func TestARegistryIsNotAskedWhereItsTokensAre(t *testing.T) {
	n := bootNode(t)
	n.trust(appID, shop)
	n.serve(registry, system.ClientID, appID)
	for _, q := range []question{
		{Image: image},
		{Image: image, Args: []string{"--scope=repository"}},
		n.pod(shop, podAudience, time.Hour).question(annotated...),
	} {
		n.ask(q).Response()
	}
	if asked := n.cloud.Calls.Count("acr", "GetChallenge") + n.cloud.Calls.Count("acr", "GetOther"); asked != 0 {
		t.Errorf("asked %d times", asked)
	}
}

// Each registry gets the token that was asked for it, over TLS, as itself.
func TestARegistryWithAnotherCertificateIsNotTrusted(t *testing.T) {
	n := bootNode(t)
	authority, err := cloud.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddr("192.0.2.62")
	n.azure.AddRegistry(azure.Registry{Hosts: []string{"fake.azurecr.io"}, Roles: pullers(tenant, system.ClientID)})
	if err := n.cloud.ServeTLSOf(authority, address, n.azure.ACR(), "fake.azurecr.io"); err != nil {
		t.Fatal(err)
	}
	if err := n.cloud.AddHosts(address, "fake.azurecr.io"); err != nil {
		t.Fatal(err)
	}
	n.ask(question{Image: "fake.azurecr.io/app"}).wantFailure(1, "fake.azurecr.io", "x509", "--ca-file")
	n.wantCalls(askIMDS)
}
