package acr

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
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
	"regcred/shared/credential"
	"regcred/shared/redact"
)

const (
	imdsHost     = "169.254.169.254"
	arcHost      = "127.0.0.1:40342"
	registryHost = "a.azurecr.io"
	loginID      = "99999999-8888-7777-6666-555555555555" // by which Entra finds a request
)

// entraSays and registrySays are the bodies of refusals.
func entraSays(code, text string) string {
	return `{"error":"invalid_client","error_description":"AADSTS` + code + `: ` + text + ` Trace ID: x Correlation ID: y Timestamp: z","error_codes":[` + code + `],"trace_id":"x","correlation_id":"` + loginID + `"}`
}

func registrySays(code, text string) string {
	return `{"errors":[{"code":"` + code + `","message":"` + text + `","detail":null}]}`
}

// refusal is how a service refuses, and what is made of it.
type refusal struct {
	service   service
	reply     cloudhttp.Reply
	permanent bool
	// What the parts of the failure have in them. Empty means that there is
	// nothing.
	problem, advice, evidence string
}

func (tc refusal) check(t *testing.T) {
	t.Helper()
	if tc.reply.Header == nil {
		tc.reply.Header = http.Header{}
	}
	tc.reply.Received = time.Now()
	failure := tc.service.failure(tc.reply)
	text := plugintest.WantFailure(t, failure, tc.permanent, tc.problem, tc.advice, tc.evidence)
	if want := tc.reply.Header.Get("Retry-After"); (want != "") != (failure.RetryAfter == 7*time.Second) {
		t.Errorf("to be left alone for %s, want %q", failure.RetryAfter, want)
	}
	for _, hidden := range []string{"Trace ID", "eyJhbGciOi", "<html>", "status 200"} {
		if strings.Contains(text, hidden) {
			t.Errorf("%s is in %q", hidden, text)
		}
	}
	if shown := redact.Line(text); shown != text {
		t.Errorf("shown is %q of %q", shown, text)
	}
}

func answered(stage, host string, status int, body string, header ...string) cloudhttp.Reply {
	h := http.Header{}
	for pair := range slices.Chunk(header, 2) {
		h.Set(pair[0], pair[1])
	}
	return cloudhttp.Reply{Stage: stage, Host: host, Status: status, Body: []byte(body), Header: h}
}

func unanswered(stage, host string, err error) cloudhttp.Reply {
	return cloudhttp.Reply{Stage: stage, Host: host, Err: err}
}

