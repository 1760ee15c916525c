package gcr

import (
	"strings"

	"regcred/shared/image"
)

// registry is a host of one of Google's registries, taken apart.
//
//	[LOCATION.]gcr.io                Container Registry, served by Artifact Registry since 2025
//	LOCATION-docker.pkg.dev          Artifact Registry in a region or multi-region
//	docker.LOCATION.rep.pkg.dev      its regional endpoints
//	container.cloud.google.com       Container Registry's first name
//	[LOCATION-]docker.DOMAIN, docker.LOCATION.rep.DOMAIN   Artifact Registry of another universe
//
// What follows the host is never looked at: paths may begin with other hosts'
// names, as in gcr.io/example.com/project/image.
type registry struct {
	shape    shape
	location string
	universe universe
}

// shape is how a host is put together.
type shape int

const (
	containerRegistry shape = iota + 1
	artifactRegistry
	regionalEndpoint
	firstName
)

const (
	containerDomain = "gcr.io"
	firstHost       = "container.cloud.google.com"
)

// universe is a cloud that is built and named like Google's. Each has its own
// operator, so the token of one must never go to a registry of another.
type universe struct {
	// domain is what the hosts of its APIs end in.
	domain string
	// registries is what the hosts of its registries end in.
	registries string
}

// universes are Google Cloud and, after it, those of other operators. The
// domains of tpczero, tpcone and qs3ns follow their siblings'; what the metadata
// server says has to agree with them anyway.
var universes = []universe{
	{"googleapis.com", "pkg.dev"},
	{"apis-berlin-build0.goog", "pkg-berlin-build0.goog"},
	{"apis-tpczero.goog", "pkg-tpczero.goog"},
	{"apis-tpcone.goog", "pkg-tpcone.goog"},
	{"s3nsapis.fr", "s3nsregistry.fr"},
	{"qs3nsapis.fr", "qs3nsregistry.fr"},
}

// findUniverse returns the universe whose APIs are under a domain.
func findUniverse(domain string) (universe, bool) {
	for _, u := range universes {
		if u.domain == domain {
			return u, true
		}
	}
	return universe{}, false
}

// google reports whether the universe is Google's own.
func (u universe) google() bool { return u == universes[0] }

// endpoint returns the host of one of the universe's APIs.
func (u universe) endpoint(service string) string { return service + "." + u.domain }

// parseRegistry reports whether a registry belongs to the universe, and which
// it is. The whole host has to fit: what only begins, ends or looks like one is
// somebody else's.
func parseRegistry(r image.Registry, u universe) (registry, bool) {
	if !r.DefaultPort() {
		return registry{}, false
	}
	host, found := registry{universe: u}, false
	if u.google() {
		host.shape, host.location, found = parseContainerRegistry(r.Host())
	}
	if !found {
		host.shape, host.location, found = parseArtifactRegistry(r.Host(), u)
	}
	if !found {
		return registry{}, false
	}
	return host, true
}

// parseContainerRegistry reads hosts of Container Registry. Names before gcr.io
// are not listed: besides us, eu and asia there are marketplace, mirror and k8s.
func parseContainerRegistry(host string) (shape, string, bool) {
	switch host {
	case containerDomain:
		return containerRegistry, "", true
	case firstHost:
		return firstName, "", true
	}
	location, found := strings.CutSuffix(host, "."+containerDomain)
	return containerRegistry, location, found && location != "" && !strings.Contains(location, ".")
}

// parseArtifactRegistry reads hosts of Artifact Registry. Regions are not
// listed: a registry in a new one has to work on the day it opens. Only other
// universes have a host without a location.
func parseArtifactRegistry(host string, u universe) (shape, string, bool) {
	name, found := strings.CutSuffix(host, "."+u.registries)
	if !found {
		return 0, "", false
	}
	if name == "docker" {
		return artifactRegistry, "", !u.google()
	}
	if location, found := strings.CutSuffix(name, "-docker"); found {
		return artifactRegistry, location, isLocation(location)
	}
	name, found = strings.CutPrefix(name, "docker.")
	location, regional := strings.CutSuffix(name, ".rep")
	return regionalEndpoint, location, found && regional && isLocation(location)
}

// isLocation reports whether s reads like a region or multi-region, such as us
// or northamerica-northeast1: words of letters and digits.
func isLocation(s string) bool {
	for word := range strings.SplitSeq(s, "-") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	return len(s) <= 63
}
