package gcp

import (
	"encoding/json"
	"fmt"
	"net/http"

	"regcred/e2e/cloud"
)

// service is what all services here have in common.
func (f *Fake) service(service *cloud.Service) http.Handler {
	service.Calls, service.Faults = f.calls, f.faults
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
		service.ServeHTTP(w, r)
	})
}

func answerJSON(x *cloud.Exchange, document any) error {
	x.Header().Set("Content-Type", "application/json; charset=UTF-8")
	return json.NewEncoder(x).Encode(document)
}

// oauthRefusal is worded as RFC 6749, section 5.2, has it.
func oauthRefusal(code, format string, arguments ...any) cloud.Refusal {
	return cloud.Refusal{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// oauthFormRefusal is one that no correct program meets.
func oauthFormRefusal(code, format string, arguments ...any) cloud.Refusal {
	refused := oauthRefusal(code, format, arguments...)
	refused.Form = true
	return refused
}

func refuseOAuth(refusal cloud.Refusal) (string, []byte) {
	body, _ := json.Marshal(map[string]string{"error": refusal.Code, "error_description": refusal.Message}) // strings never fail
	return "application/json; charset=UTF-8", body
}
