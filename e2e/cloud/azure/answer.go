package azure

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"

	"regcred/e2e/cloud"
)

const jsonKind = "application/json; charset=utf-8"

func answerJSON(x *cloud.Exchange, document any) error {
	x.Header().Set("Content-Type", jsonKind)
	return json.NewEncoder(x).Encode(document)
}

// refuse is a refusal for what is asked for, which a correct program may meet.
func refuse(status int, code, format string, arguments ...any) cloud.Refusal {
	return cloud.Refusal{Status: status, Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// refuseForm is one that no correct program meets.
func refuseForm(status int, code, format string, arguments ...any) cloud.Refusal {
	refused := refuse(status, code, format, arguments...)
	refused.Form = true
	return refused
}

// errorNumber is how Entra's messages begin.
var errorNumber = regexp.MustCompile(`^AADSTS([0-9]+): `)

// wordEntra words a refusal as Entra does, and what answers in its place on a
// machine.
func wordEntra(refusal cloud.Refusal) (string, []byte) {
	fields := map[string]any{"error": refusal.Code, "error_description": refusal.Message}
	if number := errorNumber.FindStringSubmatch(refusal.Message); number != nil {
		code, _ := strconv.Atoi(number[1]) // digits
		trace, correlation := newGUID(), newGUID()
		fields["error_codes"] = []int{code}
		fields["timestamp"] = "2026-01-02 03:04:05Z"
		fields["trace_id"] = trace
		fields["correlation_id"] = correlation
		fields["error_description"] = fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: 2026-01-02 03:04:05Z", refusal.Message, trace, correlation)
		fields["error_uri"] = fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code)
	}
	body, _ := json.Marshal(fields) // strings and numbers never fail
	return jsonKind, body
}

// formFields reads a form whose fields occur once, each a known one.
func formFields(r *cloud.Request, known ...string) (map[string]string, error) {
	values, err := formValues(r, known...)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for name, all := range values {
		if len(all) != 1 {
			return nil, fmt.Errorf("%s is there %d times", name, len(all))
		}
		fields[name] = all[0]
	}
	return fields, nil
}

// formValues reads a form of known fields.
func formValues(r *cloud.Request, known ...string) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, fmt.Errorf("content type is %q", r.Header.Get("Content-Type"))
	}
	values, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, err
	}
	for name := range values {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown field %q", name)
		}
	}
	return values, nil
}

// newGUID is an identifier of a call, as people are asked for it.
func newGUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: see its documentation
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// withCorrelation names every answer of a service, also those of faults.
func withCorrelation(header string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(header, newGUID())
		handler.ServeHTTP(w, r)
	})
}