func TestWhatEntraRefuses(t *testing.T) {
	application := func(auth clientAuth) service {
		return (&application{authority: login, tenant: tenant, client: client, audience: defaultAudience, auth: auth}).service()
	}
	const audience = "api://AzureADTokenExchange"
	var (
		asSecret      = application(secretAuth{file: "/s"})
		asCertificate = application(certificateAuth{file: "/c"})
		asPod         = application(podAuth{pod: testPod(t), audience: audience})
		asManaged     = application(managedAuth{&managedIdentity{selector: selector{"client_id", client2}, audience: audience}})
		asFile        = application(tokenFileAuth{file: "/t", audience: audience})
	)
	says := func(status int, code, text string) cloudhttp.Reply {
		return answered(stageEntra, login, status, entraSays(code, text))
	}
	silent := &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}
	const ofApp = "; as application " + client + " of tenant " + tenant
	for name, tc := range map[string]refusal{
		"a pod nobody vouches for": {asPod, says(401, "700213", "No matching federated identity record found."), true,
			client + " has no federated credential for service account prod/sa",
			"add one with issuer https://issuer, subject system:serviceaccount:prod:sa and audience api://AzureADTokenExchange",
			"entra at login.microsoftonline.com: status 401 AADSTS700213: No matching federated identity record found; correlation id " + loginID + "; as service account prod/sa as application " + client + " of tenant " + tenant + " for audience https://containerregistry.azure.net"},
		"a pod nobody vouches for yet":  {asPod, says(401, "70025", "The client 'x' has no configured federated identity credentials."), true, client + " has no federated credential for service account prod/sa", "subject system:serviceaccount:prod:sa", "AADSTS70025"},
		"a pod of a hidden issuer":      {asPod, says(400, "90061", "Request to External OIDC endpoint failed."), false, "Entra cannot read the keys of the issuer https://issuer", "https://issuer/.well-known/openid-configuration has to be reachable from the internet", "AADSTS90061"},
		"a file of a hidden issuer":     {asFile, says(400, "50166", "Request to External OIDC endpoint failed."), false, "Entra cannot read the keys of the issuer of the token in /t", "reachable from the internet", "AADSTS50166"},
		"a pod of another cluster":      {asPod, says(401, "50013", "Assertion failed signature validation."), true, "the pod's token is not signed with a key of its issuer, https://issuer", "https://issuer/.well-known/openid-configuration has to lead to the keys of this cluster", "AADSTS50013"},
		"a file of another cluster":     {asFile, says(401, "50013", "Assertion failed signature validation."), true, "the token in /t is not signed with a key of its issuer", "has to lead to the keys", "AADSTS50013"},
		"a machine nobody vouches for":  {asManaged, says(401, "70025", "None."), true, "application " + client + " has no federated credential for the managed identity", "add one", "AADSTS70025"},
		"a machine that may not vouch":  {asManaged, says(401, "700236", "Entra ID tokens issued by issuer 'x' may not be used for federated identity credential flows."), true, "the managed identity cannot vouch for application " + client, "it has to be of the tenant that the application was registered in", "AADSTS700236"},
		"a file nobody vouches for":     {asFile, says(401, "70025", "None."), true, "no federated credential for the token in /t", "add one", "AADSTS70025"},
		"a pod's token for others":      {asPod, says(401, "700212", "No match."), true, "the pod's token is for another audience", "the kubelet's serviceAccountTokenAudience has to be that one; api://AzureADTokenExchange is usual", "AADSTS700212"},
		"a pod's token of the past":     {asPod, says(401, "700024", "Not valid."), true, "the pod's token is not valid at Entra's time", "clocks of the node and of the API server", "AADSTS700024"},
		"a machine nobody knows":        {asManaged, says(401, "700213", "No match."), true, "application " + client + " has no federated credential for the managed identity", "its issuer is the identity's tenant, its subject the identity's object id, its audience api://AzureADTokenExchange", ofApp + " by managed identity " + client2},
		"a file nobody knows":           {asFile, says(401, "700211", "No match."), true, "no federated credential for the token in /t", "add one with the token's issuer", ofApp + " with the token in /t"},
		"a file for others":             {asFile, says(401, "700212", "No match."), true, "the token in /t is for another audience", "api://AzureADTokenExchange is usual", "AADSTS700212"},
		"a file that expired":           {asFile, says(401, "700024", "Not valid."), true, "the token in /t has expired, or is not yet valid", "see what writes the file, and check the node's clock", "AADSTS700024"},
		"a wrong secret":                {asSecret, says(401, "7000215", "Invalid client secret provided."), true, "the secret in /s is not the application's", "it has to be a secret's value, not its id", ofApp + " with the secret in /s"},
		"a secret that expired":         {asSecret, says(401, "7000222", "Expired."), true, "the secret in /s has expired", "create a new one", "AADSTS7000222"},
		"a certificate that expired":    {asCertificate, says(401, "700027", "Not registered."), true, "the certificate in /c has expired, or is not one", "add the current one", "AADSTS700027"},
		"a wrong clock":                 {asCertificate, says(401, "700024", "Not valid."), true, "is not valid at Entra's time", "check the node's clock", "AADSTS700024"},
		"no such application":           {asSecret, says(400, "700016", "Not found."), true, "there is no application or managed identity " + client + " in tenant " + tenant, "check both ids", "AADSTS700016"},
		"no consent":                    {asSecret, says(400, "7000229", "Missing service principal."), true, "application " + client + " has no service principal in tenant " + tenant, "an administrator of that tenant has to consent", "AADSTS7000229"},
		"disabled":                      {asSecret, says(400, "7000112", "Disabled."), true, "is disabled", "enable it", "AADSTS7000112"},
		"no such tenant":                {asSecret, says(400, "90002", "Not found."), true, "there is no tenant " + tenant + " in this cloud", "check the tenant and --cloud", "AADSTS90002"},
		"a tenant of another cloud":     {asSecret, says(400, "900382", "Confidential Client is not supported in Cross Cloud request."), true, "tenant " + tenant + " or application " + client + " is of another cloud", "check --cloud", "AADSTS900382"},
		"a policy":                      {asSecret, says(400, "53003", "Blocked."), true, "a Conditional Access policy", "let its addresses in", "AADSTS53003"},
		"an audience of nobody":         {asSecret, says(400, "500011", "Not found."), true, "the audience is not known in the tenant", "check --audience", "AADSTS500011"},
		"a code of no fame":             {asSecret, says(400, "12345", "Something."), true, "Entra refuses the application", "look the code up", "AADSTS12345: Something"},
		"codes alone":                   {asSecret, answered(stageEntra, login, 400, `{"error":"invalid_request","error_codes":[90002]}`), true, "there is no tenant", "check the tenant", "status 400 AADSTS90002"},
		"no codes":                      {asSecret, answered(stageEntra, login, 400, `{"error":"invalid_request"}`), true, "Entra refuses the application", "", "status 400 invalid_request"},
		"a page":                        {asSecret, answered(stageEntra, login, 403, "<html>eyJhbGciOiJSUzI1NiJ9", "Content-Type", "text/html"), true, "answers with a page for people", "something else may answer in place of Entra", "status 403; as"},
		"a line":                        {asSecret, answered(stageEntra, login, 403, " proxy says no\n", "Content-Type", "text/plain; charset=utf-8"), true, "does not answer as Entra does", "check proxies", "status 403: proxy says no"},
		"nothing":                       {asSecret, answered(stageEntra, login, 403, ""), true, "does not answer as Entra does", "check proxies", "status 403; as"},
		"a redirect":                    {asSecret, answered(stageEntra, login, 302, ""), true, "redirects elsewhere", "something else may answer in place of Entra", "status 302"},
		"throttled":                     {asSecret, answered(stageEntra, login, 429, "", "Retry-After", "7"), false, "Entra throttles requests", "after a pause", "status 429"},
		"out of order":                  {asSecret, answered(stageEntra, login, 503, ""), false, "Entra has a fault", "after a pause", "status 503"},
		"out of reach":                  {asSecret, unanswered(stageEntra, login, silent), false, "cannot be reached", "check the node's route, firewall and proxy for login.microsoftonline.com", "i/o timeout"},
		"a certificate of a proxy's":    {asSecret, unanswered(stageEntra, login, x509.UnknownAuthorityError{}), true, "an authority that this node does not trust", "--ca-file", "x509"},
		"half an answer":                {asSecret, unanswered(stageEntra, login, io.ErrUnexpectedEOF), false, "broke off before the answer came to its end", "between the node and Entra", "unexpected EOF"},
		"a correlation id that is none": {asSecret, answered(stageEntra, login, 401, `{"error":"x","correlation_id":"eyJhbGciOi"}`), true, "Entra refuses", "", "status 401 x; as"},
	} {
		t.Run(name, tc.check)
	}
}

