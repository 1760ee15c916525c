package cloudtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Send sends one request to a service without a cloud around it, with headers
// given as name and value in turn.
func Send(service http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	service.ServeHTTP(answer, request)
	return answer
}

// Object reads an answer's JSON object.
func Object(t *testing.T, answer *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &fields); err != nil {
		t.Fatalf("%v: %d %s", err, answer.Code, answer.Body)
	}
	return fields
}
