package node_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/oidc"
)

// vendor is a cloud and its plugin. A plugin is added to all tests by a row of
// vendors.
type vendor struct {
	plugin     string // name of the binary
	nodeSample string // configuration that gives pods the node's credentials
	podsSample string // configuration that gives pods their own
	everybody  string // in it, what gives an identity to service accounts that name none
	page       string // documentation with the objects that the cluster needs
	place      func(c *cloud.Cloud) (account, error)
}

var vendors = []vendor{
	{
		plugin:     "ecr-credential-provider",
		nodeSample: cloudtest.Path("plugins", "ecr", "node.yaml"),
		podsSample: cloudtest.Path("plugins", "ecr", "pods.yaml"),
		page:       cloudtest.Path("docs", "ecr.md"),
		place:      placeECR,
	},
	{
		plugin:     "gcr-credential-provider",
		nodeSample: cloudtest.Path("plugins", "gcr", "node.yaml"),
		podsSample: cloudtest.Path("plugins", "gcr", "pods.yaml"),
		everybody:  "  - --workload-identity-provider=" + gcrProviderName + "\n",
		page:       cloudtest.Path("docs", "gcr.md"),
		place:      placeGCR,
	},
	{
		plugin:     "acr-credential-provider",
		nodeSample: cloudtest.Path("plugins", "acr", "node.yaml"),
		podsSample: cloudtest.Path("plugins", "acr", "pods.yaml"),
		page:       cloudtest.Path("docs", "acr.md"),
		place:      placeACR,
	},
}

// forEachVendor runs a test once for every plugin.
func forEachVendor(t *testing.T, test func(t *testing.T, v vendor)) {
	for _, vendor := range vendors {
		t.Run(vendor.plugin, func(t *testing.T) { test(t, vendor) })
	}
}

// account is what a fake cloud has to let the cases say, in words that fit
// every cloud.
type account interface {
	// registry returns the host of a registry. For each number it is another
	// one, for which the kubelet runs the plugin anew.
	registry(number int) string
	// lookAlike returns a host that is not the cloud's and looks like it.
	lookAlike() string
	// public is an image that the cloud's registry gives to everybody, and
	// about which the plugin is asked. AsNode says whether the node has a
	// credential for it all the same.
	public(name string) (image string, asNode bool)

	// nodeMayRead lets the node's identity read an image's repository.
	nodeMayRead(image string)
	// workload makes an identity that a service account may use, and returns
	// the annotations which say that it does.
	workload(namespace, name string) map[string]string
	// workloadMayRead lets that identity read an image's repository.
	workloadMayRead(namespace, name, image string)
	// refusal is what a registry says to that identity when it may not read.
	refusal(namespace, name string) string

	// issuer is the cluster that the cloud trusts.
	issuer() *oidc.Issuer
	// fetches counts how often a registry credential was asked for.
	fetches() int
	// tokensLive sets how long credentials live from now on; zero: as long as
	// the cloud's do.
	tokensLive(life time.Duration)
	// slowDown delays every fetch.
	slowDown(faults *cloud.Faults, delay time.Duration)
	// goDown lets every call of every API fail until the faults are cleared.
	goDown(faults *cloud.Faults)
	// loseIdentity takes the node's identity away until regainIdentity, and
	// returns what the plugin's one line has to say of it.
	loseIdentity() (says []string)
	regainIdentity()
}
