package main

import (
	"context"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"regcred/cmd/regcred/internal/cri"
	"regcred/cmd/regcred/internal/node"
)

// pullProxy is through which proxy the container runtime pulls. Where that
// cannot be known it is nil, and the note says whose is used, if there is any.
func (a *app) pullProxy(ctx context.Context, n *node.Node) (proxy func(*url.URL) (*url.URL, error), note string) {
	environ, err := cri.Environment(ctx, n.Path(strings.TrimPrefix(n.Configuration.ContainerRuntimeEndpoint, "unix://")))
	if err == nil {
		return proxies(environ).ProxyFunc(), ""
	}
	if own := proxies(a.environ); own.HTTPProxy+own.HTTPSProxy != "" {
		note = "registries are asked through the proxies of this command's own environment, and a pull goes through those of the container runtime's: " + err.Error()
	}
	return nil, note
}

// proxies are those of an environment.
func proxies(environ []string) *httpproxy.Config {
	lookup := func(name string) string {
		for _, name := range []string{strings.ToUpper(name), name} {
			for _, variable := range environ { // of which the first counts, as Go programs have it
				if value, ok := strings.CutPrefix(variable, name+"="); ok && value != "" {
					return value
				}
			}
		}
		return ""
	}
	return &httpproxy.Config{HTTPProxy: lookup("http_proxy"), HTTPSProxy: lookup("https_proxy"), NoProxy: lookup("no_proxy")}
}
