package gcr_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/gcp"
	"regcred/e2e/cloud/oidc"
)

// Whoever STS refuses does not pull with the node's identity instead, not even
// where a pod without an identity would.
func TestAPodThatSTSRefusesIsRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(n *node) pod
		says    []string
	}{
		{"provider that does not exist", func(n *node) pod {
			p := n.pod(shop, wifAudience, time.Hour)
			gone := gcp.WorkloadIdentity("123456789012", "clusters", "main")
			gone.Disabled = true
			n.gcp.AddProvider(gone)
			return p
		}, []string{"status 400 invalid_target", "provider"}},
		{"token for another audience", func(n *node) pod { return n.pod(shop, "https://kubernetes.default.svc", time.Hour) },
			[]string{"invalid_grant", "serviceAccountTokenAudience"}},
		{"expired token", func(n *node) pod { return n.pod(shop, wifAudience, -time.Second) }, []string{"invalid_grant"}},
		{"malformed, says STS", func(n *node) pod {
			n.cloud.Faults.Always("sts", "", cloud.Refusal{Status: 400, Code: "invalid_request", Message: `Invalid value for "audience".`})
			return n.pod(shop, wifAudience, time.Hour)
		}, []string{"status 400 invalid_request"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			q := test.prepare(n).question(registry+"/p/r/app", append([]string{"--node-fallback"}, wifArgs...)...)
			says := slices.Concat(test.says, []string{registry + ": ", "sts", stsAPI, "service account shop/web"})
			n.ask(q).wantFailure(1, says...)
			n.wantCalls(askSTS) // once: what is refused stays refused
			n.ask(q).wantFailure(1, append(says, "ago to another process")...)
			n.wantCalls()
		})
	}
}

func TestAFailureOfSTSIsOneLineAndIsRecorded(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(*node)
		says    []string
	}{
		{"throttled", struck("sts", cloud.Refusal{Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded"}), []string{"status 429"}},
		{"out of order", struck("sts", cloud.Refusal{Status: http.StatusServiceUnavailable}), []string{"status 503"}},
		{"reset", struck("sts", cloud.Reset{}), []string{"connection reset"}},
		{"no body", struck("sts", cloud.Empty), nil},
		{"a page instead of JSON", struck("sts", cloud.NotJSON), nil},
		{"truncated", struck("sts", cloud.Truncated), nil},
		{"oversized", struck("sts", cloud.Oversized), []string{"larger than 1 MiB"}},
		{"no fields", exchanged(gcp.NoFields), []string{"no token"}},
		{"empty token", exchanged(gcp.EmptyToken), []string{"no token"}},
		{"no expiry", exchanged(gcp.NoExpiry), []string{"life"}},
		{"expired", exchanged(gcp.ExpiredLong), []string{"life"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			test.prepare(n)
			q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", append([]string{"--node-fallback"}, wifArgs...)...)
			says := slices.Concat(test.says, []string{registry + ": ", "sts", stsAPI, "service account shop/web"})
			first := n.ask(q)
			first.wantFailure(1, says...)
			first.WantWithin(30 * time.Second)
			if n.cloud.Calls.Count("metadata", "") != 0 {
				t.Error("the node's identity was asked for")
			}
			n.cloud.Calls.Reset()
			n.ask(q).wantFailure(1, append(says, "ago to another process")...)
			n.wantCalls()
		})
	}
}

func exchanged(shape gcp.TokenShape) func(*node) {
	return configured(func(s *gcp.Settings) { s.STS.Shape = shape })
}

func TestAHiccupOfAnAPIPasses(t *testing.T) {
	for name, fault := range map[string]cloud.Fault{
		"throttled":    cloud.Refusal{Status: http.StatusTooManyRequests},
		"server error": cloud.Refusal{Status: http.StatusInternalServerError},
		"reset":        cloud.Reset{},
	} {
		t.Run(name, func(t *testing.T) {
			n := trusting(t, ownPrincipal(shop))
			n.cloud.Faults.First(1, "sts", "", fault)
			n.cloud.Faults.First(1, "iamcredentials", "", fault)
			q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...).annotated(accountAnnotation, pullAccount)
			n.ask(q).wantCredential(registry, gcp.Account(pullAccount))
			n.wantCalls(askSTS, askSTS, askCredentials, askCredentials)
		})
	}
}

func TestABrokenServiceAccountTokenCausesNoCall(t *testing.T) {
	n := bootNode(t)
	good := n.pod(shop, wifAudience, time.Hour).token
	for name, token := range map[string]string{
		"not a JWT":  "opaque",
		"two parts":  good[:strings.LastIndex(good, ".")],
		"not base64": "a.%%%.c",
		"too long":   good + strings.Repeat("x", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: registry + "/p/r/app", Token: token, Args: slices.Concat(wifArgs, []string{"--node-fallback"})}).
				wantFailure(1, "service account token")
			n.wantCalls()
		})
	}
}

// The failure of one identity says nothing of another's.
func TestAFailureIsItsIdentitysOwn(t *testing.T) {
	n := trusting(t, ownPrincipal(batch))
	ask := func(account oidc.ServiceAccount) answer {
		return n.ask(n.pod(account, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...).annotated(accountAnnotation, pullAccount))
	}
	ask(shop).wantFailure(1, "PERMISSION_DENIED")
	ask(batch).wantCredential(registry, gcp.Account(pullAccount))
	n.ask(n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)).wantCredential(registry, ownPrincipal(shop))
	n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
}
