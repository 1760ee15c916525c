package gcr

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
)

func TestWhatAFailureMeans(t *testing.T) {
	sa := plugintest.Pod(t, "sa", "u", "p")
	main, _ := providerAudience(mainProvider, googleCloud)
	gke, _ := clusterAudience("shop", cluster)
	asPod, asGKE, asAccount, asFile := who{pod: sa, audience: main}, who{pod: sa, audience: gke}, who{pod: sa, audience: main, email: pullAccount}, who{file: "/etc/key.json"}
	const (
		sts    = "sts.googleapis.com"
		iam    = "iamcredentials.googleapis.com"
		oauth  = "oauth2.googleapis.com"
		server = "169.254.169.254"
	)
	silent := &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, tc := range map[string]struct {
		who       who
		last      exchange
		err       error
		permanent bool
		want      string
	}{
		"no account":                {who{}, exchange{host: server, status: 404, flavor: true}, nil, true, "metadata at 169.254.169.254: status 404, asking as the node's service account: attach a service account"},
		"metadata disabled":         {who{}, exchange{host: server, status: 403, flavor: true}, nil, true, "the metadata endpoint is disabled"},
		"another cloud's metadata":  {who{}, exchange{host: server, status: 404}, nil, true, "does not identify itself as Google's metadata server"},
		"metadata throttled":        {who{}, exchange{host: server, status: 429, flavor: true, retryAfter: 7 * time.Second}, nil, false, "status 429, asking as the node's service account: the metadata server is throttled"},
		"metadata at fault":         {who{}, exchange{host: server, status: 503}, nil, false, "throttled or at fault"},
		"no metadata server":        {who{}, exchange{host: server, err: silent}, nil, true, "dial: i/o timeout, asking as the node's service account: there is no metadata server here"},
		"metadata not yet":          {who{}, exchange{host: server, err: refused}, nil, false, "does not listen, or not yet"},
		"metadata silent":           {who{}, exchange{host: server, err: errors.New("deadline")}, nil, false, "does not answer"},
		"metadata makes no sense":   {who{}, exchange{host: server, status: 200, flavor: true}, errors.New("the answer holds no token"), false, "status 200 the answer holds no token"},
		"no such pool":              {asPod, exchange{host: sts, status: 400, code: "invalid_target", text: "no"}, nil, true, "sts at sts.googleapis.com: status 400 invalid_target: no, asking as service account prod/sa: the workload identity pool or provider does not exist or is disabled: //iam.googleapis.com/" + mainProvider},
		"a malformed audience":      {asGKE, exchange{host: sts, status: 400, code: "invalid_request"}, nil, true, "check the audience: identitynamespace:shop.svc.id.goog:"},
		"a token is not accepted":   {asPod, exchange{host: sts, status: 400, code: "invalid_grant"}, nil, true, "the provider has to trust issuer https://issuer and its conditions to let system:serviceaccount:prod:sa in, the kubelet's serviceAccountTokenAudience has to be one that the provider allows, which is by default https://iam.googleapis.com/" + mainProvider},
		"a cluster's token":         {asGKE, exchange{host: sts, status: 400, code: "invalid_grant"}, nil, true, "serviceAccountTokenAudience has to be shop.svc.id.goog, and"},
		"an API throttles":          {asPod, exchange{host: sts, status: 429}, nil, false, "Google throttles this project"},
		"an API is at fault":        {asPod, exchange{host: sts, status: 503}, nil, false, "Google has a fault"},
		"an API is out of reach":    {asPod, exchange{host: sts, err: silent}, nil, false, "check the node's route, DNS or proxy for sts.googleapis.com"},
		"a proxy's certificate":     {asPod, exchange{host: sts, err: errors.New("x509: unknown authority")}, nil, false, "--ca-file"},
		"an answer of nonsense":     {asPod, exchange{host: sts, status: 200}, errors.New("the answer can not be read"), false, "something else may answer in Google's place"},
		"may not impersonate":       {asAccount, exchange{host: iam, status: 403, code: "PERMISSION_DENIED", text: "denied"}, nil, true, "iamcredentials at iamcredentials.googleapis.com: status 403 PERMISSION_DENIED: denied, asking as service account prod/sa as " + pullAccount + ": grant roles/iam.workloadIdentityUser on " + pullAccount + " to principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters/subject/system:serviceaccount:prod:sa"},
		"an API that is not on":     {asAccount, exchange{host: iam, status: 403, text: "has not been used in project 1 before or it is disabled"}, nil, true, "enable the IAM Service Account Credentials API"},
		"no such account":           {asAccount, exchange{host: iam, status: 404}, nil, true, "there is no such service account"},
		"the exchanged token ended": {asAccount, exchange{host: iam, status: 401}, nil, false, "no longer valid"},
		"a key that was deleted":    {asFile, exchange{host: oauth, status: 400, code: "invalid_grant", text: "Invalid JWT Signature."}, nil, true, "oauth2 at oauth2.googleapis.com: status 400 invalid_grant: Invalid JWT Signature., asking as the node with /etc/key.json: the key is not or no longer valid"},
		"a file's provider":         {asFile, exchange{host: sts, status: 400, code: "invalid_target"}, nil, true, "check the provider that the file names"},
		"a file's account":          {asFile, exchange{host: iam, status: 403}, nil, true, "on the service account that the file names"},
		"a file's source":           {asFile, exchange{host: "idp.example.com", status: 403}, nil, true, "subject token at idp.example.com: status 403, asking as the node with /etc/key.json: check credential_source"},
		"a file that is wrong":      {asFile, exchange{}, errors.New("the file is of type"), true, "credentials: the file is of type, asking as the node with /etc/key.json"},
	} {
		t.Run(name, func(t *testing.T) {
			cause := tc.err
			if cause == nil {
				cause = fmt.Errorf("library: %w", errFailed)
			}
			p := dissect(cause, tc.last)
			if tc.who == (who{}) {
				p.stage = "metadata"
			}
			err := tc.who.explain(p)
			var failure *credential.Failure
			if !errors.As(err, &failure) || failure.Permanent != tc.permanent || failure.RetryAfter != tc.last.retryAfter {
				t.Errorf("got %+v", failure)
			}
			if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), errFailed.Error()) {
				t.Errorf("got %q, want %q", err, tc.want)
			}
		})
	}
}

