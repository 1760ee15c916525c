package gcr_test

import (
	"testing"

	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
)

// STS documents tokens of up to 12 KiB.
func TestTheLongestTokenIsKeptWhole(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Shape = fake.LongestToken })
	q := question{Image: registry + "/p/r/app"}
	first := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
	n.WantCalls(askMetadata)
	if second := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount)); len(first.password) < 12000 || second.password != first.password {
		t.Errorf("tokens of %d and %d characters", len(first.password), len(second.password))
	}
	n.WantCalls()
}
