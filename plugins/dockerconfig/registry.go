package dockerconfig

import (
	"slices"
	"strings"

	"regcred/shared/dockerconfig"
	"regcred/shared/image"
)

// Docker Hub, as images, podman and docker name it.
const (
	hubHost   = "docker.io"
	hubKey    = dockerconfig.Hub
	hubServer = "https://index.docker.io/v1/"
)

// find returns what the configurations have for an image of a registry, in the
// order in which it is tried.
//
// Whatever names the registry comes first: configuration by configuration, and
// within one by the kubelet's rule the more exact key first, a credential helper
// before a login with the same key. Then come the helpers that are for whatever
// has none, which may know the registry or not.
func (p *provider) find(r image.Registry, repository string) []candidate {
	name := r.String() + "/" + repository
	var found, stores []candidate
	for _, d := range p.documents {
		named, store := d.candidates(r, name)
		found = append(found, named...)
		if store != "" && !slices.ContainsFunc(named, func(c candidate) bool { return c.store }) {
			stores = append(stores, candidate{file: d.path, helper: store, server: serverOf(r, "")})
		}
	}
	return append(found, stores...)
}

// candidates returns what a configuration has under keys that are for an image,
// and the helper that is for whatever has none. A registry whose own helper has
// an empty name has neither: its logins are in the file, as for docker.
func (d document) candidates(r image.Registry, name string) (candidates []candidate, store string) {
	store = d.config.CredsStore
	type keyed struct {
		pattern string
		candidate
	}
	var found []keyed
	for _, h := range d.config.LookupHelpers(name, dockerconfig.Kubelet) {
		if h.Name == "" {
			store = ""
			continue
		}
		found = append(found, keyed{h.Pattern, candidate{file: d.path, key: h.Key, helper: h.Name, server: serverOf(r, h.Key)}})
	}
	for _, e := range d.config.Lookup(name, dockerconfig.Kubelet) {
		c := candidate{file: d.path, key: e.Key, entry: e}
		if isEmpty(e) && store != "" {
			// docker leaves such an entry for what the helper keeps.
			c = candidate{file: d.path, key: e.Key, helper: store, store: true, server: serverOf(r, e.Key)}
		}
		found = append(found, keyed{e.Pattern, c})
	}
	slices.SortStableFunc(found, func(a, b keyed) int { return strings.Compare(b.pattern, a.pattern) })
	for _, k := range found {
		// The kubelet takes localhost for Docker Hub. It is not.
		if k.pattern == hubKey && r.Host() != hubHost {
			continue
		}
		candidates = append(candidates, k.candidate)
	}
	return candidates, store
}

// isEmpty reports whether an entry only says that there was a login.
func isEmpty(e dockerconfig.Entry) bool {
	return e.Err == nil && e.Username == "" && e.Password.Empty() && e.IdentityToken.Empty() && e.RegistryToken.Empty()
}

// perImage reports whether the configurations tell images of a registry apart:
// then what is answered for one is not for the next.
func (p *provider) perImage(r image.Registry) bool {
	for _, d := range p.documents {
		if slices.ContainsFunc(d.config.Entries, func(e dockerconfig.Entry) bool { return isPartOf(e.Pattern, r) }) {
			return true
		}
		for _, h := range d.config.Helpers() {
			if isPartOf(h.Pattern, r) {
				return true
			}
		}
	}
	return false
}

// isPartOf reports whether a pattern is for some images of a registry.
func isPartOf(pattern string, r image.Registry) bool {
	host, path, _ := strings.Cut(pattern, "/")
	if path == "" {
		return false
	}
	matched, err := image.Match(host, r.String()+"/any")
	return err == nil && matched
}

// serverOf is what a credential helper is asked about a registry: its host, as
// clients ask. Docker Hub is asked about by docker's name for it, unless the key
// has podman's.
func serverOf(r image.Registry, key string) string {
	switch {
	case r.Canonical() != hubHost:
		return r.Canonical()
	case key == hubHost:
		return hubHost
	default:
		return hubServer
	}
}
