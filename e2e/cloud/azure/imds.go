package azure

import (
	"net/http"
	"strconv"

	"regcred/e2e/cloud"
)

const (
	imdsVersion = "2018-02-01"
	// maxAtIMDS is how many calls of the identity category the service answers
	// at once on one machine.
	maxAtIMDS = 5
)

// IMDS is the instance metadata service of a virtual machine. It answers only a
// GET that carries Metadata: true and did not come through a proxy, and no more
// than five at once. Its operation is GetToken, or GetMetadata for any other
// path.
func (f *Fake) IMDS() http.Handler {
	handler := f.service(&cloud.Service{
		Name:      "imds",
		Operation: machineOperation,
		Answer:    f.answerIMDS,
		Refuse:    wordEntra,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.atIMDS.Add(1)
		defer f.atIMDS.Add(-1)
		w.Header().Set("Server", "IMDS/150.870.65.1854")
		handler.ServeHTTP(w, r)
	})
}

func machineOperation(r *cloud.Request) string {
	if r.URL.Path == machinePath {
		return "GetToken"
	}
	return "GetMetadata"
}

func (f *Fake) answerIMDS(x *cloud.Exchange, r *cloud.Request) error {
	if f.atIMDS.Load() > maxAtIMDS {
		return refuse(http.StatusTooManyRequests, "too_many_requests", "Too many requests")
	}
	asked, err := f.parseMachineQuery(r, imdsVersion)
	if err != nil {
		return err
	}
	if r.Header.Get("Authorization") != "" {
		return refuseForm(http.StatusBadRequest, invalidRequest, "credentials have no place here")
	}
	settings := f.current().IMDS
	identity, assigned, err := settings.find(asked)
	x.Summarize("%s %s for %s", asked.name, asked.value, asked.resource)
	if err != nil {
		return err
	}
	issued := f.instanceToken("imds", settings.InstanceSettings, identity, assigned, asked.resource)
	fields := f.machineFields(issued, asked.resource)
	fields["client_id"] = identity.ClientID
	if settings.Numbers {
		for name, value := range fields {
			if number, err := strconv.Atoi(value.(string)); err == nil {
				fields[name] = number
			}
		}
	}
	return answerJSON(x, fields)
}

// machineFields is an answer to a program on a machine. Its numbers are strings.
func (f *Fake) machineFields(issued grant, resource string) map[string]any {
	left := strconv.Itoa(int(issued.expires.Sub(f.now()).Seconds()))
	fields := map[string]any{
		"access_token":   issued.text,
		"refresh_token":  "",
		"expires_in":     left,
		"ext_expires_in": left,
		"expires_on":     strconv.FormatInt(issued.expires.Unix(), 10),
		"not_before":     strconv.FormatInt(issued.issued.Unix(), 10),
		"resource":       resource,
		"token_type":     "Bearer",
	}
	switch issued.shape {
	case NoFields:
		return map[string]any{}
	case EmptyToken:
		fields["access_token"] = ""
	case NoExpiry:
		delete(fields, "expires_in")
		delete(fields, "ext_expires_in")
		delete(fields, "expires_on")
	}
	return fields
}
