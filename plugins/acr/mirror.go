package acr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"regcred/shared/image"
)

// mirrors maps registries to the login servers that mirror them, each with what
// its repositories' names begin with there. It is the value of
// --registry-mirror.
type mirrors struct {
	to *map[string]string
	// changed says that what the file said has been replaced.
	changed bool
}

// String returns the mapping as Set reads it.
func (m *mirrors) String() string {
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
func (m *mirrors) Type() string { return "SRC:DST" }

// Set reads SRC:DST[,SRC:DST], and adds to what was set before. An empty value
// is no mirror: vendors' templates write one where there is none.
func (m *mirrors) Set(text string) error {
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
			return nil, fmt.Errorf("%.80q %w", pair, err)
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
		return "", "", errors.New("is not SRC:DST, two hosts")
	}
	source, target = strings.Join(parts[:at], ":"), strings.Join(parts[at:], ":")
	for _, host := range []string{source, target} {
		if _, err := image.ParseRegistry(host); err != nil {
			return "", "", fmt.Errorf("is not SRC:DST: %.80q %w", host, err)
		}
	}
	if path, err = parsePath(path); err != nil {
		return "", "", fmt.Errorf("is not SRC:DST: %w", err)
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
		return "", fmt.Errorf("the path %.80q is not of a repository", path)
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

// mirrorOf returns the mirror of a registry. Hosts and ports are compared whole.
func (s *Settings) mirrorOf(r image.Registry) (mirror, bool) {
	m, found := s.mirrors[r.Canonical()]
	return m, found
}

// finishMirrors refuses what is not a mirror, and keeps the others.
func (s *Settings) finishMirrors() error {
	s.mirrors = map[string]mirror{}
	written := map[string]string{}
	for _, source := range slices.Sorted(maps.Keys(s.RegistryMirrors)) {
		target := s.RegistryMirrors[source]
		mirrored, err := image.ParseRegistry(source)
		if err != nil {
			return fmt.Errorf("registryMirrors[%q]: %w", source, err)
		}
		if other, twice := written[mirrored.Canonical()]; twice {
			return fmt.Errorf("registryMirrors: %q and %q are the same registry", other, source)
		}
		written[mirrored.Canonical()] = source
		if _, aliased := s.Registry(mirrored); aliased {
			return fmt.Errorf("registryMirrors[%q]: has an alias too", source)
		}
		m, err := s.suffixes.parseTarget(target)
		if err != nil {
			return fmt.Errorf("registryMirrors[%q]: the mirror %.80q %w", source, target, err)
		}
		if s.entries[m.server.host].login != nil {
			return fmt.Errorf("registryMirrors[%q]: %w", source, errLogin(m.server))
		}
		s.mirrors[mirrored.Canonical()] = m
	}
	return nil
}
