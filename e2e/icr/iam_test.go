package icr_test

import (
	"net/http"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/ibm"
)

// withKey is a machine somewhere that has an API key, and sees IAM at hosts.
func withKey(t *testing.T, hosts ...string) (n *node, keyFile string) {
	t.Helper()
	n = bootBare(t)
	n.ibm.AddServiceID(puller, apiKey)
	if err := n.ibm.PlaceIAM(n.Cloud, hosts...); err != nil {
		t.Fatal(err)
	}
	return n, "--api-key-file=" + cloudtest.File(t, apiKey)
}

func keyAt(host string) cloudtest.Calls { return cloudtest.Calls{"iam GetTokenAPIKey " + host} }

func TestWhereIAMIsAsked(t *testing.T) {
	const regional = "private.us-south.iam.cloud.ibm.com"
	for endpoint, host := range map[string]string{
		"public": ibm.IAMHost, "private": ibm.PrivateIAMHost, "us-south": regional, "https://iam.example.com": "iam.example.com",
	} {
		t.Run(endpoint, func(t *testing.T) {
			n, key := withKey(t, ibm.IAMHost, ibm.PrivateIAMHost, regional, "iam.example.com")
			n.wantLogin(n.ask(image, key, "--iam-endpoint", endpoint), image, ibm.TokenUser, puller.IAMID())
			n.wantCalls(keyAt(host))
		})
	}
}

// The public endpoint is asked for what the private one does not answer, if the
// operator says so. What it refuses is refused.
func TestThePublicEndpointIsAskedOnlyWhereTheOperatorSaysSo(t *testing.T) {
	private := []string{"--iam-endpoint=private"}
	fallback := append([]string{"--iam-fallback"}, private...)
	t.Run("no such name", func(t *testing.T) {
		n, key := withKey(t, ibm.IAMHost)
		n.ask(image, append(private, key)...).WantFailure(1, ibm.PrivateIAMHost+" has no address in DNS")
		if asked := n.Cloud.Calls.Count("iam", ""); asked != 0 {
			t.Errorf("IAM was asked %d times", asked)
		}
		a := n.ask(image, append(fallback, key, "--cache-dir=")...)
		a.Stderr = "" // a word of warning
		n.wantLogin(a, image, ibm.TokenUser, puller.IAMID())
		a.WantWithin(cloudtest.Soon)
	})
	t.Run("silent", func(t *testing.T) {
		n, key := withKey(t, ibm.IAMHost, ibm.PrivateIAMHost)
		n.Cloud.Faults.First(1, "iam", "", cloud.Hang{})
		a := n.ask(image, append(fallback, key)...)
		a.Stderr = ""
		n.wantLogin(a, image, ibm.TokenUser, puller.IAMID())
		a.WantWithin(cloudtest.Soon)
		n.wantCalls(keyAt(ibm.PrivateIAMHost), keyAt(ibm.IAMHost))
	})
	t.Run("it refuses", func(t *testing.T) {
		n, key := withKey(t, ibm.IAMHost, ibm.PrivateIAMHost)
		n.ibm.DeleteKey(apiKey)
		n.ask(image, append(fallback, key)...).WantFailure(1, "iam api-key at "+ibm.PrivateIAMHost, "BXNIM0415E")
		n.wantCalls(keyAt(ibm.PrivateIAMHost))
	})
	t.Run("it throttles", func(t *testing.T) {
		n, key := withKey(t, ibm.IAMHost, ibm.PrivateIAMHost)
		n.Cloud.Faults.Always("iam", "", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: time.Minute})
		n.ask(image, append(fallback, key)...).WantFailure(1, ibm.PrivateIAMHost, "429")
		n.wantCalls(keyAt(ibm.PrivateIAMHost))
	})
}

// A profile is assumed by whom it trusts alone, and its token is for as long as
// IAM says.
func TestAProfileThatMayNotBeAssumed(t *testing.T) {
	n, key := withKey(t, ibm.IAMHost)
	n.ibm.AddProfile(ibm.Profile{ID: partner, Reader: true})
	args := []string{key, "--assume-profile", partner}
	n.ask(image, args...).WantFailure(1, "IAM does not let trusted profile "+partner+" be assumed", "has to trust "+puller.IAMID()+" of account "+ibm.HomeAccount, "BXNIM0398E")
	n.ibm.AddProfile(ibm.Profile{ID: partner, Assumers: []string{puller.IAMID()}, Reader: true})
	n.wantLogin(n.ask(image, append(args, "--cache-dir=")...), image, ibm.TokenUser, "iam-"+partner)
}
