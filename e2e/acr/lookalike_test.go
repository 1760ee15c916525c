package acr_test

import (
	"strings"
	"testing"
	"time"
)

// notLoginServers are hosts of others, many of them made to be taken for a
// login server, and Azure's hosts that are none.
var notLoginServers = []string{
	"registry.k8s.io", "docker.io", "gcr.io", "quay.io", "us-docker.pkg.dev", "public.ecr.aws",
	"localhost:5000", "169.254.169.254", "login.microsoftonline.com", "management.azure.com",

	// Azure's, but no login server.
	"mcr.microsoft.com", "azurecr.io", "myregistry.eastus.data.azurecr.io", "myregistry.privatelink.azurecr.io",
	"myregistry.eastus.azurecr.io", "eus.azurecr.io.windows.net", "account.blob.core.windows.net",
	// Not at the port of one.
	"myregistry.azurecr.io:80", "myregistry.azurecr.io:5000", "myregistry.azurecr.io:8443",
	// Of a depth that there is not.
	"a.b.azurecr.io", "a.b.c.geo.azurecr.io", "geo.azurecr.io.geo.azurecr.io", "eastus.geo.azurecr.io", "a.eastus.ge0.azurecr.io",

	"evilazurecr.io", "foo.evilazurecr.io", "foo.azurecr.io.evil.com", "azurecr.io.evil", "foo.azurecr.io.azurecr.cn",
	"foo.azurecr.com", "foo.azurecr.iox", "foo.azurecr-io.com", "foo-azurecr.io", "foo.eastus.geo.evil.io", "foo.eastus.geo.evilazurecr.io",
	"mcr.microsoft.com.evil.com", "mcr.microsoft.community", "xn--zurecr-pta.io",
	strings.Repeat("a", 64) + ".azurecr.io",

	// Closed, or not configured.
	"foo.azurecr.de", "foo.azurecr.my.cloud",
}

// In the vendor's plugin foo.azurecr.io.evil.com gets a token of
// foo.azurecr.io, and evilazurecr.io is sent the node's Entra token.
func TestWhatIsNoLoginServerGetsNothingAndCausesNoCall(t *testing.T) {
	n := bootNode(t)
	for _, host := range append(notLoginServers, "nginx", "library/nginx") {
		t.Run(host, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: host + "/app"}).wantNothing()
			n.wantCalls()
		})
	}
}

// A pod's token goes to no one else's registry either, nor with an identity
// binding, which the vendor's plugin would ask for any image.
func TestWhatIsNoLoginServerGetsNoPodsTokenEither(t *testing.T) {
	n := bootNode(t)
	n.trust(appID, shop)
	p := n.pod(shop, podAudience, time.Hour)
	bindings := n.bind()
	for _, host := range []string{"foo.azurecr.io.evil.com", "evilazurecr.io", "myregistry.azurecr.io:5000", "mcr.microsoft.com", "registry.k8s.io"} {
		for _, args := range [][]string{nil, bindings} {
			q := p.question(clientAnnotation, appID, tenantAnnotation, tenant).with(args...)
			q.Image = host + "/app"
			n.ask(q).wantNothing()
		}
	}
	n.wantCalls()
}

// What no container runtime can pull is no question for Azure.
func TestWhatIsNoReferenceIsRefusedWithoutACall(t *testing.T) {
	n := bootNode(t)
	for _, image := range []string{
		"foo.azurecr.io./app", ".azurecr.io/app", "-foo.azurecr.io/app", "foo-.azurecr.io/app", "foo_bar.azurecr.io/app", "foo..geo.azurecr.io/app",
		"user@foo.azurecr.io/app", "foo.azurecr.io@evil.com/app", "https://foo.azurecr.io/app", "foo.azurecr.io%2eevil.com/app", "foo.azurecr.io/App",
		"foo.аzurecr.io/app", // Cyrillic
	} {
		t.Run(image, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: image}).wantFailure(1, "image reference")
			n.wantCalls()
		})
	}
}
