package gcr_test

import (
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud/gcp"
)

const (
	berlin         = "apis-berlin-build0.goog"
	berlinRegistry = "docker.pkg-berlin-build0.goog"
)

// A universe is a cloud like Google's with another operator. Its registries
// are answered for where the operator says that the node is in it.
func TestTheRegistriesOfAConfiguredUniverse(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]question{
		"flag":     {Args: []string{"--universe-domain", berlin}},
		"variable": {Env: []string{"GOOGLE_CLOUD_UNIVERSE_DOMAIN=" + berlin}},
		"file":     {Args: []string{"--config", configFile(t, "universeDomain: "+berlin+"\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Universe = berlin })
			q.Image = berlinRegistry + "/eu0/project/repo/app"
			token := n.ask(q).wantCredential(berlinRegistry, gcp.Account(nodeAccount))
			if token.Universe != berlin {
				t.Errorf("a token of %s", token.Universe)
			}
			q.Image = "u-germany-northeast1-docker.pkg-berlin-build0.goog/eu0/project/repo/app"
			n.ask(q).wantCredential("u-germany-northeast1-docker.pkg-berlin-build0.goog", gcp.Account(nodeAccount))
			if asked := n.Cloud.Calls.Count("metadata", "GetToken"); asked != 1 {
				t.Errorf("%d tokens were asked for, want 1", asked)
			}

			// And Google's own are not, nor those of other universes.
			n.Cloud.Calls.Reset()
			for _, host := range []string{registry, "gcr.io", "docker.s3nsregistry.fr", "docker.pkg-tpczero.goog"} {
				q.Image = host + "/project/repo/app"
				n.ask(q).wantNothing()
			}
			n.WantCalls()
		})
	}
}

// The operator's word is not enough: a token of Google Cloud would be handed
// to somebody else's registry.
func TestATokenOfAnotherUniverseIsNotHandedOut(t *testing.T) {
	t.Parallel()
	for name, universe := range map[string]struct{ node, configured, host string }{
		"a node of Google Cloud":                {"", berlin, berlinRegistry},
		"a node of another universe":            {"s3nsapis.fr", berlin, berlinRegistry},
		"a node of a universe that is not said": {berlin, "googleapis.com", registry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Universe = universe.node })
			q := question{Image: universe.host + "/project/repo/app", Args: []string{"--universe-domain", universe.configured}}
			n.ask(q).WantFailure(1, "universe", "--universe-domain")
		})
	}
}

// A pod's token is for the STS of the universe whose registry is pulled from,
// and not for Google's.
func TestAPodsTokenStaysInItsUniverse(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	if err := n.gcp.PlaceAPIs(n.Cloud, berlin); err != nil {
		t.Fatal(err)
	}
	n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: []gcp.Principal{ownPrincipal(shop)}})
	q := n.pod(shop, wifAudience, time.Hour).question(berlinRegistry+"/eu0/project/repo/app", slices.Concat(wifArgs, []string{"--universe-domain", berlin})...)
	n.ask(q).wantCredential(berlinRegistry, ownPrincipal(shop))
	n.WantCalls(calls{"sts ExchangeToken sts." + berlin})
	n.ask(q.annotated(accountAnnotation, pullAccount)).wantCredential(berlinRegistry, gcp.Account(pullAccount))
	n.WantCalls(calls{"iamcredentials GenerateAccessToken iamcredentials." + berlin})
}
