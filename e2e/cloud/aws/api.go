package aws

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"regcred/e2e/cloud"
)

// apiService is what STS, ECR and ECR Public have in common.
func (f *Fake) apiService(service *cloud.Service) http.Handler {
	answer := service.Answer
	service.Calls, service.Faults = f.calls, f.faults
	service.Answer = func(x *cloud.Exchange, r *cloud.Request) error {
		select {
		case <-time.After(f.current().Latency):
		case <-r.Context().Done(): // the client has left
		}
		return answer(x, r)
	}
	return f.dated(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Requestid", requestID())
		service.ServeHTTP(w, r)
	}))
}

// dated makes every answer tell the fake's time, also one that a fault gives.
func (f *Fake) dated(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	})
}

// requestID is a random UUID.
func requestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: see its documentation
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// checkTarget asks for what every API here asks: a POST to the root.
func checkTarget(r *cloud.Request) error {
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/" {
		return formRefusal("UnknownOperationException", fmt.Sprintf("no operation at %s %s", r.Method, r.URL.Path))
	}
	return nil
}
