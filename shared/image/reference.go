// Package image knows what a container image reference names.
//
// The grammar is that of the distribution project's reference package, which
// container runtimes and the kubelet use; this package parses the same strings
// without compiling regular expressions at program start, because a credential
// provider is started once for every distinct image.
package image

import (
	"errors"
	"fmt"
	"strings"
)

// maxReference bounds an image reference: 255 bytes of name, 128 of tag and a
// digest of the longest registered algorithm fit with room to spare.
const maxReference = 1024

// maxName is the longest repository name, registry included, that the
// distribution specification allows.
const maxName = 255

// dockerHub is the registry of a reference that names none.
const dockerHub = "docker.io"

// Reference is a parsed image reference.
type Reference struct {
	// Registry is never empty: a reference without one names Docker Hub.
	Registry Registry
	// Repository is the path within the registry.
	Repository string
	// Tag is empty when the reference has none.
	Tag string
	// Digest is empty when the reference has none.
	Digest string
}

// String returns the normalised reference.
func (r Reference) String() string {
	s := r.Registry.String() + "/" + r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Parse reads a reference as container runtimes do: Docker Hub and "library/"
// are filled in where they are implied, and anything that is not a reference
// is an error that quotes at most a short part of the input.
func Parse(ref string) (Reference, error) {
	r, err := parse(ref)
	if err != nil {
		return Reference{}, fmt.Errorf("image reference %.120q: %w", ref, err)
	}
	return r, nil
}

func parse(ref string) (Reference, error) {
	if ref == "" {
		return Reference{}, errors.New("empty")
	}
	if len(ref) > maxReference {
		return Reference{}, fmt.Errorf("longer than %d bytes", maxReference)
	}
	if isHex64(ref) {
		return Reference{}, errors.New("an image ID, not a name")
	}

	var r Reference
	name, digest, found := strings.Cut(ref, "@")
	if found {
		if !isDigest(digest) {
			return Reference{}, errors.New("invalid digest")
		}
		r.Digest = digest
	}

	host, path := splitRegistry(name)
	if colon := strings.LastIndexByte(path, ':'); colon >= 0 {
		path, r.Tag = path[:colon], path[colon+1:]
		if !isTag(r.Tag) {
			return Reference{}, errors.New("invalid tag")
		}
	}

	registry, err := ParseRegistry(host)
	if err != nil {
		return Reference{}, err
	}
	r.Registry = registry
	if err := checkPath(path); err != nil {
		return Reference{}, err
	}
	if host == dockerHub && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	r.Repository = path
	if len(host)+1+len(path) > maxName {
		return Reference{}, fmt.Errorf("name longer than %d bytes", maxName)
	}
	return r, nil
}

// splitRegistry decides whether the first component is a registry. Docker's
// rule: it is one if it could not be the first component of a Docker Hub path.
func splitRegistry(name string) (host, path string) {
	first, rest, found := strings.Cut(name, "/")
	isHost := found && (strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first)
	switch {
	case !isHost:
		return dockerHub, name
	case first == "index.docker.io":
		return dockerHub, rest
	default:
		return first, rest
	}
}

func checkPath(path string) error {
	if path == "" {
		return errors.New("no repository name")
	}
	for component := range strings.SplitSeq(path, "/") {
		if !isPathComponent(component) {
			return errors.New("invalid repository name (lower-case letters, digits, and single separators between them)")
		}
	}
	return nil
}

// isPathComponent reports whether s is alphanumeric runs joined by one dot,
// one or two underscores, or any number of hyphens.
func isPathComponent(s string) bool {
	if s == "" || !isLowerAlnum(s[0]) || !isLowerAlnum(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); {
		if isLowerAlnum(s[i]) {
			i++
			continue
		}
		start := i
		for i < len(s) && !isLowerAlnum(s[i]) {
			i++
		}
		switch separator := s[start:i]; {
		case separator == ".", separator == "_", separator == "__":
		case strings.Trim(separator, "-") == "":
		default:
			return false
		}
	}
	return true
}

func isTag(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		word := isAlnum(s[i]) || s[i] == '_'
		if !word && (i == 0 || s[i] != '.' && s[i] != '-') {
			return false
		}
	}
	return true
}

// isDigest reports whether s is algorithm:hex with at least 32 hexadecimal
// digits, and exactly as many as the algorithm has where it is a known one.
func isDigest(s string) bool {
	algorithm, hex, found := strings.Cut(s, ":")
	if !found || len(hex) < 32 {
		return false
	}
	for i := range len(hex) {
		if !isHex(hex[i]) {
			return false
		}
	}
	switch algorithm {
	case "sha256":
		return len(hex) == 64 && strings.ToLower(hex) == hex
	case "sha384":
		return len(hex) == 96 && strings.ToLower(hex) == hex
	case "sha512":
		return len(hex) == 128 && strings.ToLower(hex) == hex
	}
	// Only registered algorithms can be checked, and an unregistered one cannot
	// be pulled.
	return false
}

func isHex64(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if !isHex(s[i]) || 'A' <= s[i] && s[i] <= 'F' {
			return false
		}
	}
	return true
}

func isLowerAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
func isAlnum(c byte) bool      { return isLowerAlnum(c) || 'A' <= c && c <= 'Z' }
func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
