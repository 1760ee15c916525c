package icr

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/redact"
)

// iamSays and machineSays are the bodies of refusals.
func iamSays(code, text, details string) string {
	return `{"errorCode":"` + code + `","errorMessage":"` + text + `","errorDetails":"` + details + `","context":{"requestId":"req-7","clusterName":"x"}}`
}

func machineSays(code, text string) string {
	return `{"errors":[{"code":"` + code + `","message":"` + text + `","more_info":"x"}],"trace":"trace-7","status_code":400}`
}

func answered(stage, host string, status int, body string, header ...string) cloudhttp.Reply {
	h := http.Header{}
	for pair := range slices.Chunk(header, 2) {
		h.Set(pair[0], pair[1])
	}
	return cloudhttp.Reply{Stage: stage, Host: host, Status: status, Body: []byte(body), Header: h, Received: time.Now()}
}

func unanswered(stage, host string, err error) cloudhttp.Reply {
	return cloudhttp.Reply{Stage: stage, Host: host, Err: err, Header: http.Header{}, Received: time.Now()}
}

func TestWhatAServiceRefuses(t *testing.T) {
	var (
		e       = &endpoints{iam: []string{publicHost}}
		key     = (&keyToken{"/etc/kubernetes/icr.apikey", e}).service()
		pod     = (&podToken{pod: testPod(t), profile: one, endpoints: e}).service()
		assumed = (&assumedToken{two, &keyToken{"/k", e}, e}).service("iam-ServiceId-1 of account a")
		machine = (&machineToken{vpcMetadata, noProfile, e}).service()
		named   = (&machineToken{vpcMetadata, one, e}).service()
		power   = (&machineToken{powerVSMetadata, one, e}).service()
	)
	iam := func(stage string, status int, code, text, details string) cloudhttp.Reply {
		return answered(stage, publicHost, status, iamSays(code, text, details))
	}
	vm := func(stage string, status int, code, text string) cloudhttp.Reply {
		return answered(stage, vpcAddress, status, machineSays(code, text))
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	unknown := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: publicHost, IsNotFound: true}}
	const (
		rule      = "add a rule to it for this cluster (cr_type IKS_SA, or ROKS_SA for OpenShift) with namespace prod and name sa"
		elsewhere = "enable the metadata service of this machine, which is off unless somebody asked for it; off VPC, name another identity with --credential"
		owner     = "; as the owner of the API key in /etc/kubernetes/icr.apikey"
		asPod     = "; as service account prod/sa as trusted profile " + one
	)
	for name, tc := range map[string]struct {
		service   service
		reply     cloudhttp.Reply
		permanent bool
		// What the parts of the failure have in them. Empty means that there is
		// nothing.
		problem, advice, evidence string
	}{
		"a deleted key": {key, iam(stageKey, 400, "BXNIM0415E", "Provided API key could not be found.", ""), true, "IAM does not know the API key in /etc/kubernetes/icr.apikey", "it was deleted, or replaced by another one",
			"iam api-key at iam.cloud.ibm.com: status 400 BXNIM0415E: Provided API key could not be found; request id req-7" + owner},
		"a user's key":             {key, iam(stageKey, 400, "BXNIM0400E", "MFA", ""), true, "asks the owner of the API key for another factor", "the key of a service ID", "BXNIM0400E: MFA"},
		"a key of who has left":    {key, iam(stageKey, 400, "BXNIM0410E", "Provided user not found or active.", ""), true, "the owner of the API key in /etc/kubernetes/icr.apikey is no active user", "the key of a service ID", "BXNIM0410E: Provided user"},
		"a key for another reason": {key, iam(stageKey, 403, "BXNIM0999E", "Locked.", ""), true, "IAM refuses the API key in /etc/", "", "status 403 BXNIM0999E: Locked"},
		"a node's address":         {key, iam(stageKey, 403, "BXNIM0000E", "The provided IP address is not allowed.", ""), true, "IAM does not let this node in", "IP restrictions", "IP address is not allowed"},
		"a rule of the account":    {pod, iam(stagePod, 403, "BXNIM1", "Blocked by context-based restrictions.", ""), true, "IAM does not let this node in", "context-based restrictions", "Blocked by"},
		"no rule": {pod, iam(stagePod, 400, "BXNIM0398E", "Selected trusted profile not eligible.", "tok2iks1:prod:sa:p iam-"+one), true, "trusted profile " + one + " does not trust service account prod/sa", rule,
			"iam cr-token at iam.cloud.ibm.com: status 400 BXNIM0398E: Selected trusted profile not eligible. tok2iks1:prod:sa:p iam-" + one + "; request id req-7" + asPod},
		"a wrong audience":        {pod, iam(stagePod, 400, "BXNIM0407E", "Provided token is invalid.", ""), true, "IAM does not take the token of service account prod/sa", "serviceAccountTokenAudience has to be iam", "BXNIM0407E"},
		"a pod's other reason":    {pod, iam(stagePod, 404, "BXNIM0555E", "No.", ""), true, "IAM does not exchange the token of service account prod/sa for one of trusted profile " + one, "serviceAccountTokenAudience has to be iam", "status 404"},
		"a profile not to assume": {assumed, iam(stageAssume, 400, "BXNIM0398E", "Selected trusted profile not eligible.", ""), true, "IAM does not let trusted profile " + two + " be assumed", "the profile has to trust iam-ServiceId-1 of account a", "iam assume at iam.cloud.ibm.com: status 400"},
		"an old token":            {assumed, iam(stageAssume, 400, "BXNIM0407E", "Provided token is invalid.", ""), true, "IAM does not take the token with which trusted profile " + two + " is assumed", "check the node's clock", "; as iam-ServiceId-1 of account a"},
		"in IBM's other form":     {key, answered(stageKey, publicHost, 400, machineSays("BXNIM0415E", "No key.")), true, "IAM does not know the API key", "deleted", "BXNIM0415E: No key; request id trace-7"},
		"with a number as a code": {key, answered(stageKey, publicHost, 403, `{"trace":"88991968815","errors":[{"code":9999,"message":"No access.","more_info":" "}]}`), true, "IAM refuses the API key", "", "status 403: No access; request id 88991968815"},
		"without a code":          {key, answered(stageKey, publicHost, 400, `{"errorMessage":"No."}`), true, "IAM refuses the API key", "", "status 400: No; as"},
		"with an id in a header":  {key, answered(stageKey, publicHost, 400, `{"errorCode":"BXNIM0415E","errorDetails":{"x":1},"context":[]}`, "Transaction-Id", "tx-7"), true, "does not know", "deleted", "BXNIM0415E; request id tx-7"},
		"with an id that is none": {key, answered(stageKey, publicHost, 400, `{"errorCode":"BXNIM0415E"}`, "Transaction-Id", "a b"), true, "does not know", "deleted", "BXNIM0415E" + owner},
		"nothing said":            {key, answered(stageKey, publicHost, 400, ``), true, "what answers at iam.cloud.ibm.com does not answer as IAM does", "check proxies and --iam-endpoint", "status 400"},
		"an empty object":         {key, answered(stageKey, publicHost, 400, `{}`), true, "does not answer as IAM does", "check proxies", "status 400"},
		"a page":                  {key, answered(stageKey, publicHost, 403, `<html>no</html>`, "Content-Type", "text/html"), true, "answers with a page for people", "check proxies and endpoints", "status 403"},
		"throttled":               {key, iam(stageKey, 429, "BXNIM0000E", "slow", ""), false, "IAM throttles requests", "after a pause", "status 429 BXNIM0000E: slow"},
		"a fault":                 {pod, answered(stagePod, publicHost, 503, ``), false, "IAM has a fault", "after a pause", "status 503"},
		"no address":              {pod, unanswered(stagePod, publicHost, unknown), false, "iam.cloud.ibm.com has no address in DNS", "private DNS zones", "no such host"},
		"half a refusal":          {pod, unanswered(stagePod, publicHost, io.ErrUnexpectedEOF), false, "broke off", "between the node and IAM", "EOF"},
		"too much":                {pod, unanswered(stagePod, publicHost, cloudhttp.ErrTooLarge), false, "larger than 1 MiB", "in place of IAM", "iam cr-token"},
		"an impostor":             {pod, unanswered(stagePod, publicHost, x509.UnknownAuthorityError{}), true, "of an authority that this node does not trust", "--ca-file", "unknown authority"},
		"slow":                    {pod, unanswered(stagePod, publicHost, &cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: time.Second}), false, "IAM accepted the connection and did not answer in time", "after a pause", "no answer within 1s"},
		"stopped":                 {pod, unanswered(stagePod, publicHost, context.Canceled), false, "stopped before IAM answered", "", "canceled"},

		"not linked": {machine, vm(stageMachine, 400, "profile_not_linked", "no"), true, "the machine's default trusted profile is not linked to this machine", "link it, or add a rule to it that the machine fits",
			"metadata token at 169.254.169.254: status 400 profile_not_linked: no; request id trace-7; as the machine's default trusted profile"},
		"not linked by name":       {named, vm(stageMachine, 400, "profile_not_linked", "no"), true, "trusted profile " + one + " is not linked", "link it", "; as trusted profile " + one},
		"no default":               {machine, vm(stageMachine, 400, "missing_field", "no"), true, "this machine may have no default trusted profile", "name one with --profile", "missing_field"},
		"not linked, as IAM says":  {named, answered(stageMachine, vpcAddress, 400, iamSays("BXNIM0398E", "Selected trusted profile not eligible.", "")), true, "trusted profile " + one + " is not linked", "link it", "BXNIM0398E: Selected"},
		"a wrong profile":          {named, vm(stageMachine, 400, "invalid_value", "no"), true, "VPC's metadata service gives no token of trusted profile " + one, "", "invalid_value"},
		"no such profile":          {named, vm(stageMachine, 404, "not_found", "no"), true, "VPC's metadata service gives no token of trusted profile " + one, "check that the profile exists, and link it", "status 404 not_found"},
		"a number from a machine":  {machine, answered(stageIdentity, vpcAddress, 403, `{"errors":[{"code":403,"message":"no"}]}`), true, "VPC's metadata service refuses to answer", "enable it for this machine", "status 403: no"},
		"disabled":                 {machine, vm(stageIdentity, 403, "unauthorized", "no"), true, "VPC's metadata service refuses to answer", "enable it for this machine", "status 403 unauthorized"},
		"forbidden to IAM":         {machine, vm(stageMachine, 403, "unauthorized", "no"), true, "VPC's metadata service gives no token of the machine's default trusted profile", "", "status 403 unauthorized"},
		"no such path":             {machine, vm(stageIdentity, 404, "not_found", "no"), true, "VPC's metadata service does not say who this machine is", "", "status 404 not_found"},
		"throttled by the machine": {machine, vm(stageIdentity, 429, "x", "no"), false, "VPC's metadata service throttles requests", "after a pause", "status 429"},
		"on Amazon's cloud":        {machine, answered(stageIdentity, vpcAddress, 404, `<?xml version="1.0"?>`, "Content-Type", "text/html", "Server", "EC2ws"), true, "what answers at 169.254.169.254 is not VPC's metadata service", elsewhere, "status 404"},
		"on Google's":              {machine, answered(stageIdentity, vpcAddress, 403, `<html>`, "Metadata-Flavor", "Google"), true, "is not VPC's metadata service", elsewhere, "status 403"},
		"on Azure's":               {machine, answered(stageIdentity, vpcAddress, 400, `{"error":"Bad request. api-version is invalid"}`), true, "is not VPC's metadata service", elsewhere, "status 400"},
		"on no cloud":              {machine, unanswered(stageIdentity, vpcAddress, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}), true, "there is nothing at 169.254.169.254, where VPC's metadata service would be", elsewhere, "deadline"},
		"without a way":            {machine, unanswered(stageIdentity, vpcAddress, &net.OpError{Op: "dial", Err: syscall.EACCES}), true, "there is nothing at 169.254.169.254, where VPC's metadata service would be", elsewhere, "permission"},
		"not listening":            {machine, unanswered(stageIdentity, vpcAddress, refused), false, "nothing listens at 169.254.169.254, or not yet", "is VPC's metadata service running? " + elsewhere, "refused"},
		"turned off":               {machine, unanswered(stageIdentity, vpcAddress, &cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: 5 * time.Second}), false, "VPC's metadata service accepted the connection and did not answer in time", elsewhere, "no answer within 5s"},
		"slow after that":          {machine, unanswered(stageMachine, vpcAddress, &cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: 5 * time.Second}), false, "accepted the connection and did not answer in time", "after a pause", "metadata token"},
		"turned off on Power":      {power, unanswered(stageIdentity, powerVSName, &cloudhttp.SilenceError{Step: cloudhttp.Handshake, After: 5 * time.Second}), false, powerVSName + " accepted the connection and did not finish the TLS handshake", "check that it is enabled and can be reached", "no TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			failure := tc.service.failure(tc.reply)
			plugintest.WantFailure(t, failure, tc.permanent, tc.problem, tc.advice, tc.evidence)
			if text := failure.Error(); redact.Line(text) != text || strings.ContainsAny(text, "<>\n") {
				t.Errorf("shown is %q of %q", redact.Line(text), text)
			}
		})
	}
}

