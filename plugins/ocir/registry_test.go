package ocir

import (
	"strings"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/common"

	"regcred/shared/image"
)

// The grammar of the registry's hosts, by example.
var hosts = []struct{ host, region, realm string }{
	{"phx.ocir.io", "us-phoenix-1", "oc1"},
	{"iad.ocir.io", "us-ashburn-1", "oc1"},
	{"fra.ocir.io", "eu-frankfurt-1", "oc1"},
	{"lhr.ocir.io", "uk-london-1", "oc1"},
	{"nrt.ocir.io", "ap-tokyo-1", "oc1"},
	{"icn.ocir.io", "ap-seoul-1", "oc1"},
	{"xsp.ocir.io", "ap-singapore-2", "oc1"},
	{"lej.ocir.io", "af-casablanca-1", "oc1"},
	{"us-ashburn-1.ocir.io", "us-ashburn-1", "oc1"},
	{"ap-melbourne-1.ocir.io", "ap-melbourne-1", "oc1"},
	{"il-jerusalem-1.ocir.io", "il-jerusalem-1", "oc1"},
	{"us-saltlake-2.ocir.io", "us-saltlake-2", "oc1"},
	{"ocir.us-ashburn-1.oci.oraclecloud.com", "us-ashburn-1", "oc1"},
	{"ocir.eu-frankfurt-1.oci.oraclecloud.com", "eu-frankfurt-1", "oc1"},
	{"ocir.us-langley-1.oci.oraclegovcloud.com", "us-langley-1", "oc2"},
	{"ocir.us-luke-1.oci.oraclegovcloud.com", "us-luke-1", "oc2"},
	{"ocir.us-gov-ashburn-1.oci.oraclegovcloud.com", "us-gov-ashburn-1", "oc3"},
	{"ocir.us-gov-chicago-1.oci.oraclegovcloud.com", "us-gov-chicago-1", "oc3"},
	{"ocir.us-gov-phoenix-1.oci.oraclegovcloud.com", "us-gov-phoenix-1", "oc3"},
	{"ocir.uk-gov-london-1.oci.oraclegovcloud.uk", "uk-gov-london-1", "oc4"},
	{"ocir.uk-gov-cardiff-1.oci.oraclegovcloud.uk", "uk-gov-cardiff-1", "oc4"},
	{"ocir.ap-chiyoda-1.oci.oraclecloud8.com", "ap-chiyoda-1", "oc8"},
	{"ocir.me-dcc-muscat-1.oci.oraclecloud9.com", "me-dcc-muscat-1", "oc9"},
	{"ocir.ap-dcc-canberra-1.oci.oraclecloud10.com", "ap-dcc-canberra-1", "oc10"},
	{"ocir.eu-dcc-rating-2.oci.oraclecloud14.com", "eu-dcc-rating-2", "oc14"},
	{"ocir.eu-frankfurt-2.oci.oraclecloud.eu", "eu-frankfurt-2", "oc19"},
	{"ocir.us-ashburn-2.oci.oraclecloud42.com", "us-ashburn-2", "oc42"},
	// Regions that opened after this was built.
	{"zzz.ocir.io", "", "oc1"},
	{"zz-newplace-1.ocir.io", "zz-newplace-1", "oc1"},
	{"ocir.zz-newplace-1.oci.oraclecloud.com", "zz-newplace-1", "oc1"},
	{"ocir.us-newplace-1.oci.oraclegovcloud.com", "us-newplace-1", ""}, // of oc2 or oc3
	// The kubelet asks as the image is written.
	{"IAD.OCIR.IO", "us-ashburn-1", "oc1"},
}

// dedicatedHost is of a realm that only its own nodes know.
const dedicatedHost = "ocir.zz-new-1.oci.oraclecloud77.com"

var foreignHosts = []string{
	// A region under another realm's domain.
	"ocir.us-ashburn-1.oci.oraclegovcloud.com",
	"ocir.eu-frankfurt-2.oci.oraclecloud.com",
	"ric.ocir.io", "us-ashburn-2.ocir.io",
	// No cloud serves its registry at another port, and the kubelet compares
	// ports.
	"iad.ocir.io:443", "iad.ocir.io:5000",
	// Look-alikes.
	"ocir.io", "foo.iad.ocir.io", "iad.ocir.io.evil.com", "evil-ocir.io", "iadocir.io", "iad.ocir.io.evil.ocir.io",
	"ocir.us-ashburn-1.oci.oraclecloud.com.evil.com",
	"ocir.us-ashburn-1.oraclecloud.com",
	"ocir.us-ashburn-1.oci.oraclecloud.evil",
	"ocir.us-ashburn-1.oci.oraclecloud1.com",
	"x.ocir.us-ashburn-1.oci.oraclecloud.com",
	"ocir.us-ashburn.oci.oraclecloud.com", "ocir.us-ashburn-100.oci.oraclecloud.com", "ocir.u-ashburn-1.oci.oraclecloud.com",
	"ocir.iad.oci.oraclecloud.com", "ocir.us-a-b-c-1.oci.oraclecloud.com", "ocir.us--1.oci.oraclecloud.com",
	// Oracle's, but no registries with such tokens.
	"artifacts.us-ashburn-1.oci.oraclecloud.com", "objectstorage.us-ashburn-1.oci.oraclecloud.com",
	"container-registry.oracle.com", "auth.us-ashburn-1.oraclecloud.com",
	// Two letters may be a registry of several regions one day: --registry.
	"us.ocir.io", "iad1.ocir.io", "1ad.ocir.io",
	// Others'.
	"docker.io", "gcr.io", "localhost:5000", "169.254.169.254", "[::1]",
}

