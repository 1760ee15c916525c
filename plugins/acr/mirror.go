package acr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"regcred/shared/image"
)

// mirrors maps registries to the login servers that mirror them. It is the
// value of --registry-mirror.
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

// Set reads SRC:DST[,SRC:DST], and adds to what was set before.
func (m *mirrors) Set(text string) error {
	parsed, err := parseMirrors(text)
	if err != nil {
		return err
	}
	if !m.changed || *m.to == nil {
		*m.to, m.changed = map[string]string{}, true
	}
	for source, target := range parsed {
		if other, twice := (*m.to)[source]; twice && other != target {
			return fmt.Errorf("%.80q has two mirrors", source)
		}
		(*m.to)[source] = target
	}
	return nil
}

// parseMirrors reads SRC:DST[,SRC:DST], where either may have a port.
func parseMirrors(text string) (map[string]string, error) {
	parsed := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		source, target, err := parseMirror(strings.TrimSpace(pair))
		if err != nil {
			return nil, fmt.Errorf("%.80q %w", pair, err)
		}
		if other, twice := parsed[source]; twice && other != target {
			return nil, fmt.Errorf("%.80q has two mirrors", source)
		}
		parsed[source] = target
	}
	return parsed, nil
}

// parseMirror reads host[:port]:host[:port]. No host is a number, so what is
// one is a port.
func parseMirror(pair string) (source, target string, err error) {
	parts := strings.Split(pair, ":")
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
	return source, target, nil
}

// mirrorOf returns the login server that mirrors a registry. Hosts and ports
// are compared whole.
func (s *Settings) mirrorOf(r image.Registry) (registry, bool) {
	for source, target := range s.RegistryMirrors {
		mirrored, err := image.ParseRegistry(source)
		if err != nil || mirrored.Canonical() != r.Canonical() {
			continue
		}
		if server, err := s.suffixes.parseLoginServer(target); err == nil {
			return server, true
		}
	}
	return registry{}, false
}

// checkMirrors finds mirrors that are none.
func (s *Settings) checkMirrors() error {
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
		if _, err := s.suffixes.parseLoginServer(target); err != nil {
			return fmt.Errorf("registryMirrors[%q]: the mirror %.80q %w", source, target, err)
		}
	}
	return nil
}
