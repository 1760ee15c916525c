package acr

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// Stages, as messages name them.
const (
	stageFile     = "credentials"
	stageMetadata = "imds"
	stageArc      = "arc"
	stageEntra    = "entra"
	stageBinding  = "identity binding"
	stageExchange = "exchange"
	stageToken    = "token"
)

// who is whose token is asked for, for messages.
type who struct {
	name     string
	tenant   string
	audience string
	// client is the application's id.
	client string
	// pod is whose token vouches for the application, if a pod's does, and
	// federation the audience that such a token has to have.
	pod        *serviceaccount.Token
	federation string
	// file holds the secret or the certificate.
	file string
	// managed says that a managed identity is asked for, and selected that it
	// is named.
	managed, selected bool
	// repository is what may be pulled. Empty means all.
	repository string
}

// String names the identity.
func (w who) String() string {
	text := w.name
	if w.tenant != "" {
		text += " of tenant " + w.tenant
	}
	if w.audience != "" {
		text += " for audience " + w.audience
	}
	if w.repository != "" {
		text += " to pull " + w.repository
	}
	return text
}

// problem is what went wrong, taken apart: what failed, where, and how.
type problem struct {
	stage, host string
	// status is zero if there was no answer.
	status int
	// code and text are what the answer says, and correlation what the
	// service has it in its own log by.
	code, text, correlation string
	retryAfter              time.Duration
	err                     error
}

// problem takes a reply apart that failed, or that err was found in.
func (r reply) problem(err error) problem {
	p := problem{stage: r.stage, host: r.host, status: r.status, err: err}
	switch {
	case r.err != nil:
		p.err, p.text = r.err, r.err.Error()
	case err != nil && (r.ok() || r.stage == stageArc && r.status == http.StatusUnauthorized):
		p.text = err.Error()
	default:
		p.code, p.text, p.correlation = readFailure(r.body, r.header.Get("Content-Type"))
		p.retryAfter = cloudhttp.RetryAfter(r.header, time.Now())
		p.err = fmt.Errorf("status %d", r.status)
	}
	if id := r.header.Get("X-Ms-Correlation-Request-Id"); id != "" && p.correlation == "" {
		p.correlation = id
	}
	if !isGUID(p.correlation) {
		p.correlation = ""
	}
	return p
}

// String is the problem on one line.
func (p problem) String() string {
	var b strings.Builder
	b.WriteString(p.stage)
	if p.host != "" {
		b.WriteString(" at " + p.host)
	}
	b.WriteString(":")
	if p.status != 0 {
		fmt.Fprintf(&b, " status %d", p.status)
	}
	if p.code != "" {
		b.WriteString(" " + p.code)
	}
	if p.text != "" {
		if p.code != "" {
			b.WriteString(":")
		}
		b.WriteString(" " + p.text)
	}
	if p.correlation != "" {
		b.WriteString(" (correlation id " + p.correlation + ")")
	}
	return b.String()
}

