package acr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/shared/credential"
)

func TestWhatAFailureMeans(t *testing.T) {
	const correlation = "99999999-8888-7777-6666-555555555555"
	entra := func(code, text string) string {
		return `{"error":"invalid_client","error_description":"AADSTS` + code + `: ` + text + ` Trace ID: x Correlation ID: y Timestamp: z","error_codes":[` + code + `],"trace_id":"x","correlation_id":"` + correlation + `"}`
	}
	acr := func(code, text string) string {
		return `{"errors":[{"code":"` + code + `","message":"` + text + `","detail":null}]}`
	}
	machine := (&managedIdentity{audience: defaultAudience}).who()
	named := (&managedIdentity{selector: selector{"client_id", client}, audience: defaultAudience}).who()
	app := func(p proof) who {
		return (&application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, proof: p}).who()
	}
	asSecret, asCertificate := app(secretProof{file: "/s"}), app(certificateProof{file: "/c"})
	asPod := app(podProof{pod: testPod(t), federation: "api://AzureADTokenExchange"})
	asManaged := app(managedProof{&managedIdentity{selector: selector{"client_id", client2}, audience: "api://AzureADTokenExchange"}})
	asFile := app(tokenFileProof{"/t", "api://AzureADTokenExchange"})
	asBound := (&identityBinding{client: client, tenant: tenant, audience: defaultAudience, pod: testPod(t)}).who()
	atArc := (&arcIdentity{selector: selector{"client_id", client}, audience: defaultAudience}).who()
	silent := &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	unknown := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "a.azurecr.io", IsNotFound: true}}
	const (
		login = "login.microsoftonline.com"
		imds  = "169.254.169.254"
		host  = "a.azurecr.io"
	)
	for name, tc := range map[string]struct {
		who       who
		reply     reply
		err       error
		permanent bool
		want      string
	}{
		"a pod nobody vouches for": {asPod, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("700213", "No matching federated identity record found."))}, nil, true,
			"entra at login.microsoftonline.com: status 401 AADSTS700213: No matching federated identity record found. (correlation id " + correlation + "), asking as service account prod/sa as application " + client + " of tenant " + tenant + " for audience https://containerregistry.azure.net: add a federated credential with issuer https://issuer, subject system:serviceaccount:prod:sa and audience api://AzureADTokenExchange to the application or managed identity " + client},
		"a token for others":         {asPod, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("700212", "No match."))}, nil, true, "by default api://AzureADTokenExchange; the kubelet's serviceAccountTokenAudience"},
		"a machine nobody knows":     {asManaged, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("700213", "No match."))}, nil, true, "asking as application " + client + " by managed identity " + client2 + " of tenant " + tenant + " for audience https://containerregistry.azure.net: add a federated credential for the managed identity to the application"},
		"a file nobody knows":        {asFile, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("700211", "No match."))}, nil, true, "add a federated credential with the token's issuer"},
		"a wrong secret":             {asSecret, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("7000215", "Invalid client secret provided."))}, nil, true, "AADSTS7000215: Invalid client secret provided. (correlation id " + correlation + "), asking as application " + client + " with the secret in /s of tenant " + tenant + " for audience https://containerregistry.azure.net: the secret in /s is not the application's: it has to be a secret's value, not its id"},
		"a secret that ended":        {asSecret, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("7000222", "Expired."))}, nil, true, "the secret in /s has expired: create a new one"},
		"a certificate that ended":   {asCertificate, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("700027", "Not registered."))}, nil, true, "the certificate in /c has expired, or is not one"},
		"a wrong clock":              {asCertificate, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("700024", "Not valid."))}, nil, true, "check the node's clock"},
		"no such application":        {asSecret, reply{stage: stageEntra, host: login, status: 400, body: []byte(entra("700016", "Not found."))}, nil, true, "there is no application or managed identity " + client + " in the tenant"},
		"no such tenant":             {asSecret, reply{stage: stageEntra, host: login, status: 400, body: []byte(entra("90002", "Not found."))}, nil, true, "there is no such tenant in this cloud: check the tenant and --cloud"},
		"a policy":                   {asSecret, reply{stage: stageEntra, host: login, status: 400, body: []byte(entra("53003", "Blocked."))}, nil, true, "a Conditional Access policy"},
		"a code of no fame":          {asSecret, reply{stage: stageEntra, host: login, status: 400, body: []byte(entra("12345", "Something."))}, nil, true, "AADSTS12345: Something."},
		"codes alone":                {asSecret, reply{stage: stageEntra, host: login, status: 400, body: []byte(`{"error":"invalid_request","error_codes":[90002]}`)}, nil, true, "status 400 AADSTS90002"},
		"no codes":                   {asSecret, reply{stage: stageEntra, host: login, status: 400, body: []byte(`{"error":"invalid_request"}`)}, nil, true, "status 400 invalid_request"},
		"a page":                     {asSecret, reply{stage: stageEntra, host: login, status: 403, header: http.Header{"Content-Type": {"text/html"}}, body: []byte("<html>eyJhbGciOiJSUzI1NiJ9")}, nil, true, "status 403, asking"},
		"a line":                     {asSecret, reply{stage: stageEntra, host: login, status: 407, header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, body: []byte(" proxy says no\n")}, nil, true, "status 407 proxy says no, asking"},
		"a redirect":                 {asSecret, reply{stage: stageEntra, host: login, status: 302}, nil, true, "something else may answer in Azure's place"},
		"an answer of nonsense":      {asSecret, reply{stage: stageEntra, host: login, status: 200}, errors.New("the answer can not be read"), false, "status 200 the answer can not be read, asking as application " + client + " with the secret in /s of tenant " + tenant + " for audience https://containerregistry.azure.net: something else may answer"},
		"a token of the past":        {machine, reply{stage: stageMetadata, host: imds, status: 200}, errEnded, false, "status 200 the answer holds a token that has no life left, asking as the machine's managed identity for audience https://containerregistry.azure.net: check the node's clock"},
		"Entra throttles":            {asSecret, reply{stage: stageEntra, host: login, status: 429, header: http.Header{"Retry-After": {"7"}}}, nil, false, "requests are throttled"},
		"Entra is at fault":          {asSecret, reply{stage: stageEntra, host: login, status: 503}, nil, false, "Azure is failing"},
		"Entra is out of reach":      {asSecret, reply{stage: stageEntra, host: login, err: silent}, nil, false, "check the node's route, DNS, firewall or proxy for login.microsoftonline.com"},
		"a proxy's certificate":      {asSecret, reply{stage: stageEntra, host: login, err: errors.New("x509: unknown authority")}, nil, false, "--ca-file"},
		"the cluster's certificate":  {asBound, reply{stage: stageBinding, host: "x.ests.aks", err: errors.New("x509: unknown authority")}, nil, false, "check --ib-sni-name, --ib-apiserver-ip and --ib-ca-file"},
		"a pod that is not bound":    {asBound, reply{stage: stageBinding, host: "x.ests.aks", status: 403}, nil, true, "identity binding at x.ests.aks: status 403, asking as service account prod/sa as managed identity " + client + " of tenant " + tenant + " for audience https://containerregistry.azure.net: the managed identity has to be bound to this cluster and to system:serviceaccount:prod:sa, and the kubelet's serviceAccountTokenAudience has to be api://AKSIdentityBinding"},
		"no such identity":           {named, reply{stage: stageMetadata, host: imds, status: 400, body: []byte(`{"error":"invalid_request","error_description":"Identity not found"}`)}, nil, true, "imds at 169.254.169.254: status 400 invalid_request: Identity not found, asking as managed identity " + client + " for audience https://containerregistry.azure.net: the identity is not assigned to this machine"},
		"several identities":         {machine, reply{stage: stageMetadata, host: imds, status: 400, body: []byte(`{"error":"invalid_request","error_description":"Multiple user assigned identities exist"}`)}, nil, true, "the machine has no system-assigned identity, or it has several others: assign one, or name it with --client-id"},
		"metadata being updated":     {machine, reply{stage: stageMetadata, host: imds, status: 410}, nil, false, "is being updated"},
		"no metadata yet":            {machine, reply{stage: stageMetadata, host: imds, status: 404}, nil, false, "is being updated, or is not Azure's; off Azure, name another identity with --credential, such as --credential=azure-arc"},
		"metadata throttled":         {machine, reply{stage: stageMetadata, host: imds, status: 429, header: http.Header{"Retry-After": {"7"}}}, nil, false, "throttled or at fault"},
		"metadata denied":            {machine, reply{stage: stageMetadata, host: imds, status: 403}, nil, true, "something denies this process"},
		"no metadata service":        {machine, reply{stage: stageMetadata, host: imds, err: silent}, nil, true, "there is no metadata service here"},
		"metadata does not listen":   {machine, reply{stage: stageMetadata, host: imds, err: refused}, nil, false, "does not listen, or not yet"},
		"metadata is silent":         {machine, reply{stage: stageMetadata, host: imds, err: errors.New("deadline")}, nil, false, "or it does not answer"},
		"no agent":                   {atArc, reply{stage: stageArc, host: "127.0.0.1:40342", err: refused}, nil, false, "is the Connected Machine agent (himds) installed"},
		"an agent's key":             {atArc, reply{stage: stageArc, host: "127.0.0.1:40342", status: 401}, fmt.Errorf("/x.key: %w", syscall.EACCES), true, "status 401 /x.key: permission denied, asking as managed identity " + client + " for audience https://containerregistry.azure.net: the plugin has to run as root"},
		"an agent's proof":           {atArc, reply{stage: stageArc, host: "127.0.0.1:40342", status: 401, body: []byte(`{"error":"unauthorized","error_description":"no"}`)}, nil, true, "status 401 unauthorized: no, asking as managed identity " + client + " for audience https://containerregistry.azure.net: the plugin has to run as root or in the group himds"},
		"a foreign challenge":        {atArc, reply{stage: stageArc, host: "127.0.0.1:40342", status: 401}, errors.New("the agent's challenge is not Basic realm=FILE"), true, ": something else may listen in place of the Connected Machine agent"},
		"a key that is not there":    {atArc, reply{stage: stageArc, host: "127.0.0.1:40342", status: 401}, fmt.Errorf("/x.key: %w", syscall.ENOENT), true, ": the plugin has to see the files of the machine's Connected Machine agent"},
		"half an agent's answer":     {atArc, reply{stage: stageArc, host: "127.0.0.1:40342", status: 401, err: io.ErrUnexpectedEOF}, nil, false, "status 401 unexpected EOF, asking as managed identity " + client + " for audience https://containerregistry.azure.net: the answer did not come to its end"},
		"half an answer":             {asSecret, reply{stage: stageEntra, host: login, status: 200, err: io.ErrUnexpectedEOF}, nil, false, ": the answer did not come to its end: check the node's route, firewall or proxy for login.microsoftonline.com"},
		"half a refusal":             {named, reply{stage: stageExchange, host: host, status: 401, err: context.DeadlineExceeded}, nil, false, ": the answer did not come to its end: check"},
		"a token file that ended":    {asFile, reply{stage: stageEntra, host: login, status: 401, body: []byte(entra("700024", "Not valid."))}, nil, true, "the token in /t may have expired: see what writes it, and check the node's clock"},
		"a proxy's page":             {asSecret, reply{stage: stageEntra, host: login, status: 403, header: http.Header{"Content-Type": {"text/html"}}, body: []byte("<html>blocked")}, nil, true, ": something else may answer in Entra's place: check proxies"},
		"no right to the repository": {named, reply{stage: stageToken, host: host, status: 401, body: []byte(acr("UNAUTHORIZED", "no"))}, nil, true, ": grant this identity AcrPull, or Container Registry Repository Reader where"},
		"an old agent":               {atArc, reply{stage: stageArc, host: "127.0.0.1:40342", status: 200}, errEcho, true, "bring the Connected Machine agent up to date"},
		"no role":                    {named, reply{stage: stageExchange, host: host, status: 401, header: http.Header{"X-Ms-Correlation-Request-Id": {correlation}}, body: []byte(acr("UNAUTHORIZED", "authentication required"))}, nil, true, "exchange at a.azurecr.io: status 401 UNAUTHORIZED: authentication required (correlation id " + correlation + "), asking as managed identity " + client + " for audience https://containerregistry.azure.net: grant this identity AcrPull, or Container Registry Repository Reader"},
		"a network rule":             {named, reply{stage: stageExchange, host: host, status: 403, body: []byte(acr("DENIED", "client with IP '192.0.2.1' is not allowed access"))}, nil, true, "the registry's network rules deny this node"},
		"another right":              {named, reply{stage: stageToken, host: host, status: 403, body: []byte(acr("UNAUTHORIZED", "no"))}, nil, true, "token at a.azurecr.io: status 403 UNAUTHORIZED: no, asking as managed identity " + client + " for audience https://containerregistry.azure.net: grant this identity"},
		"a registry of nobody":       {named, reply{stage: stageExchange, host: host, status: 404}, nil, true, "there is no such registry, or it knows no such exchange"},
		"a registry without address": {named, reply{stage: stageExchange, host: host, err: unknown}, nil, false, "there is no such registry, or no such name in the node's DNS"},
		"a registry throttles":       {named, reply{stage: stageExchange, host: host, status: 429, header: http.Header{"Retry-After": {"7"}}, body: []byte(acr("TOOMANYREQUESTS", "slow"))}, nil, false, "status 429 TOOMANYREQUESTS: slow, asking"},
		"a wrong tenant":             {named, reply{stage: stageExchange, host: host, status: 400}, nil, true, "check the tenant and the audience"},
		"a correlation that is none": {named, reply{stage: stageExchange, host: host, status: 401, header: http.Header{"X-Ms-Correlation-Request-Id": {"eyJhbGciOi"}}}, nil, true, "exchange at a.azurecr.io: status 401, asking"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.reply.header == nil {
				tc.reply.header = http.Header{}
			}
			err := tc.who.explain(tc.reply.dissect(tc.err))
			failure, ok := errors.AsType[*credential.Failure](err)
			if !ok || failure.Permanent != tc.permanent {
				t.Errorf("got %+v", failure)
			}
			if want := tc.reply.header.Get("Retry-After"); (want != "") != (failure.RetryAfter == 7*time.Second) {
				t.Errorf("to be left alone for %s, want %q", failure.RetryAfter, want)
			}
			for _, hidden := range []string{"Trace ID", "eyJhbGciOi", "<html>"} {
				if strings.Contains(err.Error(), hidden) {
					t.Errorf("%s is in %q", hidden, err)
				}
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want %q", err, tc.want)
			}
		})
	}
}
