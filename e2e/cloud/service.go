package cloud

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxRequest is more than any API served here accepts, in bytes.
const maxRequest = 1 << 20

// Service is the front of one fake service. It journals each request, lets
// the faults in, and hands the rest to the service's own Answer.
type Service struct {
	Name   string
	Calls  *Calls
	Faults *Faults

	// Operation names what a request asks for, before anything of it has
	// been checked.
	Operation func(r *Request) string
	// Answer writes the answer, or returns a Refusal before it has written
	// anything. Any other error is a defect of the fake, answered as status
	// 500.
	Answer func(x *Exchange, r *Request) error
	// Refuse words a refusal as the service does.
	Refuse func(refusal Refusal) (contentType string, body []byte)
}

// Request is a request whose body has been read.
type Request struct {
	*http.Request
	Body []byte
}

// Exchange is the answering side of one request.
type Exchange struct {
	http.ResponseWriter
	record *record
	begun  bool // the status has been written
}

// Summarize says in the journal who asked for what. It must hold no secret.
func (x *Exchange) Summarize(format string, arguments ...any) {
	x.record.summarize(fmt.Sprintf(format, arguments...))
}

// WriteHeader journals the status before it leaves.
func (x *Exchange) WriteHeader(status int) {
	x.begun = true
	x.record.answered(status)
	x.ResponseWriter.WriteHeader(status)
}

func (x *Exchange) Write(content []byte) (int, error) {
	if !x.begun {
		x.WriteHeader(http.StatusOK)
	}
	return x.ResponseWriter.Write(content)
}

// Unwrap is for http.ResponseController.
func (x *Exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The body is read even when a fault makes it useless: the server notices
	// that a client has left only after that.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		s.Calls.violate(s.Name, r.Host, err.Error())
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	request := &Request{Request: r, Body: body}
	operation := s.Operation(request)
	x := &Exchange{
		ResponseWriter: w,
		record:         s.Calls.open(Call{Service: s.Name, Operation: operation, Host: r.Host, Protocol: r.Proto}),
	}
	for _, fault := range s.Faults.strike(s.Name, operation) {
		if fault.strike(s, x, request) {
			return
		}
	}
	s.answer(x, request)
}

func (s *Service) answer(x *Exchange, r *Request) {
	err := s.Answer(x, r)
	if err == nil {
		return
	}
	var refusal Refusal
	if !errors.As(err, &refusal) {
		refusal = Refusal{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
	}
	refusal.strike(s, x, r)
}