// A token for IAM that it does not take is of a cluster that it does not know, or
// lives for too long.
func TestAPodsTokenThatIAMDoesNotTake(t *testing.T) {
	pod := *plugintest.Pod(t, "sa", "u", "p")
	pod.Audiences = []string{"iam"}
	service := (&podToken{pod: &pod, profile: one, endpoints: &endpoints{iam: []string{publicHost}}}).service()
	failure := service.failure(answered(stagePod, publicHost, 400, iamSays("BXNIM0407E", "Provided token is invalid.", "")))
	plugintest.WantFailure(t, failure, true, "IAM does not take the token", "clusters of IKS and ROKS alone, and tokens of an hour at most", "BXNIM0407E")
}

// What IAM asks to be left alone for is kept.
func TestRetryAfter(t *testing.T) {
	service := (&keyToken{"/k", &endpoints{iam: []string{publicHost}}}).service()
	if failure := service.failure(answered(stageKey, publicHost, 429, ``, "Retry-After", "7")); failure.RetryAfter != 7*time.Second || failure.Permanent {
		t.Errorf("got %+v", failure)
	}
}

// The failure that says most is told.
func TestWhichFailureTells(t *testing.T) {
	s := &machineToken{metadata: vpcMetadata}
	rising := []cloudhttp.Reply{
		unanswered(stageIdentity, vpcAddress, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
		unanswered(stageIdentity, vpcAddress, &cloudhttp.SilenceError{}),
		answered(stageIdentity, vpcAddress, 404, `<html>`),
		answered(stageIdentity, vpcAddress, 403, machineSays("unauthorized", "no")),
	}
	for i, r := range rising {
		if got := s.tells(r); got != i {
			t.Errorf("%d tells %d", i, got)
		}
	}
	if s.tells(unanswered(stageIdentity, vpcAddress, io.EOF)) != 0 {
		t.Error("a connection that was closed at once tells something")
	}
}
