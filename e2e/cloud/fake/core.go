// Package fake is what every fake cloud is built from: the front of its
// services, the ledger of what it has issued and to whom, the shapes of tokens,
// the wording of answers, and the Node that it boots.
package fake

import (
	"net/http"
	"sync"
	"time"

	"regcred/e2e/cloud"
)

// Core is what the services of one fake share: a journal, the faults, a clock,
// and how the fake behaves at the moment.
type Core[S any] struct {
	Calls  *cloud.Calls
	Faults *cloud.Faults

	ahead func(S) time.Duration

	mu       sync.Mutex
	settings S
}

// NewCore makes the core of a fake with zero settings. Ahead says how far the
// fake's clock is ahead of the machine's.
func NewCore[S any](calls *cloud.Calls, faults *cloud.Faults, ahead func(S) time.Duration) *Core[S] {
	return &Core[S]{Calls: calls, Faults: faults, ahead: ahead}
}

// Configure changes the settings, also while services run.
func (c *Core[S]) Configure(change func(*S)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.settings)
}

// Current is the settings as they are.
func (c *Core[S]) Current() S {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings
}

// Now is the time by the fake's own clock.
func (c *Core[S]) Now() time.Time {
	return time.Now().Add(c.ahead(c.Current()))
}

// Front serves a service under the core's journal and faults. Every answer
// tells the fake's time, also one that a fault gives.
func (c *Core[S]) Front(service *cloud.Service) http.Handler {
	service.Calls, service.Faults = c.Calls, c.Faults
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", c.Now().UTC().Format(http.TimeFormat))
		service.ServeHTTP(w, r)
	})
}

// Identified gives every answer of a service a header with an identifier of its
// own, also one that a fault gives.
func Identified(header string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(header, GUID())
		handler.ServeHTTP(w, r)
	})
}
