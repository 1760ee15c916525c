package kubelet

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"

	"regcred/shared/image"
	"regcred/shared/redact"
)

// maxImage bounds an image's name: it may have 255 bytes, a tag 128, and a
// digest as many as the longest hash.
const maxImage = 1024

// ImageName returns what the kubelet asks its providers for: the name of an
// image with its registry, without tag and digest. The image is as a pod has
// it: "busybox" is docker.io/library/busybox.
func ImageName(written string) (string, error) {
	if len(written) > maxImage {
		return "", fmt.Errorf("image %.80q: longer than %d bytes", written, maxImage)
	}
	named, err := reference.ParseNormalizedNamed(written)
	if err != nil {
		return "", fmt.Errorf("image %.120q: %s", written, redact.Line(err.Error()))
	}
	return named.Name(), nil
}

// Match says whether a provider is asked for an image, and why not.
type Match struct {
	Provider *Provider

	// Matched says that it is asked.
	Matched bool

	// Field and Pattern are of the first pattern that matches. If none does,
	// they are of the one that comes nearest.
	Field, Pattern string

	// Reason is why the nearest pattern does not match.
	Reason string
}

// Match says for each provider whether it is asked for an image, in the
// kubelet's order. The image is what ImageName returns.
func (c *Config) Match(name string) []Match {
	matches := make([]Match, 0, len(c.Providers))
	for i := range c.Providers {
		matches = append(matches, c.Providers[i].Match(name))
	}
	return matches
}

// Match says whether the provider is asked for an image, which is what
// ImageName returns.
func (p *Provider) Match(name string) Match {
	m := Match{Provider: p}
	best := -1
	for i, pattern := range p.MatchImages {
		if matched, err := image.Match(pattern, name); err == nil && matched {
			return Match{Provider: p, Matched: true, Field: p.field("matchImages[%d]", i), Pattern: pattern}
		}
		if reason, near := mismatch(pattern, name); near > best {
			best = near
			m.Field, m.Pattern, m.Reason = p.field("matchImages[%d]", i), pattern, reason
		}
	}
	if best < 0 {
		m.Reason = "no pattern"
	}
	return m
}

// mismatch says why a pattern does not match an image, and how near it comes,
// up to 100.
func mismatch(written, name string) (reason string, near int) {
	p, err := parsePattern(written)
	if err != nil {
		return fmt.Sprintf("the kubelet does not start with it: %v", err), 0
	}
	if f := p.lint(); f.meant != "" {
		if matched, err := image.Match(f.meant, name); err == nil && matched {
			return "it " + f.what + "; " + f.fix, 100
		}
	}
	target, err := parsePattern(name)
	if err != nil {
		return fmt.Sprintf("the image's name is no URL: %v", err), 0
	}
	return p.difference(target)
}

// difference says what of an image does not match a pattern.
func (p pattern) difference(target pattern) (reason string, near int) {
	if len(p.labels) != len(target.labels) {
		near = 30 * max(p.common(target, false), p.common(target, true)) / max(len(p.labels), len(target.labels))
		return fmt.Sprintf("the image's host %s has %s, and the pattern's %d: a star is for one part", target.host, parts(len(target.labels)), len(p.labels)), near
	}
	equal, last := 0, -1
	for i, glob := range p.labels {
		if matchesLabel(glob, target.labels[i]) {
			equal++
		} else {
			last = i
		}
	}
	switch {
	case last >= 0 && p.host == target.host:
		return "the brackets of an IPv6 address without a port are a glob's, and match nothing", 90
	case last >= 0 && strings.EqualFold(p.host, target.host):
		return fmt.Sprintf("the image's host %s is written with other capital letters", target.host), 90
	case last >= 0:
		near = 10 + 30*equal/len(p.labels)
		return fmt.Sprintf("%q of the image's host is not %q", target.labels[last], p.labels[last]), near
	case p.port != target.port:
		return fmt.Sprintf("the image has %s, and the pattern %s: they have to be written alike", port(target.port), port(p.port)), 80
	default:
		return fmt.Sprintf("the image's path %s does not begin with %s", target.path, p.path), 80
	}
}

// common counts the parts that match from an end on.
func (p pattern) common(target pattern, fromEnd bool) int {
	n := min(len(p.labels), len(target.labels))
	for i := range n {
		a, b := i, i
		if fromEnd {
			a, b = len(p.labels)-1-i, len(target.labels)-1-i
		}
		if !matchesLabel(p.labels[a], target.labels[b]) {
			return i
		}
	}
	return n
}

func matchesLabel(glob, label string) bool {
	matched, err := filepath.Match(glob, label)
	return err == nil && matched
}

func parts(n int) string {
	if n == 1 {
		return "1 part"
	}
	return fmt.Sprintf("%d parts", n)
}

func port(p string) string {
	if p == "" {
		return "no port"
	}
	return "port " + p
}
