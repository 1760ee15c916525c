package cloudhttp

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// proxy is the environment's, but never for the node's own link: Go exempts
// loopback addresses by itself, and not link-local ones.
func (c *Clients) proxy(request *http.Request) (*url.URL, error) {
	if c.options.Getenv == nil || c.IsMetadata(request.URL.Hostname()) {
		return nil, nil
	}
	if err := checkProxy(c.options.Getenv, request.URL.Scheme); err != nil {
		return nil, err
	}
	return http.ProxyFromEnvironment(request)
}

// proxyVariableError is the error of a variable that names no proxy. Its value
// may hold a password.
type proxyVariableError struct{ name string }

func (e proxyVariableError) Error() string {
	return "the variable " + e.name + " does not hold the URL of a proxy"
}

// checkProxy refuses a variable that net/http would pass over without a word,
// to connect directly.
func checkProxy(getenv func(string) string, scheme string) error {
	names := []string{"HTTP_PROXY", "http_proxy"}
	if scheme == "https" {
		names = []string{"HTTPS_PROXY", "https_proxy"}
	}
	for _, name := range names {
		value := getenv(name)
		if value == "" {
			continue
		}
		// What has no scheme is taken for HOST:PORT.
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		parsed, err := url.Parse(value)
		if err != nil || parsed.Hostname() == "" {
			return proxyVariableError{name}
		}
		return nil
	}
	return nil
}

// proxyError is the refusal of a proxy to connect, which is not an answer of
// the service behind it.
type proxyError struct {
	proxy  string
	status int
}

func (e proxyError) Error() string {
	return "proxy " + e.proxy + " answered status " + strconv.Itoa(e.status) + " to CONNECT"
}

func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return proxyError{proxy.Host, response.StatusCode}
}
