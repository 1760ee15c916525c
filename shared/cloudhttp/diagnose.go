package cloudhttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"strings"
	"syscall"

	"regcred/shared/credential"
)

// Diagnosis is what is wrong, in plain words, and what to do about it.
type Diagnosis struct {
	Problem, Advice string

	// Permanent means that trying again changes nothing until somebody changes
	// something.
	Permanent bool
}

// Service is who was asked, for a Diagnosis.
type Service struct {
	// Name is how an operator knows the service: "ECR", "the metadata service".
	Name string

	// Elsewhere says what to do where there is no such service, as for a
	// metadata service off its cloud. Empty for an API, which is somewhere.
	Elsewhere string

	// Own reports by its form whether an answer that is no success is the
	// service's own: every cloud has a metadata service at the same address.
	// Nil means that this cannot be told.
	Own func(Reply) bool

	// CAFlag is the flag that names the authorities that are trusted there.
	// Empty means --ca-file.
	CAFlag string
}

// Diagnose says what is wrong on the way to a service, or that it has a fault,
// or that something else answers in its place. It reports false for what the
// service itself refuses: that is for its plugin to explain.
func (r Reply) Diagnose(s Service) (Diagnosis, bool) {
	if r.Err != nil {
		return r.diagnoseWay(s), true
	}
	switch {
	case r.Status == http.StatusTooManyRequests:
		return Diagnosis{s.Name + " throttles requests", pause, false}, true
	case r.Status == http.StatusRequestTimeout || r.Status >= 500:
		return Diagnosis{s.Name + " has a fault", pause, false}, true
	case r.Status >= 300 && s.Own != nil && !s.Own(r):
		return Diagnosis{"what answers at " + r.Host + " is not " + s.Name, s.Elsewhere, true}, true
	case r.Status >= 300 && r.Status < 400:
		return impostor(s, r.Host+" redirects elsewhere, which is not followed"), true
	case r.Status >= 200 && r.Status < 300:
		return senseless(s, "the answer of "+r.Host+" makes no sense"), true
	case r.Status >= 400 && s.Own == nil && r.isPage():
		return impostor(s, r.Host+" answers with a page for people"), true
	}
	return Diagnosis{}, false
}

const pause = "the next attempt is made after a pause"

func impostor(s Service, problem string) Diagnosis {
	return Diagnosis{problem, "something else may answer in place of " + s.Name + ": check proxies and endpoints", true}
}

// senseless is about a success that is of no use. It may be as well of a service
// that is in order again in a moment.
func senseless(s Service, problem string) Diagnosis {
	d := impostor(s, problem)
	d.Permanent = false
	return d
}

// isPage reports whether an answer is HTML, as of a portal or a proxy.
func (r Reply) isPage() bool {
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return contentType == "text/html"
}

// diagnoseWay says why there is no answer.
func (r Reply) diagnoseWay(s Service) Diagnosis {
	host, _, found := strings.Cut(r.Host, ":")
	if !found || strings.HasPrefix(r.Host, "[") {
		host = r.Host
	}
	if d, ok := diagnoseSettings(r.Err, s); ok {
		return d
	}
	if d, ok := diagnoseProxy(r.Err, host); ok {
		return d
	}
	if d, ok := diagnoseTLS(r.Err, host, s); ok {
		return d
	}
	var silence *SilenceError
	switch {
	case errors.Is(r.Err, context.Canceled):
		return Diagnosis{Problem: "stopped before " + s.Name + " answered"}
	case errors.Is(r.Err, context.DeadlineExceeded) && !errors.As(r.Err, &silence) && !isA[*net.OpError](r.Err):
		// What was asked before has taken it all.
		return Diagnosis{Problem: "no time was left to ask " + s.Name}
	case isA[*net.DNSError](r.Err):
		return diagnoseName(r.Err, host)
	case errors.Is(r.Err, syscall.ECONNREFUSED) && s.Elsewhere != "":
		return Diagnosis{"nothing listens at " + r.Host + ", or not yet", "is " + s.Name + " running? " + s.Elsewhere, false}
	case errors.Is(r.Err, syscall.ECONNREFUSED):
		return Diagnosis{"nothing listens at " + r.Host, "check the node's route, firewall and proxy for " + host, false}
	case errors.Is(r.Err, ErrTooLarge):
		return senseless(s, "the answer of "+r.Host+" is larger than 1 MiB")
	case errors.As(r.Err, &silence) && silence.Step >= Waiting:
		return Diagnosis{s.Name + " accepted the connection and did not answer in time", pause, false}
	case speaksNoHTTP(r.Err):
		return impostor(s, "what answers at "+r.Host+" does not speak HTTP")
	case brokeOff(r.Err):
		return Diagnosis{"the connection to " + r.Host + " broke off before the answer came to its end", "check what is between the node and " + s.Name + "; " + pause, false}
	case s.Elsewhere != "":
		return Diagnosis{"there is nothing at " + r.Host + ", where " + s.Name + " would be", s.Elsewhere, true}
	default:
		return Diagnosis{host + " cannot be reached", "check the node's route, firewall and proxy for " + host, false}
	}
}

// speaksNoHTTP reports whether there was an answer that HTTP cannot read, such as
// another protocol's or headers without end. Go has no other sign of it.
func speaksNoHTTP(err error) bool {
	text := err.Error()
	return strings.Contains(text, "malformed HTTP") || strings.Contains(text, "server response headers exceeded")
}

