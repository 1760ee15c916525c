package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"regcred/e2e/cloud"
)

const jsonType = "application/x-amz-json-1.1"

// jsonService is an API of the AWS JSON 1.1 protocol with one operation: a
// POST to / that names its target in a header and is signed.
func (f *Fake) jsonService(e endpoint, target string, answer func(caller Principal, body []byte) (any, error)) http.Handler {
	return f.apiService(&cloud.Service{
		Name:      e.service,
		Operation: jsonOperation,
		Answer: func(x *cloud.Exchange, r *cloud.Request) error {
			if err := checkJSON(r, target); err != nil {
				return err
			}
			caller, err := f.authenticate(r, e)
			if err != nil {
				return err
			}
			x.Summarize("%s", caller.ARN)
			content, err := answer(caller, r.Body)
			if err != nil {
				return err
			}
			x.Header().Set("Content-Type", jsonType)
			return json.NewEncoder(x).Encode(content)
		},
		Refuse: refuseJSON,
	})
}

func jsonOperation(r *cloud.Request) string {
	target := r.Header.Get("X-Amz-Target")
	return target[strings.LastIndex(target, ".")+1:]
}

func refuseJSON(refusal cloud.Refusal) (string, []byte) {
	body, _ := json.Marshal(map[string]string{"__type": refusal.Code, "message": refusal.Message}) // strings never fail
	return jsonType, body
}

// checkJSON verifies everything of a request's form but its signature.
func checkJSON(r *cloud.Request, target string) error {
	if err := checkTarget(r); err != nil {
		return err
	}
	if got := r.Header.Get("X-Amz-Target"); got != target {
		return formRefusal("UnknownOperationException", fmt.Sprintf("no operation %q", got))
	}
	if got := r.Header.Get("Content-Type"); got != jsonType {
		return formRefusal("SerializationException", fmt.Sprintf("content type is %q", got))
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &object); err != nil || object == nil {
		return formRefusal("SerializationException", "the body is not an object")
	}
	return nil
}