func TestWhatTheClustersServerRefuses(t *testing.T) {
	bound := &identityBinding{bindings: &bindings{server: "x.ests.aks", address: "10.0.0.4:443"}, client: client, audience: defaultAudience, pod: testPod(t)}
	for name, tc := range map[string]refusal{
		"a pod that is not bound": {bound.service(), answered(stageBinding, "x.ests.aks", 403, ""), true,
			"the cluster does not exchange the token of service account prod/sa for one of managed identity " + client,
			"the identity has to be bound to this cluster and to system:serviceaccount:prod:sa, and the kubelet's serviceAccountTokenAudience has to be api://AKSIdentityBinding",
			"identity binding at x.ests.aks: status 403; as service account prod/sa as managed identity " + client},
		"a certificate": {bound.service(), unanswered(stageBinding, "x.ests.aks", x509.UnknownAuthorityError{}), true, "an authority that this node does not trust", "--ib-ca-file", "x509"},
	} {
		t.Run(name, tc.check)
	}
	if err := (x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x.ests.aks"}); !isOtherServer(fmt.Errorf("tls: %w", err)) || isOtherServer(io.EOF) {
		t.Error("another server is not told from others")
	}
	plugintest.WantFailure(t, bound.errServer(unanswered(stageBinding, "x.ests.aks", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x.ests.aks"})), true,
		"the server at 10.0.0.4:443 has no certificate for x.ests.aks", "check --ib-apiserver-ip and --ib-sni-name", "identity binding at x.ests.aks")
}

func TestWhatAMachineRefuses(t *testing.T) {
	var (
		system = (&managedIdentity{audience: defaultAudience}).service()
		named  = (&managedIdentity{selector: selector{"client_id", client}, audience: defaultAudience}).service()
		byArc  = (&arcIdentity{selector: selector{"client_id", client}, audience: defaultAudience}).service()
	)
	says := func(status int, text string) cloudhttp.Reply {
		return answered(stageMetadata, imdsHost, status, `{"error":"invalid_request","error_description":"`+text+`"}`)
	}
	silent := &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	const (
		elsewhere = "off Azure, name another identity with --credential, such as --credential=azure-arc"
		notAzures = "what answers at 169.254.169.254 is not Azure's metadata service"
		html      = "text/html; charset=UTF-8"
	)
	for name, tc := range map[string]refusal{
		"no such identity": {named, says(400, "Identity not found"), true, "managed identity " + client + " is not assigned to this machine", "assign it, or correct its id",
			"imds at 169.254.169.254: status 400 invalid_request: Identity not found; as managed identity " + client + " for audience https://containerregistry.azure.net"},
		"another question":       {named, says(400, "Required metadata header not specified"), true, "the machine refuses to answer", "check the identity's id and --audience", "Required metadata header"},
		"no identity":            {system, says(400, "Identity not found"), true, "the machine has no system-assigned identity", "assign one, or name a user-assigned one with --client-id, or userAssignedIdentityID in azure.json", "Identity not found"},
		"several identities":     {system, says(400, "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"), true, "several managed identities are assigned to this machine", "say which with --client-id", "Multiple"},
		"an audience of nobody":  {named, says(400, "AADSTS500011: The resource principal was not found"), true, "the audience is not known", "check --audience", "AADSTS500011"},
		"being updated":          {system, answered(stageMetadata, imdsHost, 410, "", "Server", "IMDS/150.870.65.1036"), false, "is being updated", "after a pause", "status 410"},
		"not there yet":          {system, answered(stageMetadata, imdsHost, 404, `{ "error": "Not found" }`), false, "is being updated", "after a pause", "status 404 Not found"},
		"without a word":         {system, answered(stageMetadata, imdsHost, 410, ""), false, "is being updated", "after a pause", "status 410"},
		"not there, not a word":  {system, answered(stageMetadata, imdsHost, 404, ""), false, "is being updated", "after a pause", "status 404"},
		"no such identity there": {named, says(404, "Identity not found"), true, "managed identity " + client + " is not assigned to this machine", "assign it, or correct its id", "status 404 invalid_request: Identity not found"},
		"denied":                 {system, answered(stageMetadata, imdsHost, 403, "", "Server", "IMDS/150.870.65.1036"), true, "something denies this process Azure's metadata service", "network policies and proxies", "status 403"},
		"throttled":              {system, answered(stageMetadata, imdsHost, 429, "", "Retry-After", "7"), false, "Azure's metadata service throttles requests", "after a pause", "status 429"},
		"on AWS":                 {system, answered(stageMetadata, imdsHost, 404, `<?xml version="1.0"?><html>`, "Server", "EC2ws", "Content-Type", "text/html"), true, notAzures, elsewhere, `status 404: Server: EC2ws; as`},
		"on AWS without a token": {system, answered(stageMetadata, imdsHost, 401, ``, "Server", "EC2ws"), true, notAzures, elsewhere, "status 401: Server: EC2ws"},
		"on Google's cloud":      {system, answered(stageMetadata, imdsHost, 404, `<!DOCTYPE html>`, "Metadata-Flavor", "Google", "Server", "Metadata Server for VM", "Content-Type", html), true, notAzures, elsewhere, "Server: Metadata Server for VM"},
		"on IBM's cloud":         {system, answered(stageMetadata, imdsHost, 404, `{"errors":[{"code":"not_found","message":"no"}],"trace":"x"}`), true, notAzures, elsewhere, "status 404 not_found: no"},
		"in a lab":               {system, answered(stageMetadata, imdsHost, 404, "404 page not found\n", "Content-Type", "text/plain; charset=utf-8"), true, notAzures, elsewhere, "404 page not found"},
		"on no cloud":            {system, unanswered(stageMetadata, imdsHost, silent), true, "there is nothing at 169.254.169.254, where Azure's metadata service would be", elsewhere, "i/o timeout"},
		"not listening":          {system, unanswered(stageMetadata, imdsHost, refused), false, "nothing listens at 169.254.169.254, or not yet", "is Azure's metadata service running? " + elsewhere, "refused"},
		"silent":                 {system, unanswered(stageMetadata, imdsHost, &cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: time.Second}), false, "accepted the connection and did not answer in time", "after a pause", "no answer within 1s"},
		"stopped":                {system, unanswered(stageMetadata, imdsHost, context.Canceled), false, "stopped before Azure's metadata service answered", "", "canceled"},
		"no agent":               {byArc, unanswered(stageArc, arcHost, refused), false, "nothing listens at 127.0.0.1:40342, or not yet", "is the Connected Machine agent (himds) running? on a machine that Azure Arc does not manage, name another identity", "refused"},
		"an agent's key":         {byArc, answered(stageArc, arcHost, 401, `{"error":"unauthorized","error_description":"no"}`), true, "refuses its key", "the plugin has to run as root or in the group himds", "arc at 127.0.0.1:40342: status 401 unauthorized: no; as managed identity " + client},
		"an agent that denies":   {byArc, answered(stageArc, arcHost, 403, `{"error":"forbidden","error_description":"no"}`), true, "the Connected Machine agent (himds) refuses this process", "", "status 403 forbidden: no"},
		"not the machine's":      {byArc, answered(stageArc, arcHost, 400, `{"error":"invalid_request","error_description":"Identity not found"}`), true, "is not assigned to this machine", "assign it", "Identity not found"},
	} {
		t.Run(name, tc.check)
	}
	arc := &arcIdentity{selector: selector{"client_id", client}, audience: defaultAudience}
	challenge := answered(stageArc, arcHost, 401, "")
	for advice, err := range map[string]error{
		"the plugin has to run as root or in the group himds":    fmt.Errorf("/x.key: %w", syscall.EACCES),
		"the plugin has to see the files of the machine's agent": fmt.Errorf("/x.key: %w", syscall.ENOENT),
		"something else may listen in place of the agent":        errors.New("the agent's challenge is not Basic realm=FILE"),
	} {
		plugintest.WantFailure(t, arc.errKey(challenge, err), true, "the key of the Connected Machine agent (himds) cannot be read: "+err.Error(), advice, "arc at 127.0.0.1:40342: status 401; as managed identity "+client)
	}
	plugintest.WantFailure(t, arc.errEcho(answered(stageArc, arcHost, 200, "")), true, "does not say that the token is of this identity", "bring the agent up to date", "arc at 127.0.0.1:40342; as")
}

// Azure's metadata service is waited for as Microsoft documents, and only where
// it is Azure's that answers.
func TestTheMetadataServiceIsWaitedFor(t *testing.T) {
	if want := []time.Duration{2 * time.Second, 6 * time.Second, 14 * time.Second}; !slices.Equal(patience.Waits, want) {
		t.Errorf("waits %s", patience.Waits)
	}
	for name, tc := range map[string]struct {
		reply cloudhttp.Reply
		again bool
	}{
		"being updated": {answered("", imdsHost, 410, "", "Server", "IMDS/150.870.65.1036"), true},
		"not there yet": {answered("", imdsHost, 404, `{ "error": "Not found" }`), true},
		"no identity":   {answered("", imdsHost, 400, `{"error":"invalid_request","error_description":"Identity not found"}`, "Server", "IMDS/1"), false},
		"no such one":   {answered("", imdsHost, 404, `{"error":"invalid_request","error_description":"Identity not found"}`), false},
		"of Amazon":     {answered("", imdsHost, 404, `<?xml version="1.0"?><html>`, "Server", "EC2ws"), false},
		"of Google":     {answered("", imdsHost, 404, `<!DOCTYPE html>`, "Metadata-Flavor", "Google"), false},
		"of IBM":        {answered("", imdsHost, 404, `{"errors":[{"code":"not_found","message":"no"}]}`), false},
		"gone":          {answered("", imdsHost, 410, ``), true},
		"not there":     {answered("", imdsHost, 404, ``), true},
	} {
		if patience.Again(tc.reply) != tc.again {
			t.Errorf("%s: want %t", name, tc.again)
		}
	}
}

func TestWhatARegistryRefuses(t *testing.T) {
	entra := credential.Token{Value: credential.NewSecret(plugintest.JWT(`{"appid":"` + client + `","oid":"` + client2 + `","tid":"` + tenant + `"}`)), Caller: "client id …"}
	at := func(source entraSource) service {
		return (&refreshToken{server: loginServer{host: registryHost}, tenant: tenant, entra: source}).service(entra, "from this registry")
	}
	app := func(auth clientAuth) service {
		return at(&application{authority: login, tenant: tenant, client: client, audience: defaultAudience, auth: auth})
	}
	var (
		asMachine = at(&managedIdentity{audience: defaultAudience})
		asArc     = at(&arcIdentity{audience: defaultAudience})
		asSecret  = app(secretAuth{azureConfig: "/etc/kubernetes/azure.json"})
		asPod     = app(podAuth{pod: testPod(t)})
		asBound   = at(&identityBinding{bindings: &bindings{server: "x.ests.aks"}, client: client, pod: testPod(t)})
	)
	says := func(status int, code, text string) cloudhttp.Reply {
		return answered(stageExchange, registryHost, status, registrySays(code, text), "X-Ms-Correlation-Request-Id", loginID)
	}
	unknown := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: registryHost, IsNotFound: true}}
	const (
		required  = "authentication required, visit https://aka.ms/acr/authorization for more information"
		role      = "grant AcrPull (with ABAC: Container Registry Repository Reader) to object id " + client2 + ", which takes up to ten minutes"
		elsewhere = `name the registry's tenant in registries["a.azurecr.io"].tenantID`
		noTenants = "a managed identity has no rights in other tenants"
	)
	for name, tc := range map[string]refusal{
		"no role": {asMachine, says(401, "UNAUTHORIZED", required), true, "the identity may not pull from this registry", role,
			"exchange at a.azurecr.io: status 401 UNAUTHORIZED: " + required + "; correlation id " + loginID + "; as client id …"},
		"no role, or another tenant":      {asSecret, says(401, "UNAUTHORIZED", required), true, "the identity may not pull", role + "; if the registry is of another tenant, " + elsewhere, "status 401"},
		"no role, or a pod's other one":   {asPod, says(401, "UNAUTHORIZED", required), true, "the identity may not pull", "if the registry is of another tenant, name the registry's tenant in the service account's annotation kubernetes.azure.com/acr-tenant-id", "status 401"},
		"another right":                   {asMachine, says(403, "DENIED", "requested access to the resource is denied"), true, "the identity may not pull", role, "status 403 DENIED"},
		"nothing said":                    {asMachine, answered(stageExchange, registryHost, 401, ""), true, "the identity may not pull", role, "status 401; as"},
		"nothing said, forbidden":         {asMachine, answered(stageExchange, registryHost, 403, ""), true, "the identity may not pull", role + "; or let the node's address in, if the registry has network rules", "status 403; as"},
		"another tenant":                  {asSecret, says(401, "UNAUTHORIZED", "Application not registered with AAD"), true, "does not know the identity's tenant", "is the registry of another tenant? " + elsewhere, "Application not registered with AAD"},
		"another audience":                {asSecret, says(401, "UNAUTHORIZED", "ARM audience tokens are disabled for tenant's registry"), true, "the registry does not take tokens for this audience", "check --audience: registries take https://containerregistry.azure.net", "ARM audience"},
		"another tenant, by name":         {asSecret, says(401, "UNAUTHORIZED", "the token is not of tenant x"), true, "does not know the identity's tenant", elsewhere, "not of tenant x"},
		"another tenant than a machine's": {asMachine, says(401, "UNAUTHORIZED", "Application not registered with AAD"), true, "does not know the identity's tenant", noTenants + ": pull as an application of the registry's tenant that it vouches for (--credential=federated-managed-identity)", "status 401"},
		"another tenant than Arc's":       {asArc, says(401, "UNAUTHORIZED", "wrong tenant"), true, "does not know the identity's tenant", noTenants, "status 401"},
		"another tenant than a pod's":     {asPod, says(401, "UNAUTHORIZED", "wrong tenant"), true, "does not know the identity's tenant", "acr-tenant-id", "status 401"},
		"another tenant than a binding's": {asBound, says(401, "UNAUTHORIZED", "wrong tenant"), true, "does not know the identity's tenant", noTenants, "status 401"},
		"a network rule":                  {asSecret, says(403, "DENIED", "client with IP '192.0.2.1' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."), true, "the registry's network rules do not let this node in", "allow the node's outgoing address there, or use a private endpoint", "client with IP '192.0.2.1'"},
		"no public network":               {asSecret, says(403, "DENIED", "Public network access is disabled for this tenant's registry"), true, "network rules", "private endpoint", "status 403"},
		"no such registry":                {asMachine, says(404, "NAME_UNKNOWN", "no"), true, "there is no such registry", "check the image's host", "status 404"},
		"no address":                      {asMachine, unanswered(stageExchange, registryHost, unknown), false, "a.azurecr.io has no address in DNS", "private DNS zones", "no such host"},
		"throttled":                       {asMachine, answered(stageExchange, registryHost, 429, registrySays("TOOMANYREQUESTS", "slow"), "Retry-After", "7"), false, "the registry throttles requests", "after a pause", "status 429 TOOMANYREQUESTS: slow"},
		"half a refusal":                  {asMachine, unanswered(stageExchange, registryHost, io.ErrUnexpectedEOF), false, "broke off", "between the node and the registry", "EOF"},
		"a wrong form":                    {asMachine, answered(stageExchange, registryHost, 400, ""), true, "the registry refuses the request", "check the tenant and the audience", "status 400"},
		"a correlation id that is none":   {asMachine, answered(stageExchange, registryHost, 401, "", "X-Ms-Correlation-Request-Id", "eyJhbGciOi"), true, "the identity may not pull", role, "exchange at a.azurecr.io: status 401; as"},
	} {
		t.Run(name, tc.check)
	}
	// What names the network has nothing said of roles, and the other way round.
	network := asSecret.failure(says(403, "DENIED", "client with IP '192.0.2.1' is not allowed access"))
	if strings.Contains(network.Error(), "AcrPull") || strings.Contains(network.Error(), "tenantID") {
		t.Errorf("got %v", network)
	}
	if refused := asSecret.failure(says(401, "UNAUTHORIZED", required)); strings.Contains(refused.Error(), "endpoint") {
		t.Errorf("got %v", refused)
	}
	// Without ids in the token it is the identity that was asked as.
	s := (&refreshToken{server: loginServer{host: registryHost}, entra: &managedIdentity{selector: selector{"client_id", client}}}).service(held("opaque"), "team/app")
	plugintest.WantFailure(t, s.failure(says(401, "UNAUTHORIZED", required)), true, "the identity may not pull team/app", ") to it, which takes", "; as managed identity "+client)
}