// diagnoseSettings is about what the operator set.
func diagnoseSettings(err error, s Service) (Diagnosis, bool) {
	if bundle, ok := errors.AsType[fileError](err); ok {
		return Diagnosis{bundle.Error(), "correct " + s.caFlag() + " or the file", true}, true
	}
	if variable, ok := errors.AsType[proxyVariableError](err); ok {
		return Diagnosis{variable.Error(), "correct it, such as http://proxy.example.com:3128", true}, true
	}
	return Diagnosis{}, false
}

// diagnoseProxy is about a proxy that is in the way.
func diagnoseProxy(err error, host string) (Diagnosis, bool) {
	if proxy, ok := errors.AsType[proxyError](err); ok {
		problem := fmt.Sprintf("the proxy %s does not connect to %s (status %d)", proxy.proxy, host, proxy.status)
		switch {
		case proxy.status == http.StatusProxyAuthRequired:
			return Diagnosis{problem, "the proxy wants a user name and password: put them into HTTPS_PROXY", true}, true
		case proxy.status == http.StatusTooManyRequests || proxy.status >= 500:
			return Diagnosis{problem, "check the proxy; " + pause, false}, true
		default:
			return Diagnosis{problem, "allow " + host + " there, or add it to NO_PROXY", true}, true
		}
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "proxyconnect" {
		return Diagnosis{"the proxy cannot be reached", "check HTTPS_PROXY, and the way to it", false}, true
	}
	return Diagnosis{}, false
}

// diagnoseName is about a name without an address.
func diagnoseName(err error, host string) Diagnosis {
	lookup, _ := errors.AsType[*net.DNSError](err)
	if lookup.IsNotFound {
		return Diagnosis{host + " has no address in DNS", "check the name, and the node's private DNS zones", false}
	}
	return Diagnosis{"DNS does not answer for " + host, "check the node's DNS servers (/etc/resolv.conf)", false}
}

// diagnoseTLS is about certificates and what is no TLS.
func diagnoseTLS(err error, host string, s Service) (Diagnosis, bool) {
	var (
		invalid x509.CertificateInvalidError
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		alert   tls.AlertError
		silence *SilenceError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Diagnosis{"the certificate of " + host + " is not valid at this node's time", "check the node's clock; if it is right, the certificate has expired", false}, true
	case errors.As(err, &name):
		return Diagnosis{"the server that " + host + " leads to has no certificate for that name", "the name leads elsewhere: check private DNS, endpoints and proxies", true}, true
	case errors.As(err, &verify) && !errors.As(err, &unknown):
		return Diagnosis{"the certificate of " + host + " cannot be verified", "check what is between the node and " + s.Name, true}, true
	case errors.As(err, &unknown):
		return Diagnosis{"the certificate of " + host + " is of an authority that this node does not trust", "if it is your proxy's or endpoint's, trust it with " + s.caFlag(), true}, true
	case errors.As(err, &record):
		return Diagnosis{"what answers at " + host + " does not speak TLS", "something else may answer in place of " + s.Name + ": check proxies and endpoints", true}, true
	case errors.As(err, &alert):
		return Diagnosis{host + " refuses the TLS connection", "check what is between the node and " + s.Name, true}, true
	case errors.As(err, &silence) && silence.Step == Handshake || strings.HasSuffix(err.Error(), "TLS handshake timeout"):
		return Diagnosis{host + " accepted the connection and did not finish the TLS handshake", "check the firewall and proxy for " + host + "; " + pause, false}, true
	}
	return Diagnosis{}, false
}

func (s Service) caFlag() string {
	if s.CAFlag == "" {
		return "--ca-file"
	}
	return s.CAFlag
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// Failure makes the failure of a reply: what is wrong, what to do, and as
// evidence what was seen of the service, and of whom it was asked as.
func (r Reply) Failure(d Diagnosis, said Said, caller string) *credential.Failure {
	err := r.Err
	if err == nil {
		err = statusError(r.Status)
	}
	return &credential.Failure{
		Problem:    d.Problem,
		Advice:     d.Advice,
		Evidence:   r.evidence(d, said, caller),
		Err:        err,
		Permanent:  d.Permanent,
		RetryAfter: r.RetryAfter(),
	}
}

// statusError is the error of an answer that is no success.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// Useless makes the failure of an answer that came as a success and holds nothing
// of use, as err says. ID is what the service knows the request by, or empty.
func (r Reply) Useless(s Service, id, caller string, err error) *credential.Failure {
	d, _ := r.Diagnose(s) // which says that the answer makes no sense
	d.Problem = err.Error()
	if errors.Is(err, credential.ErrExpired) {
		d.Advice = "check the node's clock"
	}
	failure := r.Failure(d, Said{ID: id}, caller)
	failure.Err = err
	return failure
}

// evidence is "STAGE at HOST: status STATUS CODE: TEXT; ID; as CALLER". A status
// of success is no news, nor what the diagnosis says already.
func (r Reply) evidence(d Diagnosis, said Said, caller string) string {
	var b strings.Builder
	b.WriteString(r.Stage)
	if r.Host != "" {
		b.WriteString(" at " + r.Host)
	}
	text := said.Text
	if r.Err != nil {
		text = Bounded(r.Err.Error(), 300)
		if strings.Contains(d.Problem, text) {
			text = ""
		}
	}
	var parts []string
	if r.Status >= 300 {
		parts = append(parts, fmt.Sprintf("status %d", r.Status))
	}
	if said.Code != "" {
		parts = append(parts, said.Code)
	}
	if len(parts) > 0 {
		b.WriteString(": " + strings.Join(parts, " "))
	}
	if text = strings.TrimRight(text, " ."); text != "" {
		b.WriteString(": " + text)
	}
	if said.ID != "" {
		b.WriteString("; " + said.ID)
	}
	if caller != "" {
		b.WriteString("; as " + caller)
	}
	return b.String()
}
