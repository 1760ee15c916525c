package acr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"regcred/shared/image"
	"regcred/shared/plugin"
)

// mirrorFlag maps registries to the login servers that mirror them, each with what
// its repositories' names begin with there. It is the value of
// --registry-mirror.
type mirrorFlag struct {
	to *map[string]string
	// changed says that what the file said has been replaced.
	changed bool
}

// String returns the mapping as Set reads it.
func (m *mirrorFlag) String() string {
	if m.to == nil {
		return ""
	}
	var pairs []string
	for _, source := range slices.Sorted(maps.Keys(*m.to)) {
		pairs = append(pairs, source+":"+(*m.to)[source])
	}
	return strings.Join(pairs, ",")
}

// Type names the value in the flag's usage.
func (m *mirrorFlag) Type() string { return "SRC:DST" }

// Set reads SRC:DST[,SRC:DST], and adds to what was set before. An empty value
// is no mirror: vendors' templates write one where there is none.
func (m *mirrorFlag) Set(text string) error {
	parsed, err := parseMirrors(text)
	if err != nil {
		return err
	}
	if !m.changed || *m.to == nil {
		*m.to, m.changed = map[string]string{}, true
	}
	for source, target := range parsed {
		if err := addMirror(*m.to, source, target); err != nil {
			return err
		}
	}
	return nil
}

// addMirror adds a mirror, of which a registry has one.
func addMirror(to map[string]string, source, target string) error {
	if other, twice := to[source]; twice && other != target {
		return fmt.Errorf("%.80q has two mirrors", source)
	}
	to[source] = target
	return nil
}

// parseMirrors reads SRC:DST[,SRC:DST], where either may have a port, and DST a
// path.
func parseMirrors(text string) (map[string]string, error) {
	parsed := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		source, target, err := parseMirror(pair)
		if err != nil {
			return nil, fmt.Errorf("%w: %.80q", err, pair)
		}
		if err := addMirror(parsed, source, target); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// parseMirror reads host[:port]:host[:port][/path]. No host is a number, so
// what is one is a port.
func parseMirror(pair string) (source, target string, err error) {
	hosts, path, _ := strings.Cut(pair, "/")
	parts := strings.Split(hosts, ":")
	at := 1
	if len(parts) > 1 && strings.Trim(parts[1], "0123456789") == "" {
		at = 2
	}
	if len(parts) < at+1 || len(parts) > at+2 {
		return "", "", errors.New("not SRC:DST, two hosts")
	}
	source, target = strings.Join(parts[:at], ":"), strings.Join(parts[at:], ":")
	for _, host := range []string{source, target} {
		if _, err := image.ParseRegistry(host); err != nil {
			return "", "", fmt.Errorf("not SRC:DST, two hosts: %.80q: %w", host, err)
		}
	}
	if path, err = parsePath(path); err != nil {
		return "", "", fmt.Errorf("not SRC:DST[/PATH]: %w", err)
	}
	if path != "" {
		target += "/" + path
	}
	return source, target, nil
}

// mirror is where images of another registry are.
type mirror struct {
	server loginServer
	// path is what the names of their repositories begin with there. Empty
	// means that they are the same.
	path string
}

// parseTarget reads host[:port][/path].
func (s suffixes) parseTarget(text string) (mirror, error) {
	host, path, _ := strings.Cut(text, "/")
	server, err := s.parseLoginServer(host)
	if err != nil {
		return mirror{}, err
	}
	path, err = parsePath(path)
	return mirror{server, path}, err
}

// parsePath reads what names of repositories begin with.
func parsePath(text string) (string, error) {
	path := strings.TrimSuffix(text, "/")
	if path == "" {
		return "", nil
	}
	if r, err := image.Parse("registry.test/" + path); err != nil || r.Repository != path {
		return "", fmt.Errorf("not the path of a repository: %.80q", path)
	}
	return path, nil
}

// repository returns the name that a repository has there.
func (m mirror) repository(name string) string {
	if m.path == "" {
		return name
	}
	return m.path + "/" + name
}

// compileMirrors reads the mirrors, by the canonical form of what they mirror.
// Hosts and ports are compared whole.
func (s *Settings) compileMirrors(p *provider, _ plugin.Run) error {
	p.mirrors = map[string]mirror{}
	written := map[string]string{}
	for _, source := range slices.Sorted(maps.Keys(s.RegistryMirrors)) {
		field := fmt.Sprintf("registryMirrors[%q]", source)
		target := s.RegistryMirrors[source]
		mirrored, err := image.ParseRegistry(source)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if other, twice := written[mirrored.Canonical()]; twice {
			return fmt.Errorf("registryMirrors: %q and %q are the same registry", other, source)
		}
		written[mirrored.Canonical()] = source
		if _, aliased := s.Registry(mirrored); aliased {
			return fmt.Errorf("%s: an alias too", field)
		}
		m, err := p.suffixes.parseTarget(target)
		if err != nil {
			return fmt.Errorf("%s: the mirror %.80q: %w", field, target, err)
		}
		if p.registries[m.server.host].login != nil {
			return fmt.Errorf("%s: %w", field, errLogin(m.server))
		}
		p.mirrors[mirrored.Canonical()] = m
	}
	return nil
}
