package acr

import (
	"strings"
	"unicode/utf8"

	"regcred/shared/settings"
)

// isGUID reports whether s is written like the id of an application, an
// identity or a tenant.
func isGUID(s string) bool {
	const form = "00000000-0000-0000-0000-000000000000"
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		if (form[i] == '-') != (s[i] == '-') {
			return false
		}
	}
	return strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}

// isTenant reports whether s names a tenant: by its id, or by a domain of its
// own. Names for many tenants, such as "common", are none.
func isTenant(s string) bool {
	if isGUID(s) {
		return true
	}
	if len(s) > 253 || !strings.Contains(s, ".") || !settings.IsFrom(s, ".-") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

// isResourceID reports whether s is written like the resource id of an
// identity, or as Kubernetes has it in a node's providerID, after azure://.
// Names of resource groups have letters of any alphabet.
func isResourceID(s string) bool {
	s = resourceID(s)
	return len(s) <= 1024 && strings.HasPrefix(strings.ToLower(s), "/subscriptions/") && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '?' || r == '#' })
}

// resourceID returns an id as Azure has it.
func resourceID(s string) string {
	const scheme = "azure://"
	if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
		return s[len(scheme):]
	}
	return s
}
