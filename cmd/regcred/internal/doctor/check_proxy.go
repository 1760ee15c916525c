package doctor

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"
	kubeletconfig "k8s.io/kubelet/config/v1"
)

// metadataAddresses are those of clouds' metadata services.
func metadataAddresses() []string {
	return []string{"169.254.169.254", "metadata.google.internal", "fd00:ec2::254", "169.254.170.2"}
}

// checkProxy looks at what the kubelet's environment says of proxies, with
// each provider's own variables.
func checkProxy(s *subject, r *recorder) {
	switch {
	case s.Node.Process == nil:
		r.skip("", "no kubelet runs here, whose environment its plugins have")
		return
	case s.Node.Env == nil:
		r.skip("", "the kubelet's environment cannot be read: run it as root")
		return
	}
	plugins := s.plugins()
	foreign := slices.ContainsFunc(plugins, func(p *plugin) bool { return p.release == nil })
	used := s.checkEnvironment(r, "the kubelet", s.Node.Env, foreign || len(plugins) == 0)
	for _, p := range plugins {
		if slices.ContainsFunc(p.Env, func(v kubeletconfig.ExecEnvVar) bool { return strings.HasSuffix(strings.ToUpper(v.Name), "_PROXY") }) {
			used = s.checkEnvironment(r, p.Name, s.environ(p.Provider), p.release == nil) || used
		}
	}
	if !used && !r.troubled() {
		r.ok("", "no proxy is named")
	}
}

// checkEnvironment looks at one environment, and reports whether a proxy is in
// it. Foreign means that programs have it that are not of this suite.
func (s *subject) checkEnvironment(r *recorder, of string, environ []string, foreign bool) bool {
	lookup := func(names ...string) (name, value string) {
		for _, name := range names {
			for _, variable := range slices.Backward(environ) { // of which the last counts
				if n, v, _ := strings.Cut(variable, "="); n == name && v != "" {
					return name, v
				}
			}
		}
		return "", ""
	}
	plainName, plain := lookup("HTTP_PROXY", "http_proxy")
	secureName, secure := lookup("HTTPS_PROXY", "https_proxy")
	_, none := lookup("NO_PROXY", "no_proxy")
	if plain == "" && secure == "" {
		return false
	}
	proxies := map[string]string{}
	for _, variable := range [][2]string{{plainName, plain}, {secureName, secure}} {
		if variable[1] == "" {
			continue
		}
		address, ok := proxyAddress(variable[1])
		if !ok {
			r.find("proxy-invalid", of, variable[0]+" does not hold the URL of a proxy", "write it as http://proxy.example.com:3128 in the kubelet's unit, and restart the kubelet")
			continue
		}
		proxies[address] = variable[0]
	}
	for _, address := range slices.Sorted(maps.Keys(proxies)) {
		variable := proxies[address]
		if err := s.System.Dial(s.ctx, address); err != nil {
			r.find("proxy-unreachable", of, "the proxy "+address+" of "+variable+" cannot be connected to", "check "+variable+", and the way to the proxy", err.Error())
		} else {
			r.find("proxy-used", of, "clouds are asked through the proxy "+address+" ("+variable+")", "", "NO_PROXY: "+orNone(none))
		}
	}
	if plain == "" {
		return true
	}
	proxyOf := (&httpproxy.Config{HTTPProxy: plain, HTTPSProxy: secure, NoProxy: none}).ProxyFunc()
	var swallowed []string
	for _, address := range metadataAddresses() {
		target := &url.URL{Scheme: "http", Host: address}
		if strings.Contains(address, ":") {
			target.Host = "[" + address + "]"
		}
		if proxy, err := proxyOf(target); err == nil && proxy != nil {
			swallowed = append(swallowed, address)
		}
	}
	if len(swallowed) > 0 {
		list := strings.Join(swallowed, ",")
		if none != "" {
			list = none + "," + list
		}
		name, message := "proxy-metadata", " without NO_PROXY for metadata services: a program that is not of this suite asks the proxy for the node's credentials, and gets none or the proxy's own"
		if !foreign {
			name, message = "proxy-metadata-unused", " without NO_PROXY for metadata services, which this suite's plugins ask directly all the same"
		}
		r.find(name, of, plainName+message,
			"systemctl edit "+s.unit()+"   # and write there, under [Service]: Environment=\"NO_PROXY="+list+"\"\n"+s.restart(), "not in NO_PROXY: "+strings.Join(swallowed, ", "))
	}
	return true
}

// proxyAddress is where a proxy is, by a variable that names it.
func proxyAddress(value string) (string, bool) {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Hostname() == "" {
		return "", false
	}
	port := parsed.Port()
	if port == "" {
		port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[parsed.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(parsed.Hostname(), port), true
}
