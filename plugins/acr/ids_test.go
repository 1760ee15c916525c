package acr

import (
	"strings"
	"testing"
)

// Whoever may edit a service account writes what these read, and it goes into
// URLs.
func TestIds(t *testing.T) {
	for _, id := range []string{client, strings.ToUpper("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"), "00000000-0000-0000-0000-000000000000"} {
		if !isGUID(id) || !isTenant(id) {
			t.Errorf("%q is no id", id)
		}
	}
	for _, id := range []string{
		"", "me", client[1:], client + "0", strings.ReplaceAll(client, "-", ""), strings.Replace(client, "-", "1", 1), "g" + client[1:], " " + client[1:], client[:35] + "\n",
		"{" + client + "}", "--------------------------" + client[26:], strings.Replace(client, "1", "-", 1),
	} {
		if isGUID(id) {
			t.Errorf("%q is an id", id)
		}
	}
	for _, domain := range []string{"contoso.onmicrosoft.com", "a-b.c", "Contoso.Test", strings.Repeat("a", 63) + ".test"} {
		if !isTenant(domain) {
			t.Errorf("%q is no tenant", domain)
		}
	}
	for _, domain := range []string{
		"", "common", "organizations", "consumers", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "a.b/c", "a.b?c", "a.b#c", "a.b\\c", "a.b%2fc", "a.b@c", "a.b:c", "a b.c", "ä.c", "a.b\n", "..", "../x.y",
		strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 127) + "a",
	} {
		if isTenant(domain) {
			t.Errorf("%q is a tenant", domain)
		}
	}
	for id, want := range map[string]bool{
		"/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i": true,
		"/SUBSCRIPTIONS/s/resourcegroups/grüppe_(1).x":                                                   true,
		"azure:///subscriptions/s/resourceGroups/g":                                                      true, "Azure:///subscriptions/s": true, "azure://subscriptions/s": false, "azure://": false, "aws:///subscriptions/s": false,
		"": false, "/": false, "subscriptions/s": false, "x/subscriptions/s": false, "/subscriptions": false, "/subscriptions/a b": false, "/subscriptions/a\n": false,
		"/subscriptions/a?b": false, "/subscriptions/a#b": false, "/subscriptions/\xff": false, "/subscriptions/" + strings.Repeat("a", 1024): false,
	} {
		if got := isResourceID(id); got != want {
			t.Errorf("%.80q: got %t", id, got)
		}
	}
}
