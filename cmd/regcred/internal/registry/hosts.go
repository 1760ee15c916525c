package registry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"regcred/shared/file"
)

// Endpoint is a server that a container runtime asks for the images of a
// registry.
type Endpoint struct {
	// URL is the server, with the path that images are under.
	URL *url.URL

	// Mirror says that it stands in for the registry.
	Mirror bool

	// OverridePath says that the path is all there is before the image's name,
	// without /v2.
	OverridePath bool

	// SkipVerify says that its certificate is not verified, and CA names files
	// of authorities that are trusted besides the system's.
	SkipVerify bool
	CA         []string

	// fallback says that it is asked over HTTP if it does not speak TLS.
	fallback bool
}

// String returns the endpoint's URL.
func (e Endpoint) String() string { return e.URL.String() }

// Hosts is how a container runtime gets from a registry's name to servers:
// containerd's config_path, with a directory for each registry.
type Hosts struct {
	// Dirs are directories like /etc/containerd/certs.d. Those that are not
	// there do not matter.
	Dirs []string
}

// maxHosts bounds a hosts.toml.
const maxHosts = 1 << 20

// Endpoints returns the servers that containerd asks for a registry, in its
// order, and the file that says so if there is one.
func (h Hosts) Endpoints(registry string) (endpoints []Endpoint, from string, err error) {
	for _, dir := range h.Dirs {
		for _, name := range directories(registry) {
			path := filepath.Join(dir, name, "hosts.toml")
			text, err := file.ReadAny(path, maxHosts)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, path, fmt.Errorf("%s: %w", path, err)
			}
			endpoints, err := parseHosts(registry, filepath.Dir(path), text)
			if err != nil {
				return nil, path, fmt.Errorf("%s: %w", path, err)
			}
			return endpoints, path, nil
		}
	}
	return []Endpoint{itself(registry)}, "", nil
}

// directories are the names of a registry's directory, in containerd's order.
func directories(registry string) []string {
	if host, port, err := net.SplitHostPort(registry); err == nil {
		return []string{registry, host + "_" + port + "_", host, "_default"}
	}
	return []string{registry, "_default"}
}

// itself is the server that a registry's name says.
func itself(registry string) Endpoint {
	if registry == "docker.io" {
		registry = "registry-1.docker.io"
	}
	e := Endpoint{URL: &url.URL{Scheme: "https", Host: registry}}
	if isLocal(e.URL.Hostname()) {
		// containerd takes what is on the node without verification, and without
		// TLS.
		e.SkipVerify, e.fallback = true, e.URL.Port() != "443"
	}
	if e.URL.Port() == "80" {
		e.URL.Scheme = "http"
	}
	return e
}

func isLocal(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// parseHosts reads the part of a hosts.toml that says who is asked. It knows as
// much of TOML as such files have.
func parseHosts(registry, dir string, text []byte) ([]Endpoint, error) {
	var endpoints []Endpoint
	server := itself(registry)
	current := &server // what the lines are about
	asked := map[int]bool{}
	ignored := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxHosts)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(stripComment(lines.Text()))
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "[") {
			name, ok := hostTable(line)
			if ignored = !ok; ignored {
				continue // host."x".header, which says nothing of who is asked
			}
			address, err := parseServer(name)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			endpoints = append(endpoints, Endpoint{URL: address, Mirror: true})
			current = &endpoints[len(endpoints)-1]
			asked[len(endpoints)-1] = true
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || ignored {
			continue
		}
		values := scalars(value)
		switch key = strings.TrimSpace(key); {
		case key == "server" && len(endpoints) == 0 && len(values) == 1:
			address, err := parseServer(values[0])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			server = Endpoint{URL: address, Mirror: address.Host != itself(registry).URL.Host}
		case key == "capabilities" && len(endpoints) > 0:
			asked[len(endpoints)-1] = slices.Contains(values, "resolve")
		case key == "skip_verify":
			current.SkipVerify = slices.Equal(values, []string{"true"})
		case key == "override_path":
			current.OverridePath = slices.Equal(values, []string{"true"})
		case key == "ca":
			for _, ca := range values {
				if !filepath.IsAbs(ca) {
					ca = filepath.Join(dir, ca)
				}
				current.CA = append(current.CA, ca)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	var used []Endpoint
	for i, endpoint := range endpoints {
		if asked[i] {
			used = append(used, endpoint)
		}
	}
	return append(used, server), nil
}

// hostTable returns whose table begins, if it is a host's.
func hostTable(line string) (string, bool) {
	inner, ok := strings.CutPrefix(line, "[host.")
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, "]")
	if !ok || len(inner) < 2 || inner[0] != '"' && inner[0] != '\'' || inner[len(inner)-1] != inner[0] {
		return "", false
	}
	return inner[1 : len(inner)-1], true
}

// parseServer reads a server, of which the scheme may be left out.
func parseServer(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	address, err := url.Parse(text)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errors.New("a server that is no http or https URL")
	}
	address.Path = strings.TrimRight(address.Path, "/")
	address.User = nil
	return address, nil
}

// scalars returns the strings and words of a value, which may be a list.
func scalars(text string) []string {
	var values []string
	for item := range strings.SplitSeq(strings.Trim(strings.TrimSpace(text), "[]"), ",") {
		if item = strings.Trim(strings.TrimSpace(item), `"'`); item != "" {
			values = append(values, item)
		}
	}
	return values
}

// stripComment cuts a comment off a line.
func stripComment(line string) string {
	quote := byte(0)
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			return line[:i]
		}
	}
	return line
}
