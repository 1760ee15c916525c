package cloudtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regcred/e2e/cloud"
)

const proxyURL = "http://192.0.2.3:3128"

// A proxy is for the way out of the node. Whoever runs it must not see what the
// machine's own services say.
func (s Suite[F]) proxies(t *testing.T) {
	through := func(n *Node[F], calls Calls) Calls {
		var all Calls
		for _, call := range calls {
			// A host that is asked twice is connected to once.
			connect := "proxy CONNECT " + hostOf(call) + ":443"
			if !slices.Contains(n.Local, serviceOf(call)) && !slices.Contains(all, connect) {
				all = append(all, connect)
			}
			all = append(all, call)
		}
		return all
	}
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		if err := n.Cloud.ServeProxy(netip.MustParseAddrPort("192.0.2.3:3128")); err != nil {
			n.T.Fatal(err)
		}
		q := With(e.Question, "--cache-dir=")
		q.Env = append(slices.Clone(q.Env), "HTTPS_PROXY="+proxyURL, "HTTP_PROXY="+proxyURL, "https_proxy="+proxyURL, "http_proxy="+proxyURL, "ALL_PROXY="+proxyURL)
		n.WantLogin(n.Ask(q), q.Image, e.Owner)
		n.WantCalls(through(n, way.Calls))

		var exempt []string
		for _, call := range n.far(way.Calls) {
			exempt = append(exempt, hostOf(call))
		}
		q.Env = append(q.Env, "NO_PROXY="+strings.Join(exempt, ","))
		n.WantLogin(n.Ask(q), q.Image, e.Owner)
		n.WantCalls(way.Calls)
	})
}

func (s Suite[F]) noProxy(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		far := n.far(way.Calls)
		if len(far) == 0 {
			return
		}
		q := e.Question
		q.Env = append(slices.Clone(q.Env), "HTTPS_PROXY=http://127.0.0.1:3128")
		n.Ask(q).WantFailure(1, n.Registry(0)+": ", hostOf(far[0]), "127.0.0.1:3128", "connection refused", "proxy")
	})
}

// A proxy that lets nobody through is what is named, and not the cloud.
func (s Suite[F]) refusingProxy(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusProxyAuthRequired} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s.ways(t, func(n *Node[F], way Way[F], e Errand) {
				far := n.far(way.Calls)
				if len(far) == 0 {
					return
				}
				if err := n.Cloud.ServeRefusingProxy(netip.MustParseAddrPort("192.0.2.3:3128"), status); err != nil {
					n.T.Fatal(err)
				}
				q := e.Question
				q.Env = append(slices.Clone(q.Env), "HTTPS_PROXY="+proxyURL)
				n.Ask(q).WantFailure(1, n.Registry(0)+": ", hostOf(far[0]), "192.0.2.3:3128", "proxy")
				if asked := n.Cloud.Calls.Count(serviceOf(far[0]), ""); asked != 0 {
					n.T.Errorf("%s was asked %d times past the proxy", serviceOf(far[0]), asked)
				}
			})
		})
	}
}

// A proxy that is misspelt is no reason to go without.
func (s Suite[F]) brokenProxy(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		far := n.far(way.Calls)
		if len(far) == 0 {
			return
		}
		q := e.Question
		q.Env = append(slices.Clone(q.Env), "HTTPS_PROXY=http://[192.0.2.3:3128")
		if a := n.Ask(q); a.Exit == 0 || a.Stdout != "" {
			n.T.Errorf("exit code %d and %d bytes on stdout", a.Exit, len(a.Stdout))
		}
		n.WantNever(serviceOf(far[0]))
	})
}

// Whatever is in a service's place may send the plugin elsewhere, with what it
// has in its hands: a token, a secret, an assertion.
func (s Suite[F]) redirects(t *testing.T) {
	const elsewhere = "evil.example"
	place := func(c *cloud.Cloud) {
		at := netip.MustParseAddr("192.0.2.61")
		stranger := &cloud.Service{
			Name: "stranger", Calls: c.Calls, Faults: c.Faults,
			Operation: func(r *cloud.Request) string { return r.Method },
			Answer:    func(*cloud.Exchange, *cloud.Request) error { return nil },
		}
		if err := errors.Join(c.Serve(netip.AddrPortFrom(at, 80), stranger), c.ServeTLS(at, stranger, elsewhere)); err != nil {
			t.Error(err)
		}
	}
	for _, scheme := range []string{"https", "http"} {
		t.Run("by "+scheme, func(t *testing.T) {
			t.Parallel()
			s.eachServiceIn(t, place, func(n *Node[F], e Errand, service, host string) {
				n.Cloud.Faults.Always(service, "", cloud.Redirect{To: scheme + "://" + elsewhere + "/"})
				n.Ask(e.Question).WantFailure(1, n.Registry(0)+": ", host, "307")
				n.WantNever("stranger")
			})
		})
	}
}

func (s Suite[F]) authorities(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		far := n.far(way.Calls)
		if len(far) == 0 {
			return
		}
		distrusting := With(e.Question, "--cache-dir=")
		distrusting.Env = append(slices.Clone(distrusting.Env), "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent")
		n.Ask(distrusting).WantFailure(1, n.Registry(0)+": ", hostOf(far[0]), "certificate signed by unknown authority", "--ca-file")

		bundle := File(n.T, string(n.Cloud.Authority.PEM()))
		n.WantLogin(n.Ask(With(distrusting, "--ca-file", bundle)), e.Image, e.Owner)
		if !slices.Contains(e.Args, "--config") {
			n.WantLogin(n.Ask(With(distrusting, "--config", ConfigFile(n.T, s.Config, "caFile: "+bundle+"\n"))), e.Image, e.Owner)
		}
		everybodys := File(n.T, string(n.Cloud.Authority.PEM()))
		if err := os.Chmod(everybodys, 0o666); err != nil {
			n.T.Fatal(err)
		}
		pipe := filepath.Join(n.T.TempDir(), "pipe")
		if err := exec.Command("mkfifo", pipe).Run(); err != nil {
			n.T.Fatal(err)
		}
		huge := File(n.T, "")
		if err := os.Truncate(huge, 64<<20); err != nil {
			n.T.Fatal(err)
		}
		for path, says := range map[string]string{
			"/nonexistent/ca.pem": "no such file", "/dev/null": "not a regular file", huge: "larger than", pipe: "not a regular file", everybodys: "writable by others",
		} {
			a := n.Ask(With(distrusting, "--ca-file", path))
			if a.Exit == 0 {
				n.T.Errorf("%s is trusted", path)
			}
			a.WantFailure(a.Exit, path, says)
			a.WantWithin(Soon)
		}
	})
}
