package gcr_test

import (
	"net/netip"
	"testing"

	"regcred/e2e/cloud/gcp"
)

var metadataAddress = netip.MustParseAddr(metadataAPI)

// A name of the metadata server is as little a proxy's business as its address.
func TestTheMetadataServersNameIsNotAskedThroughAProxy(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	const proxyURL = "http://192.0.2.3:3128"
	if err := n.Cloud.ServeProxy(netip.MustParseAddrPort("192.0.2.3:3128")); err != nil {
		t.Fatal(err)
	}
	q := question{Image: registry + "/p/r/app", Env: []string{
		"GCE_METADATA_HOST=metadata.google.internal", "HTTPS_PROXY=" + proxyURL, "HTTP_PROXY=" + proxyURL, "http_proxy=" + proxyURL, "ALL_PROXY=" + proxyURL,
	}}
	n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
	n.WantCalls(askMetadataAt("metadata.google.internal"))
}
