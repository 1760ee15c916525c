package gcr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
)

func TestATokenOfSTSThatIsOfNoUseIsAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(*node)
		says    string
	}{
		{"no fields", exchanged(fake.NoFields), "no token"},
		{"empty token", exchanged(fake.EmptyToken), "no token"},
		{"no expiry", exchanged(fake.NoExpiry), "without an expiry"},
		{"expired", exchanged(fake.ExpiredLong), "expir"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			test.prepare(n)
			q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", append([]string{"--node-fallback"}, wifArgs...)...)
			says := []string{test.says, registry + ": ", "sts", stsAPI, "service account shop/web"}
			n.ask(q).WantFailure(1, says...)
			n.WantNever("metadata")
			n.WantRecorded(cloudtest.Question(q), says...)
		})
	}
}

func exchanged(shape fake.TokenShape) func(*node) {
	return configured(func(s *gcp.Settings) { s.STS.Shape = shape })
}
