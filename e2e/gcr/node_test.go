package gcr_test

import (
	"testing"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

const (
	registry    = "us-docker.pkg.dev"
	nodeAccount = gcp.NodeAccount

	metadataAPI    = "169.254.169.254"
	stsAPI         = "sts.googleapis.com"
	credentialsAPI = "iamcredentials.googleapis.com"
	tokenAPI       = "oauth2.googleapis.com"
)

// node is a machine that has just booted: nothing is cached.
type node struct {
	cloudtest.Runner
	gcp *gcp.Fake
}

// bootNode starts a virtual machine of Google Cloud that lives as long as the
// test. Its service account has the scopes that a node gets by default.
func bootNode(t *testing.T) *node {
	t.Helper()
	n := bootOutside(t)
	if err := n.gcp.PlaceMetadata(n.Cloud); err != nil {
		t.Fatal(err)
	}
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = nodeAccount })
	return n
}

// bootOutside starts a machine that reaches Google Cloud's APIs and is not in
// it.
func bootOutside(t *testing.T) *node {
	t.Helper()
	c := cloudtest.Apart(t)
	n := &node{Runner: cloudtest.Runner{T: t, Cloud: c, Plugin: plugin}, gcp: gcp.New(c.Calls, c.Faults)}
	if err := n.gcp.PlaceAPIs(c, "googleapis.com"); err != nil {
		t.Fatal(err)
	}
	return n
}

// in is the node as a subtest sees it.
func (n *node) in(t *testing.T) *node {
	inner := *n
	inner.T = t
	return &inner
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

// summaries says who asked for what in the calls of one service.
func (n *node) summaries(service string) []string {
	return cloudtest.Summaries(n.Cloud, service, "")
}
