package image

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Registry is the host, and the port if there is one, of an image reference.
// A Registry from ParseRegistry is well formed; the zero value names nothing.
type Registry struct {
	written string
	host    string
	port    string
}

// ParseRegistry reads "host" or "host:port". The host is a DNS name in ASCII
// without a trailing dot, an IPv4 address, or an IPv6 address in brackets.
func ParseRegistry(s string) (Registry, error) {
	host, port, err := splitPort(s)
	if err != nil {
		return Registry{}, err
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		address, err := netip.ParseAddr(inner)
		if !ok || err != nil || !address.Is6() || address.Zone() != "" {
			return Registry{}, errors.New("invalid IPv6 address as registry")
		}
	} else {
		for label := range strings.SplitSeq(host, ".") {
			if !isLabel(label) {
				return Registry{}, errors.New("invalid registry host")
			}
		}
	}
	return Registry{written: s, host: strings.ToLower(host), port: port}, nil
}

// String returns the registry exactly as it was written. The kubelet compares
// hosts case-sensitively and ports literally, so this form, and no other, is
// the key under which an answer is found again.
func (r Registry) String() string { return r.written }

// Host returns the host in lower case and without the port: the form to
// compare, to connect to and to build cache keys from.
func (r Registry) Host() string { return r.host }

// Port returns the port as written, or "" when there is none.
func (r Registry) Port() string { return r.port }

// Canonical returns the host in lower case with the port, if there is one.
func (r Registry) Canonical() string {
	if r.port == "" {
		return r.host
	}
	return r.host + ":" + r.port
}

// DefaultPort reports whether the registry is reached at HTTPS's own port. No
// cloud serves its registry at another one.
func (r Registry) DefaultPort() bool { return r.port == "" || r.port == "443" }

func splitPort(s string) (host, port string, err error) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.HasSuffix(s, "]") {
		return s, "", nil
	}
	host, port = s[:colon], s[colon+1:]
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", "", errors.New("invalid registry port")
	}
	return host, port, nil
}

func isLabel(s string) bool {
	if s == "" || !isAlnum(s[0]) || !isAlnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}
