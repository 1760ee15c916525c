package azure

import (
	"net/http"
	"strconv"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
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
	handler := f.Front(&cloud.Service{
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
		return fake.Refuse(http.StatusTooManyRequests, "too_many_requests", "Too many requests")
	}
	asked, err := f.parseMachineQuery(r, imdsVersion)
	if err != nil {
		return err
	}
	if r.Header.Get("Authorization") != "" {
		return fake.RefuseForm(http.StatusBadRequest, invalidRequest, "credentials have no place here")
	}
	settings := f.Current().IMDS
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
	return fake.AnswerJSON(x, fields)
}

// machineFields is an answer to a program on a machine. Its numbers are strings.
func (f *Fake) machineFields(issued fake.Grant, resource string) map[string]any {
	left := strconv.Itoa(int(issued.Expires.Sub(f.Now()).Seconds()))
	return issued.Shape.Apply(map[string]any{
		"access_token":   issued.Token,
		"refresh_token":  "",
		"expires_in":     left,
		"ext_expires_in": left,
		"expires_on":     strconv.FormatInt(issued.Expires.Unix(), 10),
		"not_before":     strconv.FormatInt(issued.Issued.Unix(), 10),
		"resource":       resource,
		"token_type":     "Bearer",
	}, "access_token", "expires_in", "ext_expires_in", "expires_on")
}
