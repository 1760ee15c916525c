package cloud

import (
	"fmt"
	"net/http"
	"net/netip"
)

// Intercept puts a handler before what answers https://NAME/, which it is given
// and may hand requests on to. A name that nothing answers yet is served at ip,
// and around is given nil.
func (c *Cloud) Intercept(name string, ip netip.Addr, around func(answering http.Handler) http.Handler) error {
	at, err := c.hosts.find(name)
	if err != nil {
		return c.ServeTLS(ip, around(nil), name)
	}
	c.mu.Lock()
	front, ok := c.fronts[at]
	c.mu.Unlock()
	if !ok {
		return fmt.Errorf("cloud: intercept %s: no server at %s", name, at)
	}
	answering, ok := front.handler(name)
	if !ok {
		return fmt.Errorf("cloud: intercept %s: no such server at %s", name, at)
	}
	front.add(around(answering), []string{name})
	return nil
}
