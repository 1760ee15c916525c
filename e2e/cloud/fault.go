package cloud

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is what happens to a call instead of its ordinary answer: a Refusal, a
// Redirect, Slow, Hang, Stall, Reset or a Garble.
type Fault interface {
	// strike reports whether the call is over.
	strike(s *Service, x *Exchange, r *Request) bool
}

// Refusal is an error answer, worded as the service words its own.
type Refusal struct {
	Status     int
	Code       string        // the service's name of the error, such as "ThrottlingException"
	Message    string        // for people
	RetryAfter time.Duration // rounded up to seconds; zero: no such header

	// Form marks a request that broke a rule of form, which makes it a
	// Violation too. A request refused for what it asks for is none.
	Form bool
}

func (f Refusal) Error() string {
	return fmt.Sprintf("%d %s: %s", f.Status, f.Code, f.Message)
}

func (f Refusal) strike(s *Service, x *Exchange, r *Request) bool {
	if f.Form {
		s.Calls.violate(s.Name, r.Host, f.Error())
	}
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		x.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	contentType, body := s.Refuse(f)
	x.Header().Set("Content-Type", contentType)
	x.WriteHeader(f.Status)
	_, _ = x.Write(body) // the client may have left
	return true
}

// Redirect sends a call elsewhere, with its method and body.
type Redirect struct{ To string }

func (f Redirect) strike(_ *Service, x *Exchange, r *Request) bool {
	http.Redirect(x, r.Request, f.To, http.StatusTemporaryRedirect)
	return true
}

// Slow delays a call and lets it go on.
type Slow struct{ Delay time.Duration }

func (f Slow) strike(_ *Service, _ *Exchange, r *Request) bool {
	select {
	case <-time.After(f.Delay):
		return false
	case <-r.Context().Done():
		return true
	}
}

// Hang keeps a call waiting until the client leaves.
type Hang struct{}

func (Hang) strike(_ *Service, _ *Exchange, r *Request) bool {
	<-r.Context().Done()
	panic(http.ErrAbortHandler) // returning would answer with success, if somebody is still there
}

// Stall begins an answer and never ends it.
type Stall struct{}

func (Stall) strike(_ *Service, x *Exchange, r *Request) bool {
	x.Header().Set("Content-Length", "1000")
	x.WriteHeader(http.StatusOK)
	_, _ = x.Write([]byte(`{"`)) // the client may have left
	_ = http.NewResponseController(x).Flush()
	<-r.Context().Done()
	return true
}

// Reset takes the connection away instead of an answer, with a TCP reset.
type Reset struct{}

func (Reset) strike(_ *Service, x *Exchange, _ *Request) bool {
	connection, _, err := http.NewResponseController(x).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // closes it without a reset
	}
	bare := connection
	if wrapped, ok := connection.(interface{ NetConn() net.Conn }); ok {
		bare = wrapped.NetConn()
	}
	if stream, ok := bare.(*net.TCPConn); ok {
		_ = stream.SetLinger(0) // what is not sent is dropped, and the peer is told
	}
	_ = bare.Close()
	return true
}

// Garble answers status 200 and something that is not the answer.
type Garble int

// What there is instead of the answer.
const (
	Empty     Garble = iota + 1 // no body at all
	NotJSON                     // a page of HTML, as a captive portal answers
	Truncated                   // an object that ends early, and the connection with it
	Oversized                   // a well-formed object of more than 4 MiB
)

func (f Garble) strike(_ *Service, x *Exchange, _ *Request) bool {
	var body string
	switch f {
	case Empty:
	case NotJSON:
		x.Header().Set("Content-Type", "text/html")
		body = "<html><body>Please log in to the network.</body></html>"
	case Truncated:
		body = `{"authorizationData":[{"authorizationToken":"QVdTOmhhbGY`
		x.Header().Set("Content-Length", strconv.Itoa(2*len(body)))
	case Oversized:
		body = `{"padding":"` + strings.Repeat("x", 4<<20) + `"}`
	default:
		panic(fmt.Sprintf("cloud: no garble numbered %d", f))
	}
	x.WriteHeader(http.StatusOK)
	_, _ = x.Write([]byte(body)) // the client may have left
	return true
}
