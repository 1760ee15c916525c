package acr

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"regcred/shared/cloudhttp"
)

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
	case p.broken:
		return "the answer did not come to its end: check the node's route, firewall or proxy for " + p.host
	case p.status == http.StatusTooManyRequests:
		return "requests are throttled; the next attempt is made after a pause"
	case p.status >= 500:
		return "Azure is failing; the next attempt is made after a pause"
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
	const elsewhere = "off Azure, name another identity with --credential, such as --credential=azure-arc on a machine that Azure Arc manages"
	switch {
	case p.broken:
		return "the answer did not come to its end; the next attempt is made after a pause"
	case errors.Is(p.err, errEcho):
		return "bring the Connected Machine agent up to date: older ones pass over which identity is asked for"
	case p.stage == stageArc && (cloudhttp.Refused(p.err) || p.status == 0):
		return "is the Connected Machine agent (himds) installed and running?"
	case p.stage == stageArc && p.status == http.StatusUnauthorized:
		return proofAdvice(p.err)
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
	case cloudhttp.Refused(p.err):
		return "the metadata service does not listen, or not yet; " + elsewhere
	case p.status == 0:
		return "there is no metadata service here, or it does not answer; " + elsewhere
	default:
		return ""
	}
}

// proofAdvice is about what the agent of Arc wants to be shown.
func proofAdvice(err error) string {
	switch {
	case errors.Is(err, statusError(http.StatusUnauthorized)) || errors.Is(err, fs.ErrPermission):
		return "the plugin has to run as root or in the group himds"
	case errors.Is(err, fs.ErrNotExist):
		return "the plugin has to see the files of the machine's Connected Machine agent (himds)"
	default:
		return "something else may listen in place of the Connected Machine agent (himds)"
	}
}

// entraAdvice is about what Entra refuses.
func (w who) entraAdvice(p problem) string {
	if !isEntraNumber(p.code) {
		return "something else may answer in Entra's place: check proxies"
	}
	switch p.code {
	case "AADSTS700212":
		return "the token has to be for an audience that a federated credential of the application names, by default " + orElse(w.federation, "that of the cloud") + "; the kubelet's serviceAccountTokenAudience, or the token's file, says for whom it is"
	case "AADSTS700213", "AADSTS700211", "AADSTS70021":
		return w.federatedAdvice()
	case "AADSTS7000215":
		return "the secret in " + w.file + " is not the application's: it has to be a secret's value, not its id"
	case "AADSTS7000222":
		return "the secret in " + w.file + " has expired: create a new one"
	case "AADSTS700027":
		return "the certificate in " + w.file + " has expired, or is not one of the application's: add it there"
	case "AADSTS700024":
		if w.tokenFile != "" {
			return "the token in " + w.tokenFile + " may have expired: see what writes it, and check the node's clock"
		}
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
	case w.vouched:
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