func TestTheFormOfAnExchange(t *testing.T) {
	audience, _ := providerAudience(mainProvider, googleCloud)
	got := exchangeForm(place{universe: googleCloud}, "eyJ.token", audience)
	const want = "audience=%2F%2Fiam.googleapis.com%2Fprojects%2F123456789012%2Flocations%2Fglobal%2FworkloadIdentityPools%2Fclusters%2Fproviders%2Fmain" +
		"&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token" +
		"&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform&subject_token=eyJ.token&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
	if string(got.body) != want || got.url != "https://sts.googleapis.com/v1/token" || !got.bearer.Empty() {
		t.Errorf("got %s %s", got.url, got.body)
	}
	if got := exchangeForm(place{universe: berlin}, "eyJ.token", audience); got.url != "https://sts.apis-berlin-build0.goog/v1/token" {
		t.Errorf("got %s", got.url)
	}
}

// An expiry is told by the server's clock.
func TestUntil(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		date, end time.Time
		want      time.Duration
	}{
		"clocks that agree":     {now, now.Add(time.Hour), time.Hour},
		"a server that is late": {now.Add(-10 * time.Minute), now.Add(50 * time.Minute), time.Hour},
		"a node that is late":   {now.Add(10 * time.Minute), now.Add(70 * time.Minute), time.Hour},
		"a server without":      {time.Time{}, now.Add(time.Hour), time.Hour},
		"no expiry":             {now, time.Time{}, 0},
	} {
		if got := (exchange{date: tc.date}).until(tc.end); (got - tc.want).Abs() > time.Minute {
			t.Errorf("%s: got %s", name, got)
		}
	}
}
