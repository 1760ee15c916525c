package fake

import (
	"encoding/json"
	"fmt"

	"regcred/e2e/cloud"
)

const jsonKind = "application/json; charset=UTF-8"

// AnswerJSON answers a document.
func AnswerJSON(x *cloud.Exchange, document any) error {
	x.Header().Set("Content-Type", jsonKind)
	return json.NewEncoder(x).Encode(document)
}

// Refuse is a refusal for what is asked for, which a correct program may meet.
func Refuse(status int, code, format string, arguments ...any) cloud.Refusal {
	return cloud.Refusal{Status: status, Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// RefuseForm is one that no correct program meets.
func RefuseForm(status int, code, format string, arguments ...any) cloud.Refusal {
	refused := Refuse(status, code, format, arguments...)
	refused.Form = true
	return refused
}

// WordJSON is a refusal whose body is a document.
func WordJSON(document any) (contentType string, body []byte) {
	body, _ = json.Marshal(document) // fakes word theirs in strings and numbers, which never fail
	return jsonKind, body
}

// WordOAuth words a refusal as RFC 6749, section 5.2, has it.
func WordOAuth(refusal cloud.Refusal) (contentType string, body []byte) {
	return WordJSON(map[string]string{"error": refusal.Code, "error_description": refusal.Message})
}
