package acr

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
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
	// broken says that the answer began and did not come to its end.
	broken bool
}

// fileProblem is the problem of what is on the node.
func fileProblem(err error) problem {
	return problem{stage: stageFile, text: err.Error(), err: err}
}

// statusError is the error of an answer that is no success.
type statusError int

func (e statusError) Error() string { return "status " + strconv.Itoa(int(e)) }

// dissect takes a reply apart that failed, or that err was found in.
func (r reply) dissect(err error) problem {
	p := problem{stage: r.stage, host: r.host, status: r.status, err: err}
	switch {
	case r.err != nil:
		p.err, p.text, p.broken = r.err, r.err.Error(), r.status != 0
	case err != nil && (r.ok() || r.stage == stageArc && r.status == http.StatusUnauthorized):
		p.text = err.Error()
	default:
		p.code, p.text, p.correlation = readFailure(r.body, r.header.Get("Content-Type"))
		p.retryAfter = cloudhttp.RetryAfter(r.header, time.Now())
		p.err = statusError(r.status)
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
	report := cloudhttp.Report{Stage: p.stage, Host: p.host, Status: p.status, Code: p.code, Text: p.text}
	if p.correlation != "" {
		report.ID = "correlation id " + p.correlation
	}
	return report.String()
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
	case p.broken:
		return false
	case p.ofMachine() && cloudhttp.Unreachable(p.err):
		return !cloudhttp.Refused(p.err)
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