// readFailure returns what the body of a failure says. Entra and the metadata
// service answer as OAuth does, and registries with a list.
func readFailure(body []byte, contentType string) (code, text, correlation string) {
	var oauth struct {
		Error       string  `json:"error"`
		Description string  `json:"error_description"`
		Codes       []int64 `json:"error_codes"`
		Correlation string  `json:"correlation_id"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(body, &oauth) == nil && oauth.Error != "" {
		code, text = entraCode(oauth.Error, oauth.Codes, oauth.Description)
		return code, text, oauth.Correlation
	}
	var registry struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(body, &registry) == nil && len(registry.Errors) > 0 {
		return bounded(registry.Errors[0].Code, 80), bounded(registry.Errors[0].Message, 400), ""
	}
	if !strings.HasPrefix(contentType, "text/plain") {
		return "", "", ""
	}
	return "", bounded(string(body), 200), ""
}

// entraCode returns the number that Entra's documentation has for a failure, or
// else its general name, and the text without the number and without what is of
// use to support alone.
func entraCode(name string, codes []int64, description string) (code, text string) {
	number, rest, _ := strings.Cut(description, ":")
	switch {
	case isEntraNumber(number):
		code, description = number, rest
	case len(codes) > 0:
		code = "AADSTS" + strconv.FormatInt(codes[0], 10)
	default:
		code = bounded(name, 80)
	}
	description, _, _ = strings.Cut(description, "Trace ID:")
	return code, bounded(description, 400)
}

// isEntraNumber reports whether s is a number of a failure, such as AADSTS50013.
func isEntraNumber(s string) bool {
	digits, found := strings.CutPrefix(s, "AADSTS")
	return found && digits != "" && len(digits) <= 12 && strings.Trim(digits, "0123456789") == ""
}

func bounded(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.TrimSpace(strings.ToValidUTF8(text, ""))
}

// refused reports whether nothing listens, or not yet.
func (p problem) refused() bool { return errors.Is(p.err, syscall.ECONNREFUSED) }

// unreachable reports whether no connection came about.
func (p problem) unreachable() bool {
	dial, ok := errors.AsType[*net.OpError](p.err)
	return ok && dial.Op == "dial"
}

// unknownHost reports whether the host has no address.
func (p problem) unknownHost() bool {
	lookup, ok := errors.AsType[*net.DNSError](p.err)
	return ok && lookup.IsNotFound
}

// ofMachine reports whether a service on the machine's own link was asked.
func (p problem) ofMachine() bool { return p.stage == stageMetadata || p.stage == stageArc }

// hopeless reports whether trying again changes nothing until somebody changes
// something.
func (p problem) hopeless() bool {
	switch {
	case p.stage == stageFile || errors.Is(p.err, errEcho):
		return true
	case p.ofMachine() && p.unreachable():
		return !p.refused()
	case p.ofMachine() && (p.status == http.StatusNotFound || p.status == http.StatusGone):
		return false // as long as it is being updated
	default:
		return p.status >= 300 && p.status < 500 && p.status != http.StatusTooManyRequests && p.status != http.StatusRequestTimeout
	}
}

// explain makes the message that an operator reads: what failed where, as
// whom, and what to do.
func (w who) explain(p problem) error {
	text := fmt.Sprintf("%s, asking as %s", p, w)
	if advice := w.advice(p); advice != "" {
		text += ": " + advice
	}
	return &credential.Failure{
		Err:        p.err,
		Text:       text,
		Permanent:  p.hopeless(),
		RetryAfter: p.retryAfter,
	}
}

// advice says what to do about a problem, or nothing where that is plain.
func (w who) advice(p problem) string {
	switch {
	case p.stage == stageFile:
		return ""
	case errors.Is(p.err, errEnded):
		return "check the node's clock"
	case p.ofMachine():
		return w.machineAdvice(p)
	case strings.Contains(p.text, "x509:") && p.stage == stageBinding:
		return "check --ib-sni-name, --ib-apiserver-ip and --ib-ca-file"
	case strings.Contains(p.text, "x509:"):
		return "trust the proxy's or endpoint's certificate authority with --ca-file"
	case p.unknownHost() && (p.stage == stageExchange || p.stage == stageToken):
		return "there is no such registry, or no such name in the node's DNS: check the image, and the private DNS zone of a private endpoint"
	case p.status == 0:
		return "check the node's route, DNS, firewall or proxy for " + p.host
	case p.status == http.StatusTooManyRequests:
		return "requests are throttled; the next attempt is made after a pause"
	case p.status >= 500:
		return "Azure has a fault; the next attempt is made after a pause"
	case p.status < 400:
		return "something else may answer in Azure's place: check proxies and endpoints"
	case p.stage == stageEntra:
		return w.entraAdvice(p)
	case p.stage == stageBinding:
		return fmt.Sprintf("the managed identity has to be bound to this cluster and to %s, and the kubelet's serviceAccountTokenAudience has to be %s", w.pod.Subject, w.federation)
	default:
		return w.registryAdvice(p)
	}
}

// machineAdvice is about what does not come from the machine itself.
func (w who) machineAdvice(p problem) string {
	const elsewhere = "off Azure, name another identity with --credential"
	switch {
	case errors.Is(p.err, errEcho):
		return "bring the Connected Machine agent up to date: older ones pass over which identity is asked for"
	case p.stage == stageArc && (p.refused() || p.status == 0):
		return "is the Connected Machine agent (himds) installed and running?"
	case p.stage == stageArc && p.status == http.StatusUnauthorized:
		return "the plugin has to run as root or in the group himds"
	case p.status == http.StatusTooManyRequests || p.status >= 500:
		return "the metadata service is throttled or at fault; the next attempt is made after a pause"
	case p.status == http.StatusNotFound || p.status == http.StatusGone:
		return "the metadata service is being updated, or is not Azure's; " + elsewhere
	case p.status == http.StatusBadRequest && w.selected:
		return "the identity is not assigned to this machine, or the audience is not known: assign it, or correct its id"
	case p.status == http.StatusBadRequest:
		return "the machine has no system-assigned identity, or it has several others: assign one, or name it with --client-id or userAssignedIdentityID"
	case p.status == http.StatusForbidden:
		return "something denies this process the metadata service: check the node's network policies and proxies"
	case p.refused():
		return "the metadata service does not listen, or not yet; " + elsewhere
	case p.status == 0:
		return "there is no metadata service here, or it does not answer; " + elsewhere
	default:
		return ""
	}
}

// entraAdvice is about what Entra refuses.
func (w who) entraAdvice(p problem) string {
	switch p.code {
	case "AADSTS700212":
		return "the token has to be for an audience that a federated credential of the application names, by default " + orElse(w.federation, "that of the cloud") + "; the kubelet's serviceAccountTokenAudience, or the token's file, says for whom it is"
	case "AADSTS700213", "AADSTS700211", "AADSTS70021":
		return w.federatedAdvice()
	case "AADSTS7000215":
		return "the secret in " + w.file + " is not the application's: it has to be a secret's value, not its id"
	case "AADSTS7000222":
		return "the secret in " + w.file + " has ended: make another one"
	case "AADSTS700027":
		return "the certificate in " + w.file + " has ended, or is not one of the application's: add it there"
	case "AADSTS700024":
		return "the proof is not valid at this time: check the node's clock"
	case "AADSTS700016":
		return "there is no application or managed identity " + w.client + " in the tenant: check both ids; an application of another tenant needs consent there first"
	case "AADSTS7000112":
		return "the application is disabled"
	case "AADSTS90002", "AADSTS900021", "AADSTS900023":
		return "there is no such tenant in this cloud: check the tenant and --cloud"
	case "AADSTS53003":
		return "a Conditional Access policy for workload identities blocks it: let the node's addresses in"
	case "AADSTS500011":
		return "the audience is not known in the tenant: check --audience and the tenant"
	default:
		return "look the code up in Microsoft's documentation of Entra's errors"
	}
}

// federatedAdvice says which federated credential is missing.
func (w who) federatedAdvice() string {
	switch {
	case w.pod != nil:
		return fmt.Sprintf("add a federated credential with issuer %s, subject %s and audience %s to the application or managed identity %s", w.pod.Issuer, w.pod.Subject, orElse(w.federation, "the kubelet's serviceAccountTokenAudience"), w.client)
	case w.managed:
		return "add a federated credential for the managed identity to the application: the issuer is its tenant, and the subject its object id"
	default:
		return "add a federated credential with the token's issuer, subject and audience to the application"
	}
}

// registryAdvice is about what a registry refuses.
func (w who) registryAdvice(p problem) string {
	const roles = "AcrPull, or Container Registry Repository Reader where the registry has permissions for repositories (ABAC)"
	denied := strings.Contains(strings.ToLower(p.text), "client with ip")
	switch {
	case p.status == http.StatusForbidden && (denied || p.code == "" || p.code == "DENIED"):
		return "the registry's network rules deny this node: allow its outgoing address, or use a private endpoint; or grant " + roles
	case p.status == http.StatusUnauthorized || p.status == http.StatusForbidden:
		return "grant this identity " + roles + ", and check that the registry is of its tenant; a new role takes up to ten minutes"
	case p.status == http.StatusNotFound:
		return "there is no such registry, or it knows no such exchange: check the image's host"
	case p.status == http.StatusBadRequest:
		return "check the tenant and the audience: the registry takes tokens of its own tenant alone"
	default:
		return ""
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
