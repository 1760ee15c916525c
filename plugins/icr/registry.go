package icr

import (
	"slices"
	"strings"

	"regcred/shared/image"
)

// entitledHost is IBM's entitled registry. It knows no accounts and no
// identities: whoever has an entitlement key may pull there.
const entitledHost = "cp.icr.io"

// legacyHosts are the registry's names from before it had a domain of its own.
// They lead to the same registries.
var legacyHosts = []string{
	"registry.bluemix.net", "registry.ng.bluemix.net", "registry.eu-gb.bluemix.net", "registry.eu-de.bluemix.net", "registry.au-syd.bluemix.net",
}

// isRegistry reports whether a registry is one that accounts have their images
// in.
//
//	[private.]icr.io       the global one
//	[private.]KEY.icr.io   a region's; the key is two letters and perhaps a digit
//
// Several regions are added a year, so keys are known by their form. Those of
// other hosts have the same one: the entitled registry, and ddN, where layers are
// loaded from, whose clients must not send a credential. The whole host has to
// fit: what only begins, ends or looks like one is somebody else's.
func isRegistry(r image.Registry) bool {
	host := r.Host()
	switch {
	case !r.DefaultPort():
		return false
	case slices.Contains(legacyHosts, host):
		return true
	}
	host = strings.TrimPrefix(host, "private.")
	if host == "icr.io" {
		return true
	}
	key, found := strings.CutSuffix(host, ".icr.io")
	return found && isKey(key) && key != "cp" && !strings.HasPrefix(key, "dd")
}

// isEntitled reports whether a registry is IBM's entitled one.
func isEntitled(r image.Registry) bool { return r.DefaultPort() && r.Host() == entitledHost }

// isKey reports whether s is of the form that the keys of regions have.
func isKey(s string) bool {
	const letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	return (len(s) == 2 || len(s) == 3 && strings.Contains(digits, s[2:])) && strings.Trim(s[:2], letters) == ""
}
