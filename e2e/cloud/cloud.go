// Package cloud puts fake clouds at production names and addresses, so that
// the binaries that ship are the binaries that are tested.
//
// A credential provider plugin finds its cloud at fixed places: a link-local
// metadata address, a handful of HTTPS names, the system's certificate
// authorities. Enter moves the calling program into network and mount
// namespaces of its own, where all of those places are free. New then makes a
// Cloud there: addresses on the loopback interface, names in a private
// /etc/hosts, certificates from a private authority that is the only one the
// namespace trusts, and a journal of everything that was asked.
//
// The packages below this one (aws, …) are the fakes. Each answers as its
// cloud does and refuses what its cloud would refuse.
package cloud

import (
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Cloud is one set of fake services in a namespace, which holds one Cloud at a
// time: its authority is the one that programs started in the namespace trust.
type Cloud struct {
	Calls     *Calls     // everything that was asked, in order of arrival
	Faults    *Faults    // what goes wrong, and with which calls
	Authority *Authority // issues the certificates of ServeTLS

	thread  *thread // nil: the namespace is that of the whole program
	hosts   *hostsFile
	serving sync.WaitGroup
	http2   bool

	mu      sync.Mutex
	closers []io.Closer
	fronts  map[netip.Addr]*front
	ports   map[uint16]bool // that are served
}

// New makes an empty cloud in the namespace that Enter made: no names exist, and
// every look-up is answered "no such name" and journalled as service "dns". It
// returns an error that is ErrUnsupported when the program has not entered a
// namespace.
func New() (*Cloud, error) { return open(nil) }

// Apart makes an empty cloud like New, in a namespace of its own: any number of
// them may be there at the same time. A program is in the namespace that Start
// starts, and this program is not.
func Apart() (*Cloud, error) {
	if !entered() {
		return nil, fmt.Errorf("%w: the program has not entered one", ErrUnsupported)
	}
	thread, err := newThread()
	if err != nil {
		return nil, err
	}
	cloud, err := open(thread)
	if err != nil {
		thread.end()
	}
	return cloud, err
}

func open(thread *thread) (*Cloud, error) {
	if !entered() {
		return nil, fmt.Errorf("%w: the program has not entered one", ErrUnsupported)
	}
	authority, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(thread.path(bundlePath), authority.PEM(), 0o644); err != nil {
		return nil, fmt.Errorf("cloud: trust the authority: %w", err)
	}
	hosts, err := openHosts(thread.path(hostsPath))
	if err != nil {
		return nil, err
	}
	cloud := &Cloud{
		Calls:     &Calls{},
		Faults:    &Faults{},
		Authority: authority,
		thread:    thread,
		hosts:     hosts,
		fronts:    map[netip.Addr]*front{},
		ports:     map[uint16]bool{},
	}
	cloud.Calls.settle = cloud.settle
	if err := cloud.serveNames(); err != nil {
		return nil, errors.Join(err, cloud.Close())
	}
	return cloud, nil
}

// Close stops the servers, ends the calls that still hang and takes the names
// and the authority away. Addresses stay: they do no harm without a server.
func (c *Cloud) Close() error {
	c.mu.Lock()
	closers := c.closers
	c.closers = nil
	c.mu.Unlock()

	var failures []error
	for _, closer := range closers {
		failures = append(failures, closer.Close())
	}
	c.serving.Wait()
	failures = append(failures, c.hosts.restore(), os.Truncate(c.Path(bundlePath), 0))
	c.thread.end()
	return errors.Join(failures...)
}

// AddAddress gives the loopback interface one more address. An address that
// is there already is no error.
func (c *Cloud) AddAddress(ip netip.Addr) error {
	if err := c.thread.do(func() error { return addLoopbackAddress(ip) }); err != nil {
		return fmt.Errorf("cloud: add address %s: %w", ip, err)
	}
	return nil
}

// AddHosts makes names resolve to ip. A name may be given several addresses.
func (c *Cloud) AddHosts(ip netip.Addr, names ...string) error {
	return c.hosts.add(ip, names)
}

// IPv6 reports whether addresses of that family can be added here.
func (c *Cloud) IPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// WriteFile puts a file on the machine, where only the programs in the namespace
// find it, and returns its path.
func (c *Cloud) WriteFile(name string, content []byte) (path string, err error) {
	path = OwnDir + "/" + name
	if err := os.WriteFile(c.Path(path), content, 0o600); err != nil {
		return "", fmt.Errorf("cloud: %w", err)
	}
	return path, nil
}

// Serve answers plain HTTP at an address and port, which it adds first.
func (c *Cloud) Serve(at netip.AddrPort, handler http.Handler) error {
	listener, err := c.listen(at)
	if err != nil {
		return err
	}
	c.run(listener, handler)
	return nil
}

// listen adds an address and opens a TCP port of it.
func (c *Cloud) listen(at netip.AddrPort) (net.Listener, error) {
	if err := c.AddAddress(at.Addr()); err != nil {
		return nil, err
	}
	var listener net.Listener
	err := c.thread.do(func() (err error) {
		listener, err = net.Listen("tcp", at.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cloud: %w", err)
	}
	c.serves(at.Port())
	return listener, nil
}

// serves notes a port as one of the cloud's own.
func (c *Cloud) serves(port uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports[port] = true
}

// SpeakHTTP2 lets what is served by TLS from now on speak HTTP/2, too. A fault
// can then not reset a connection: HTTP/1.1 alone lets it take the bare
// connection away from under a call.
func (c *Cloud) SpeakHTTP2() { c.http2 = true }

func (c *Cloud) run(listener net.Listener, handler http.Handler) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(c.http2)
	server := &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that leaves is no news here
	}
	c.closeLater(server)
	c.serving.Go(func() { _ = server.Serve(listener) })
}

// settle returns when all is in the journal that was asked by programs that have
// ended, or after a while. They need not have waited for an answer.
func (c *Cloud) settle() {
	c.mu.Lock()
	ports := maps.Clone(c.ports)
	c.mu.Unlock()
	for deadline := time.Now().Add(10 * time.Second); c.thread.unread(ports) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

func (c *Cloud) closeLater(closer io.Closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, closer)
}
