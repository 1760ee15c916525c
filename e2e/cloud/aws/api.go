package aws

import (
	"fmt"
	"net/http"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// apiService is what STS, ECR and ECR Public have in common.
func (f *Fake) apiService(service *cloud.Service) http.Handler {
	answer := service.Answer
	service.Answer = func(x *cloud.Exchange, r *cloud.Request) error {
		select {
		case <-time.After(f.Current().Latency):
		case <-r.Context().Done(): // the client has left
		}
		return answer(x, r)
	}
	return fake.Identified("X-Amzn-Requestid", f.Front(service))
}

// checkTarget asks for what every API here asks: a POST to the root.
func checkTarget(r *cloud.Request) error {
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/" {
		return formRefusal("UnknownOperationException", fmt.Sprintf("no operation at %s %s", r.Method, r.URL.Path))
	}
	return nil
}