func parse(t *testing.T, host string) (registry, bool) {
	t.Helper()
	r, err := image.ParseRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	return parseRegistry(r)
}

func TestRegistries(t *testing.T) {
	for _, tc := range hosts {
		got, ok := parse(t, tc.host)
		if !ok || got.region != tc.region || got.realm != tc.realm || got.foreign || got.host != strings.ToLower(tc.host) {
			t.Errorf("%s: got %+v, %t", tc.host, got, ok)
		}
	}
	if got, ok := parse(t, dedicatedHost); !ok || !got.foreign || got.domain != "oraclecloud77.com" {
		t.Errorf("%s: got %+v, %t", dedicatedHost, got, ok)
	}
}

func TestForeignHosts(t *testing.T) {
	for _, host := range foreignHosts {
		if got, ok := parse(t, host); ok {
			t.Errorf("%s: got %+v", host, got)
		}
	}
}

// What is no host never becomes a registry: the text before the first slash
// counts, and nothing in it is left out.
func TestWhatIsNoHost(t *testing.T) {
	for _, name := range []string{"ocir.us-ashburn-1.oci.oraclecloud.com./ns/r", "iad.ocir.io@evil.com/ns/r"} {
		if ref, err := image.Parse(name); err == nil {
			if got, ok := parseRegistry(ref.Registry); ok {
				t.Errorf("%s: got %+v", name, got)
			}
		}
	}
	ref, err := image.Parse("evil.com/iad.ocir.io/r")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := parseRegistry(ref.Registry); ok {
		t.Errorf("got %+v", got)
	}
}

// The table is the SDK's of this release: whoever updates the SDK updates it.
func TestTheSDKKnowsTheSameRegions(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	count := 0
	for _, r := range realms {
		for entry := range strings.SplitSeq(r.regions, " ") {
			key, id, _ := strings.Cut(entry, "=")
			region := common.StringToRegion(key)
			realm, err := region.RealmID()
			if err != nil || string(region) != id || realm != r.key || region.SecondLevelDomain() != r.domain {
				t.Errorf("%s %s: %s, %s, %v", r.key, entry, region, realm, err)
			}
			count++
		}
	}
	if count != 85 {
		t.Errorf("%d regions", count)
	}
}

func FuzzRegistry(f *testing.F) {
	for _, tc := range hosts {
		f.Add(tc.host)
	}
	for _, host := range append(foreignHosts, dedicatedHost) {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		r, err := image.ParseRegistry(host)
		if err != nil {
			return
		}
		got, ok := parseRegistry(r)
		if !ok {
			return
		}
		switch {
		case got.host != r.Host() || r.Port() != "":
			t.Errorf("%s: got %+v", host, got)
		case strings.HasSuffix(got.host, ".ocir.io") && strings.Count(got.host, ".") == 2:
		case got.host != "ocir."+got.region+".oci."+got.domain:
			t.Errorf("%s: got %+v", host, got)
		}
	})
}

// A domain that two realms share is neither's of a third, whatever the region.
func TestARealmThatIsKnownHasItsDomain(t *testing.T) {
	for _, tc := range []struct {
		host, realm string
		ok          bool
	}{
		{"ocir.us-luke-9.oci.oraclegovcloud.com", "oc1", false},
		{"ocir.us-luke-9.oci.oraclegovcloud.com", "oc2", true},
		{"ocir.us-luke-9.oci.oraclegovcloud.com", "oc3", true},
		{"ocir.us-luke-9.oci.oraclegovcloud.com", "oc77", true}, // whose domain nobody here knows
		{"ocir.us-luke-9.oci.oraclegovcloud.com", "", true},
		{"ocir.us-ashburn-10.oci.oraclecloud.com", "oc1", true},
		{"ocir.us-ashburn-10.oci.oraclecloud.com", "oc2", false},
	} {
		registry, ok := parse(t, tc.host)
		if !ok {
			t.Fatalf("%s is no registry", tc.host)
		}
		if err := registry.check(place{realm: tc.realm}); (err == nil) != tc.ok {
			t.Errorf("%s for an identity of %q: %v", tc.host, tc.realm, err)
		}
	}
}
