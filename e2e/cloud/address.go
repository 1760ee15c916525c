package cloud

import (
	"crypto/tls"
	"net/http"
	"net/netip"
)

// ServeTLSAt answers HTTPS at an address and port, which it adds first, for
// clients that know no name of it. The certificate is of an authority that no
// program in the namespace trusts unasked.
func (c *Cloud) ServeTLSAt(at netip.AddrPort, authority *Authority, handler http.Handler) error {
	certificate, err := authority.Certificate(at.Addr().String())
	if err != nil {
		return err
	}
	listener, err := c.listen(at)
	if err != nil {
		return err
	}
	c.run(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}}), handler)
	return nil
}
