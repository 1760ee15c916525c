package gcr

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// wantFailure fails the test unless an error is a Failure that begins with a
// text, and says whether it stays.
func wantFailure(t *testing.T, err error, permanent bool, want string) {
	t.Helper()
	var failure *credential.Failure
	if !errors.As(err, &failure) || failure.Permanent != permanent {
		t.Errorf("got %+v, want it to be permanent: %t", failure, permanent)
	}
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// oauth and api are failures in the forms of STS and of the APIs.
func oauth(code, text string) reply {
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": text})
	return reply{status: http.StatusBadRequest, body: string(body)}
}

func api(status int, code, text, reason string) reply {
	details := ""
	if reason != "" {
		details = fmt.Sprintf(`,"details":[{"@type":"type.googleapis.com/google.rpc.PreconditionFailure"},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":%q}]`, reason)
	}
	return reply{status: status, body: fmt.Sprintf(`{"error":{"code":%d,"message":%q,"status":%q%s}}`, status, text, code, details)}
}

// token is a pod's, with claims besides those that identify it.
func podToken(t *testing.T, claims string) *serviceaccount.Token {
	t.Helper()
	all := `{"iss":"https://issuer","sub":"system:serviceaccount:prod:sa","kubernetes.io":{"namespace":"prod","serviceaccount":{"name":"sa","uid":"u"}}` + claims + `}`
	token, err := serviceaccount.Parse("e30." + base64.RawURLEncoding.EncodeToString([]byte(all)) + ".c2ln")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// STS has few codes, and one of them several causes. Its text tells which it
// is, and each has advice of its own. The texts are Google's.
func TestWhatSTSRefuses(t *testing.T) {
	main, _ := providerAudience(mainProvider, googleCloud)
	gke, _ := clusterAudience("shop", cluster)
	at := func(clock time.Duration) http.Header {
		return http.Header{"Date": {time.Now().Add(clock).UTC().Format(http.TimeFormat)}}
	}
	const (
		wrongAudience = "The audience in ID Token [https://kubernetes.default.svc] does not match the expected audience."
		stale         = "ID Token issued at 1764150000 is stale to sign-in."
	)
	dated := func(e reply, clock time.Duration) reply { e.header = at(clock); return e }
	for name, tc := range map[string]struct {
		answer   reply
		audience audience
		claims   string
		want     string
	}{
		"no pool": {oauth("invalid_target", "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist."), main, "",
			"the workload identity pool or provider does not exist, or is disabled: check //iam.googleapis.com/" + mainProvider + " [sts at sts.googleapis.com: status 400 invalid_target: The target"},
		"the attribute condition": {oauth("unauthorized_client", "The given credential is rejected by the attribute condition."), main, "",
			"the provider's attribute condition does not let system:serviceaccount:prod:sa in: change the condition, or what the pod's token says [sts at sts.googleapis.com: status 400 unauthorized_client: The given credential is rejected by the attribute condition; as service account prod/sa]"},
		"the mapping": {oauth("invalid_grant", "Could not obtain a value for google.subject from the given credential."), main, "",
			"the provider's attribute mapping does not fit the pod's token: correct it; google.subject=assertion.sub fits every Kubernetes token ["},
		"a mapping that is too long": {oauth("invalid_request", "The size of mapped attribute google.subject exceeds the 127 bytes limit."), main, "",
			"the provider's attribute mapping does not fit the pod's token"},
		"another audience": {oauth("invalid_grant", wrongAudience), main, `,"aud":["https://kubernetes.default.svc"]`,
			"the pod's token is for another audience than the provider allows (https://kubernetes.default.svc): set serviceAccountTokenAudience in the kubelet's configuration to https://iam.googleapis.com/" + mainProvider + ", or let the provider allow the token's ["},
		"another audience, of a cluster": {oauth("invalid_grant", wrongAudience), gke, `,"aud":"x"`,
			"the pod's token is for another audience than the provider allows (x): set serviceAccountTokenAudience in the kubelet's configuration to shop.svc.id.goog, or let"},
		"another issuer": {oauth("invalid_grant", "The issuer in ID Token https://issuer does not match the expected ones: https://other"), main, "",
			"the provider trusts another issuer than that of the pod's token: set the provider's issuer to https://issuer ["},
		"keys that are not reachable": {oauth("invalid_grant", "Error connecting to the given credential's issuer."), main, "",
			"Google cannot check the pod's token with its issuer's keys: the provider's issuer has to be https://issuer and reachable from the internet, or the provider needs the cluster's keys (--jwk-json-path) ["},
		"a token that has ended": {dated(oauth("invalid_grant", stale), 0), main, `,"exp":1764153600`,
			"the pod's token has expired, at 2025-11-26T10:40:00Z: check this node's clock; if it is right, whoever hands the token out does so too late ["},
		"a clock that is behind": {dated(oauth("invalid_grant", stale), 20*time.Minute), main, fmt.Sprintf(`,"exp":%d`, time.Now().Add(time.Minute).Unix()),
			"Google finds the pod's token too old or too new: this node's clock is "},
		"a clock that is ahead": {dated(oauth("invalid_grant", "ID Token issued in the future."), -20*time.Minute), main, "",
			"Google finds the pod's token too old or too new: this node's clock is "},
		"an issuer's clock": {dated(oauth("invalid_grant", stale), 0), main, "",
			"Google finds the pod's token too old or too new: check the clock of its issuer, which for a pod's is the control plane's ["},
		"somebody's clock": {oauth("invalid_grant", stale), main, "",
			"Google finds the pod's token too old or too new: check the clocks of this node and of the token's issuer ["},
		"a perimeter": {api(403, "PERMISSION_DENIED", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc", "SECURITY_POLICY_VIOLATED"), main, "",
			"VPC Service Controls forbid this: let the perimeter's ingress rules allow it; the audit log has it under the id in the text [sts at sts.googleapis.com: status 403 PERMISSION_DENIED SECURITY_POLICY_VIOLATED: Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc; as"},
		"an API that is not enabled": {api(403, "PERMISSION_DENIED", "Security Token Service API has not been used in project 1 before or it is disabled.", "SERVICE_DISABLED"), main, "",
			"the Security Token Service API is not enabled: enable sts.googleapis.com in the pool's project ["},
		"an audience that is none": {oauth("invalid_request", "Invalid value for \"audience\"."), gke, "",
			"STS does not understand the question: check the provider's name: identitynamespace:shop.svc.id.goog:" + cluster + " ["},
		"another question that is none": {oauth("invalid_request", "Invalid value for \"subject_token_type\"."), main, "",
			"STS does not understand the question [sts at sts.googleapis.com: status 400 invalid_request: Invalid value for \"subject_token_type\"; as"},
		"scopes that are none": {oauth("invalid_scope", "no"), main, "", "Google does not know the scopes: correct --scope ["},
		"for no known reason": {oauth("invalid_grant", "no"), main, "",
			"Google does not accept the pod's token: check issuer, allowed audiences and attribute condition of //iam.googleapis.com/" + mainProvider + " ["},
		"by another code":   {oauth("server_says_no", "no"), main, "", "STS refuses to exchange the pod's token [sts at sts.googleapis.com: status 400 server_says_no: no; as service account prod/sa]"},
		"an answer of none": {reply{body: "{}"}, main, "", "the answer holds no token: something else may answer in place of Google's STS: check proxies and endpoints [sts at sts.googleapis.com; as"},
		"a page": {reply{status: 403, body: "<html>", header: http.Header{"Content-Type": {"text/html"}}}, main, "",
			"sts.googleapis.com answers with a page for people: something else may answer in place of Google's STS"},
	} {
		t.Run(name, func(t *testing.T) {
			endpoints := &endpoints{googleCloud, cloudhttp.Through(&exchanges{answers: map[string]reply{stsURL: tc.answer}})}
			source := &federatedToken{endpoints: endpoints, pod: podToken(t, tc.claims), audience: tc.audience, scopes: []string{everything}}
			_, err := source.Fetch(t.Context(), nil)
			refused := tc.answer.status != 0 // and not a success that makes no sense
			wantFailure(t, err, refused, tc.want)
		})
	}
}

// Which way a clock is off is said as well.
func TestSkew(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for date, want := range map[string]string{
		"Mon, 23 Nov 2026 08:10:00 GMT": "this node's clock is 10m0s behind Google's: correct it",
		"Mon, 23 Nov 2026 07:50:00 GMT": "this node's clock is 10m0s ahead of Google's: correct it",
		"Mon, 23 Nov 2026 08:00:30 GMT": "",
		"":                              "unknown",
	} {
		got, known := skewOf(cloudhttp.Reply{Received: now, Header: http.Header{"Date": {date}}})
		if !known {
			got += "unknown"
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", date, got, want)
		}
	}
}

// Who may not impersonate whom, and what else IAM has against it.
func TestWhatIAMRefuses(t *testing.T) {
	main, _ := providerAudience(mainProvider, googleCloud)
	principal := main.principal(plugintest.Pod(t, "sa", "u", "p"))
	for name, tc := range map[string]struct {
		answer    reply
		permanent bool
		want      string
	}{
		"may not": {api(403, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).", "IAM_PERMISSION_DENIED"), true,
			pullAccount + " may not be impersonated, or does not exist: grant roles/iam.workloadIdentityUser on it to " + principal + " [iamcredentials at iamcredentials.googleapis.com: status 403 PERMISSION_DENIED IAM_PERMISSION_DENIED: Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist); as service account prod/sa for " + pullAccount + "]"},
		"not enabled": {api(403, "PERMISSION_DENIED", "IAM Service Account Credentials API has not been used in project 1 before or it is disabled.", "SERVICE_DISABLED"), true,
			"the IAM Service Account Credentials API is not enabled: enable iamcredentials.googleapis.com in the service account's project ["},
		"one that is disabled": {api(403, "PERMISSION_DENIED", "Service account is disabled.", ""), true, "the service account " + pullAccount + " is disabled: enable it, or name another ["},
		"a perimeter": {api(403, "PERMISSION_DENIED", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc", ""), true,
			"VPC Service Controls forbid this: let the perimeter's ingress rules allow it"},
		"no such account": {api(404, "NOT_FOUND", "Not found; Gaia id not found for email", ""), true, "there is no service account " + pullAccount + ": check its email ["},
		"no longer taken": {api(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", ""), false, "IAM does not take the token that was exchanged: the next attempt is made after a pause [iamcredentials at iamcredentials.googleapis.com: status 401 UNAUTHENTICATED: Request had invalid authentication credentials; as service account prod/sa for " + pullAccount + "]"},
		"scopes":          {api(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), true, "the scopes are not allowed: correct --scope ["},
		"something else":  {api(400, "INVALID_ARGUMENT", "no", ""), true, "IAM refuses a token of " + pullAccount + " [iamcredentials at iamcredentials.googleapis.com: status 400 INVALID_ARGUMENT: no; as"},
		"a fault":         {api(503, "UNAVAILABLE", "no", ""), false, "Google's IAM has a fault: the next attempt"},
		"throttled":       {api(429, "RESOURCE_EXHAUSTED", "no", ""), false, "Google's IAM throttles requests: the next attempt"},
		"no token":        {reply{body: `{"expireTime":"2026-11-26T10:40:00Z"}`}, false, "the answer holds no token: something else may answer in place of Google's IAM"},
		"no expiry":       {reply{body: `{"accessToken":"t"}`}, false, "the answer holds a token without an expiry: something"},
		"an expired one":  {reply{body: `{"accessToken":"t","expireTime":"2025-11-26T10:40:00Z"}`}, false, "the answer holds a token that has already expired, at 2025-11-26T10:40:00Z; here it is 20"},
		"nonsense":        {reply{body: `x`}, false, "the answer cannot be read: something"},
	} {
		t.Run(name, func(t *testing.T) {
			endpoints := &endpoints{googleCloud, cloudhttp.Through(&exchanges{answers: map[string]reply{stsURL: {body: goodToken}, iamURL: tc.answer}})}
			own := &federatedToken{endpoints: endpoints, pod: plugintest.Pod(t, "sa", "u", "p"), audience: main, scopes: []string{everything}}
			_, err := (&impersonatedToken{own: own, email: pullAccount, scopes: []string{everything}}).Fetch(t.Context(), uncached{})
			wantFailure(t, err, tc.permanent, tc.want)
		})
	}
}

// What Google's OAuth has against a key.
func TestWhatOAuthRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		answer reply
		clock  time.Duration
		want   string
	}{
		"a key that is gone":     {oauth("invalid_grant", "Invalid JWT Signature."), 0, "Google does not know the key: it was deleted or disabled, or is another account's: make a new one for " + pullAccount},
		"an account that is not": {oauth("invalid_grant", "Invalid grant: account not found"), 0, "there is no service account " + pullAccount + ": name a file of one that exists"},
		"one that is disabled":   {oauth("account_disabled", "The account is disabled."), 0, "the service account " + pullAccount + " is disabled: enable it"},
		"a clock":                {oauth("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."), -3 * time.Hour, "Google finds the request too old or too new: this node's clock is 3h0m"},
		"a clock that agrees":    {oauth("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."), 0, "Google finds the request too old or too new: check this node's clock"},
		"scopes that are none":   {oauth("invalid_scope", "Invalid OAuth scope or ID token audience provided."), 0, "Google does not know the scopes: correct --scope"},
		"for no known reason":    {oauth("invalid_grant", "no"), 0, "Google does not accept the key: check that it and " + pullAccount + " are enabled, and this node's clock"},
		"by another code":        {oauth("server_says_no", "no"), 0, "Google refuses the key's question"},
	} {
		reply := cloudhttp.Reply{
			Stage: stageOAuth, Host: "oauth2.googleapis.com", Status: tc.answer.status, Body: []byte(tc.answer.body), Received: time.Now(),
			Header: http.Header{"Date": {time.Now().Add(tc.clock).UTC().Format(http.TimeFormat)}},
		}
		err := explain(reply, errRefused, "the node by /etc/key.json", diagnoseKey(reply, errRefused, pullAccount))
		t.Run(name, func(t *testing.T) { wantFailure(t, err, true, tc.want) })
	}
}

// What is wrong on the way to the metadata server, and where there is none.
func TestTheWayToTheMetadataServer(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Err: err} }
	m := metadataServer{newEndpoints(googleCloud, "", nil), "169.254.169.254"}
	for name, tc := range map[string]struct {
		err       error
		permanent bool
		want      string
	}{
		"none":      {dial(errors.New("i/o timeout")), true, "there is nothing at 169.254.169.254, where the metadata server would be: off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env [metadata at 169.254.169.254: dial: i/o timeout; as the node's service account]"},
		"not yet":   {dial(syscall.ECONNREFUSED), false, "nothing listens at 169.254.169.254, or not yet: is the metadata server running? off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env ["},
		"silent":    {&cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: 10 * time.Second}, false, "the metadata server accepted the connection and did not answer in time: the next attempt is made after a pause ["},
		"broken":    {io.ErrUnexpectedEOF, false, "the connection to 169.254.169.254 broke off"},
		"a name":    {&net.DNSError{Name: "metadata", IsNotFound: true}, false, "169.254.169.254 has no address in DNS"},
		"too large": {cloudhttp.ErrTooLarge, false, "the answer of 169.254.169.254 is larger than 1 MiB: something else may answer in place of the metadata server"},
	} {
		err := m.explain(value{reply: cloudhttp.Reply{Stage: "metadata", Host: m.host, Err: tc.err}, err: errors.New("library")})
		t.Run(name, func(t *testing.T) { wantFailure(t, err, tc.permanent, tc.want) })
		// Nobody is sent to look for what other clouds have.
		if strings.Contains(err.Error(), "hop limit") || !errors.Is(err, tc.err) {
			t.Errorf("got %v", err)
		}
	}
}

// A failure keeps what the service asked for.
func TestRetryAfter(t *testing.T) {
	main, _ := providerAudience(mainProvider, googleCloud)
	answer := reply{status: http.StatusTooManyRequests, body: "{}", header: http.Header{"Retry-After": {"7"}}}
	endpoints := &endpoints{googleCloud, cloudhttp.Through(&exchanges{answers: map[string]reply{stsURL: answer}})}
	_, err := (&federatedToken{endpoints: endpoints, pod: plugintest.Pod(t, "sa", "u", "p"), audience: main}).Fetch(t.Context(), nil)
	var failure *credential.Failure
	if !errors.As(err, &failure) || failure.RetryAfter != 7*time.Second || failure.Permanent {
		t.Errorf("got %+v", failure)
	}
}
