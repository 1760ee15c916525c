package cloudhttp

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Step is how far a request came.
type Step int32

// Steps, in order.
const (
	Connecting Step = iota
	Handshake
	Waiting // for the first byte of the answer
	Reading
)

// SilenceError is the error of a request that was given up.
type SilenceError struct {
	Step  Step
	After time.Duration
}

func (e *SilenceError) Error() string {
	switch e.Step {
	case Connecting:
		return "no connection within " + e.After.String()
	case Handshake:
		return "no TLS handshake within " + e.After.String()
	case Waiting:
		return "connected, and no answer within " + e.After.String()
	default:
		return "the answer did not come to its end within " + e.After.String()
	}
}

// Unwrap returns context.DeadlineExceeded.
func (e *SilenceError) Unwrap() error { return context.DeadlineExceeded }

// progress follows a request.
type progress struct{ reached atomic.Int32 }

func (p *progress) step() Step { return Step(p.reached.Load()) }

func (p *progress) trace() *httptrace.ClientTrace {
	reach := func(step Step) { p.reached.Store(int32(step)) }
	return &httptrace.ClientTrace{
		TLSHandshakeStart:    func() { reach(Handshake) },
		GotConn:              func(httptrace.GotConnInfo) { reach(Waiting) },
		GotFirstResponseByte: func() { reach(Reading) },
	}
}
