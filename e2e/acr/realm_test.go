package acr_test

import (
	"net/netip"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
)

// A registry says where its tokens are. Nobody asks it: the place is known, and
// what it says could be anybody's.
func TestARegistryIsNotAskedWhereItsTokensAre(t *testing.T) {
	t.Parallel()
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
	if asked := n.Cloud.Calls.Count("acr", "GetChallenge") + n.Cloud.Calls.Count("acr", "GetOther"); asked != 0 {
		t.Errorf("asked %d times", asked)
	}
}

// Each registry gets the token that was asked for it, over TLS, as itself.
func TestARegistryWithAnotherCertificateIsNotTrusted(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	authority, err := cloud.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddr("192.0.2.62")
	n.azure.AddRegistry(azure.Registry{Hosts: []string{"fake.azurecr.io"}, Roles: pullers(tenant, system.ClientID)})
	if err := n.Cloud.ServeTLSOf(authority, address, n.azure.ACR(), "fake.azurecr.io"); err != nil {
		t.Fatal(err)
	}
	if err := n.Cloud.AddHosts(address, "fake.azurecr.io"); err != nil {
		t.Fatal(err)
	}
	n.ask(question{Image: "fake.azurecr.io/app"}).WantFailure(1, "fake.azurecr.io", "x509", "--ca-file")
	n.WantCalls(askIMDS)
}
