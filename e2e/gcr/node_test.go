package gcr_test

import (
	"os"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

const (
	registry    = "us-docker.pkg.dev"
	nodeAccount = "node@example-project.iam.gserviceaccount.com"

	metadataAPI    = "169.254.169.254"
	stsAPI         = "sts.googleapis.com"
	credentialsAPI = "iamcredentials.googleapis.com"
	tokenAPI       = "oauth2.googleapis.com"
)

// node is a machine that has just booted: nothing is cached.
type node struct {
	t     *testing.T
	cloud *cloud.Cloud
	gcp   *gcp.Fake
}

// bootNode starts a virtual machine of Google Cloud that lives as long as the
// test. Its service account has the scopes that a node gets by default.
func bootNode(t *testing.T) *node {
	t.Helper()
	n := bootOutside(t)
	if err := n.gcp.PlaceMetadata(n.cloud); err != nil {
		t.Fatal(err)
	}
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = nodeAccount })
	return n
}

// bootOutside starts a machine that reaches Google Cloud's APIs and is not in
// it.
func bootOutside(t *testing.T) *node {
	t.Helper()
	// Go repeats a test's old result unless a file that the test looked at
	// has changed.
	if _, err := os.Stat(plugin); err != nil {
		t.Fatal(err)
	}
	c := cloudtest.New(t)
	n := &node{t: t, cloud: c, gcp: gcp.New(c.Calls, c.Faults)}
	n.gcp.Issuer = cluster
	if err := n.gcp.PlaceAPIs(c, "googleapis.com"); err != nil {
		t.Fatal(err)
	}
	return n
}

// in is the node as a subtest sees it.
func (n *node) in(t *testing.T) *node {
	return &node{t: t, cloud: n.cloud, gcp: n.gcp}
}

// calls is what the cloud was asked, in order: "SERVICE OPERATION HOST".
type calls = cloudtest.Calls

var (
	// askMetadata is what it takes to get the node's token, and to know that
	// the registries of the universe accept it.
	askMetadata = askMetadataAt(metadataAPI)
	// askSTS is one exchange of a pod's token.
	askSTS = calls{"sts ExchangeToken " + stsAPI}
	// askCredentials is one impersonation of a Google service account.
	askCredentials = calls{"iamcredentials GenerateAccessToken " + credentialsAPI}
	// askOAuth2 is one signed assertion for a token.
	askOAuth2 = calls{"oauth2 GrantToken " + tokenAPI}
	// askAttribute is one question for an attribute of the instance.
	askAttribute = calls{"metadata GetAttribute " + metadataAPI}
)

// askMetadataAt is askMetadata where the server has another name.
func askMetadataAt(host string) calls {
	return calls{"metadata GetToken " + host, "metadata GetUniverse " + host, "metadata GetScopes " + host}
}

// wantCalls fails the test unless the cloud was asked exactly that since the
// last time.
func (n *node) wantCalls(want ...calls) {
	n.t.Helper()
	cloudtest.WantCalls(n.t, n.cloud, want...)
}

// summaries says who asked for what in the calls of one service.
func (n *node) summaries(service string) []string {
	return cloudtest.Summaries(n.cloud, service, "")
}
