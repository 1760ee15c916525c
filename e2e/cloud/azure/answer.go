package azure

import (
	"fmt"
	"regexp"
	"strconv"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// errorNumber is how Entra's messages begin.
var errorNumber = regexp.MustCompile(`^AADSTS([0-9]+): `)

// wordEntra words a refusal as Entra does, and what answers in its place on a
// machine.
func wordEntra(refusal cloud.Refusal) (string, []byte) {
	fields := map[string]any{"error": refusal.Code, "error_description": refusal.Message}
	if number := errorNumber.FindStringSubmatch(refusal.Message); number != nil {
		code, _ := strconv.Atoi(number[1]) // digits
		trace, correlation := fake.GUID(), fake.GUID()
		fields["error_codes"] = []int{code}
		fields["timestamp"] = "2026-01-02 03:04:05Z"
		fields["trace_id"] = trace
		fields["correlation_id"] = correlation
		fields["error_description"] = fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: 2026-01-02 03:04:05Z", refusal.Message, trace, correlation)
		fields["error_uri"] = fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code)
	}
	return fake.WordJSON(fields)
}
