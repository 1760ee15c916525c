package main

import (
	"net/url"
	"strings"
	"testing"

	"regcred/cmd/regcred/internal/node"
)

func TestProxiesOfAnEnvironment(t *testing.T) {
	for environ, want := range map[string]string{
		"":                                   "",
		"PATH=/bin HTTPS_PROXY=http://one:1": "http://one:1",
		"https_proxy=http://one:1":           "http://one:1",
		"https_proxy=http://one:1 HTTPS_PROXY=http://two:2":            "http://two:2",
		"HTTPS_PROXY=http://one:1 HTTPS_PROXY=http://two:2":            "http://one:1",
		"HTTPS_PROXY=http://one:1 NO_PROXY=example.com":                "",
		"HTTP_PROXY=http://one:1 ALL_PROXY=http://one:1 NOHTTPS_PROXY": "",
	} {
		proxy, err := proxies(strings.Fields(environ)).ProxyFunc()(&url.URL{Scheme: "https", Host: "registry.example.com"})
		got := ""
		if proxy != nil {
			got = proxy.String()
		}
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", environ, got, err, want)
		}
	}
}

// Whose proxies are used is told where it is not the container runtime's.
func TestProxiesWithoutARuntime(t *testing.T) {
	n := &node.Node{}
	n.Configuration.ContainerRuntimeEndpoint = "unix:///run/nobody/listens.sock"
	for environ, told := range map[string]bool{"PATH=/bin": false, "HTTPS_PROXY=http://one:1": true} {
		a := testApp()
		a.environ = []string{environ}
		proxy, note := a.pullProxy(t.Context(), n)
		if proxy != nil || (note != "") != told {
			t.Errorf("%s: note %q", environ, note)
		}
	}
}
