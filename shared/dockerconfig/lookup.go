package dockerconfig

import (
	"net/url"
	"strings"

	"regcred/shared/image"
)

// Rule says when an entry is for an image.
type Rule int

const (
	// Kubelet is the kubelet's rule: hosts are compared in their case, and an
	// image is one of an entry's whose name begins with it, so that an entry
	// for example.com/team is also one for example.com/team-b.
	Kubelet Rule = iota

	// Whole compares hosts in any case and paths by their parts: the entry is
	// not one for the other team. A version of the registry's API counts for
	// nothing without a slash after it, too.
	Whole
)

// Hub is docker's own name for Docker Hub.
const Hub = "index.docker.io"

// Lookup returns the entries that are for an image, in the order in which the
// kubelet tries them. The image is a name such as the kubelet's: with a host,
// and without a tag.
//
// What has been written for index.docker.io counts for an image of Docker Hub
// if nothing else does. The kubelet takes every name for one of those whose
// first part has neither a dot nor a port, such as localhost/app.
func (c *Config) Lookup(name string, rule Rule) []Entry {
	found := c.entries(func(e Entry) bool { return rule.matches(e.Pattern, name) })
	if len(found) == 0 && IsHub(name) {
		found = c.entries(func(e Entry) bool { return rule.normalize(e.Pattern) == Hub })
	}
	return found
}

// InsideHelper is an environment variable of the helpers that a plugin of the
// kubelet's runs: the helper's name. Whoever finds it leads back to where it came
// from by running helpers, or plugins.
const InsideHelper = "REGCRED_INSIDE_HELPER"

// Helper is the program that has the logins of a registry, or of a part of one.
type Helper struct {
	// Key and Pattern are as an Entry's.
	Key, Pattern string

	// Name is what follows "docker-credential-".
	Name string
}

// Helpers are the programs under "credHelpers", in the order of Entries. Docker
// and podman take a key for a whole registry alone, which it then is here too.
func (c *Config) Helpers() []Helper { return c.helpers(c.helperKeys().Entries) }

// LookupHelpers returns the Helpers that are for an image, by the rule and in
// the order of Lookup.
func (c *Config) LookupHelpers(name string, rule Rule) []Helper {
	return c.helpers(c.helperKeys().Lookup(name, rule))
}

// helperKeys are the keys of "credHelpers" as if they were those of entries.
func (c *Config) helperKeys() *Config {
	return &Config{Entries: entries(c.CredHelpers, func(string) Entry { return Entry{} })}
}

func (c *Config) helpers(keys []Entry) []Helper {
	found := make([]Helper, 0, len(keys))
	for _, e := range keys {
		found = append(found, Helper{Key: e.Key, Pattern: e.Pattern, Name: c.CredHelpers[e.Key]})
	}
	return found
}

func (c *Config) entries(match func(Entry) bool) []Entry {
	var found []Entry
	for _, e := range c.Entries {
		if match(e) {
			found = append(found, e)
		}
	}
	return found
}

func (r Rule) matches(pattern, name string) bool {
	pattern, name = r.normalize(pattern), r.normalizeHost(name)
	matched, err := image.Match(pattern, name)
	return err == nil && matched && (r == Kubelet || endsWithPart(pattern, name))
}

// normalize brings a pattern into the form in which the rule compares it.
func (r Rule) normalize(pattern string) string {
	if r == Kubelet {
		return pattern
	}
	host, path, _ := strings.Cut(r.normalizeHost(pattern), "/")
	path = strings.Trim(path, "/")
	if path == "" || path == "v1" || path == "v2" {
		return host
	}
	return host + "/" + path
}

func (r Rule) normalizeHost(name string) string {
	if r == Kubelet {
		return name
	}
	host, path, found := strings.Cut(name, "/")
	if !found {
		return strings.ToLower(host)
	}
	return strings.ToLower(host) + "/" + path
}

// endsWithPart reports whether a pattern's path ends where a part of the
// name's does.
func endsWithPart(pattern, name string) bool {
	_, want, scoped := strings.Cut(pattern, "/")
	_, path, _ := strings.Cut(name, "/")
	rest, _ := strings.CutPrefix(path, want)
	return !scoped || rest == "" || strings.HasPrefix(rest, "/")
}

// Pattern returns what a key is for. Schemes count for nothing, nor does the
// version of the registry's API as the first part of a path, nor what a URL may
// have besides a host and a path.
func Pattern(key string) (string, bool) {
	if !strings.HasPrefix(key, "https://") && !strings.HasPrefix(key, "http://") {
		key = "https://" + key
	}
	parsed, err := url.Parse(key)
	if err != nil {
		return "", false
	}
	path := parsed.Path
	if strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/v2/") {
		path = path[len("/v1"):]
	}
	if path == "/" {
		path = ""
	}
	return parsed.Host + path, true
}

// IsHub reports whether the kubelet takes a name for one of Docker Hub.
func IsHub(name string) bool {
	first, _, found := strings.Cut(name, "/")
	switch {
	case first == "":
		return false
	case !found || first == "docker.io" || first == Hub:
		return true
	default:
		return !strings.ContainsAny(first, ".:")
	}
}
