package acr

import (
	"slices"
	"strings"
	"testing"

	"regcred/shared/image"
)

// The grammar of login servers, by example. The cloud is empty for what is none.
var hosts = []struct {
	host  string
	cloud string
}{
	{"myregistry.azurecr.io", publicCloud},
	{"MyRegistry.azurecr.io", publicCloud},
	{"myregistry.AzureCR.IO", publicCloud},
	{"myregistry.azurecr.us", "AzureUSGovernmentCloud"},
	{"myregistry.azurecr.cn", "AzureChinaCloud"},
	// Of a cloud that was closed: whose the domain is now is not known.
	{"myregistry.azurecr.de", ""},
	// With a domain name label.
	{"contosoacrregistry-e7ggejfuhzhgedc8.azurecr.io", publicCloud},
	// Of 2017.
	{"colemicktest-microsoft.azurecr.io", publicCloud},
	// Endpoints in one region.
	{"myregistry.eastus.geo.azurecr.io", publicCloud},
	{"myregistry-d7ezgzevdwfvc8ht.westeurope.geo.azurecr.io", publicCloud},
	{"myregistry.azurecr.eaglex.ic.gov", "USNat"},
	{"myregistry.azurecr.microsoft.scloud", "USSec"},
	{"myregistry.francecentral.geo.azurecr.sovcloud-azure.fr", "Bleu"},
	{"registry123.deloscloudgermanycentral.geo.azurecr.sovcloud-azure.de", "Delos"},
	// Of an Azure Stack, when it is configured.
	{"foo.azurecr.my.cloud", ""},
	{"myregistry.azurecr.io:443", publicCloud},
	{"myregistry.azurecr.io:5000", ""},
	// Where blobs are.
	{"myregistry.eastus.data.azurecr.io", ""},
	{"myregistry.eastus.azurecr.io", ""},
	{"myregistry.privatelink.azurecr.io", ""},
	{"a.b.azurecr.io", ""},
	{"azurecr.io", ""},
	// Look-alikes.
	{"evilazurecr.io", ""},
	{"foo.evilazurecr.io", ""},
	{"foo.azurecr.io.evil.com", ""},
	{"azurecr.io.evil", ""},
	// A registry of China could have no such name.
	{"foo.azurecr.io.azurecr.cn", ""},
	{"foo.azurecr.com", ""},
	{"foo.azurecr.iox", ""},
	{"docker.io", ""},
	{"mcr.microsoft.com", ""},
	{"mcr.microsoft.com.evil.com", ""},
	{"mcr.microsoft.community", ""},
	{"foo.eastus.geo.evil.io", ""},
	{"geo.azurecr.io", publicCloud}, // a registry may have any name
	{"eastus.geo.azurecr.io", ""},
	{"a.b.eastus.geo.azurecr.io", ""},
	{"foo.east-us.geo.azurecr.io", ""},
	{"foo.geo.eastus.azurecr.io", ""},
	{"foo-bar--baz.azurecr.io", publicCloud},
	{strings.Repeat("a", 63) + ".azurecr.io", publicCloud},
	{strings.Repeat("a", 64) + ".azurecr.io", ""},
	{strings.Repeat("a", 64) + ".eastus.geo.azurecr.io", ""},
	{"[::1]", ""},
	{"[::1]:443", ""},
	{"169.254.169.254", ""},
}

// What is not even the name of a registry.
var noHosts = []string{
	".azurecr.io", "-foo.azurecr.io", "foo-.azurecr.io", "foo_bar.azurecr.io", "foo.azurecr.io.", "user@foo.azurecr.io",
	"foo..geo.azurecr.io", "foo.azurecr.io:0", "foo.azurecr.io:port", "föö.azurecr.io", "https://foo.azurecr.io",
}

func mustParse(t testing.TB, host string) image.Registry {
	t.Helper()
	r, err := image.ParseRegistry(host)
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	return r
}

func TestHosts(t *testing.T) {
	suffixes := newSuffixes(publicCloud, nil)
	for _, tc := range hosts {
		got, ok := suffixes.parse(mustParse(t, tc.host))
		want := loginServer{}
		if tc.cloud != "" {
			host, _, _ := strings.Cut(strings.ToLower(tc.host), ":")
			want = loginServer{host, tc.cloud}
		}
		if got != want || ok != (tc.cloud != "") {
			t.Errorf("%s: got %+v, %t", tc.host, got, ok)
		}
	}
	for _, host := range noHosts {
		if ref, err := image.Parse(host + "/app"); err == nil {
			if got, ok := suffixes.parse(ref.Registry); ok {
				t.Errorf("%s: got %+v", host, got)
			}
		}
	}
	// This is Docker Hub's.
	ref, err := image.Parse("docker.io/foo.azurecr.io/x")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := suffixes.parse(ref.Registry); ok {
		t.Errorf("%s: got %+v", ref, got)
	}
}

func TestConfiguredSuffixes(t *testing.T) {
	suffixes := newSuffixes(stackCloud, []string{"azurecr.my.cloud", "azurecr.de"})
	for host, want := range map[string]string{
		"foo.azurecr.my.cloud":             stackCloud,
		"foo.region1.geo.azurecr.my.cloud": stackCloud,
		"foo.region1.azurecr.my.cloud":     "",
		"azurecr.my.cloud":                 "",
		"evilazurecr.my.cloud":             "",
		"foo.azurecr.my.cloud.evil.com":    "",
		"myregistry.azurecr.de":            stackCloud,
		"myregistry.azurecr.io":            publicCloud,
	} {
		if got, ok := suffixes.parse(mustParse(t, host)); got.cloud != want || ok != (want != "") {
			t.Errorf("%s: got %+v, %t", host, got, ok)
		}
	}
}

func TestParseSuffix(t *testing.T) {
	for text, want := range map[string]string{
		"azurecr.my.cloud": "azurecr.my.cloud", ".AzureCR.my.cloud": "azurecr.my.cloud",
		"": "", ".": "", "com": "", "*.azurecr.io": "", "https://azurecr.io": "", "azurecr.io/": "", "azurecr.io:443": "", "..a.b": "", "a b.c": "", "[::1]": "",
	} {
		if got, err := parseSuffix(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for domain, ok := range map[string]bool{
		"azurecr.my.cloud": true, "azurecr.de": true, "azurecr.io": true, "internal.azurecr.io": true,
		"azurecr.cn": false, "azurecr.us": false, "eaglex.ic.gov": false, "ic.gov": false, "x.azurecr.us": false,
	} {
		if err := checkSuffix(domain, publicCloud); (err == nil) != ok {
			t.Errorf("%s: got %v", domain, err)
		}
	}
}

func TestClouds(t *testing.T) {
	for name, want := range map[string]string{
		"AzurePublicCloud": "login.microsoftonline.com", "AzureCloud": "login.microsoftonline.com", "azurepubliccloud": "login.microsoftonline.com",
		"AzureUSGovernment": "login.microsoftonline.us", "AZUREUSGOVERNMENTCLOUD": "login.microsoftonline.us",
		"AzureChinaCloud": "login.chinacloudapi.cn", "USNat": "login.microsoftonline.eaglex.ic.gov", "USNatCloud": "login.microsoftonline.eaglex.ic.gov",
		"USSec": "login.microsoftonline.microsoft.scloud", "Bleu": "login.sovcloud-identity.fr", "AzureBleuCloud": "login.sovcloud-identity.fr",
		"Delos": "login.sovcloud-identity.de", "AzureGermanyCloud": "login.sovcloud-identity.de",
		// Closed; an Azure Stack is in a file.
		"AzureGermanCloud": "", "AzureStackCloud": "", "": "", "public": "", "AzurePublicCloud/": "",
	} {
		if got, ok := findCloud(name); got.authority != want || ok != (want != "") {
			t.Errorf("%q: got %+v, %t", name, got, ok)
		}
	}
	var names, registries, authorities []string
	for _, c := range clouds {
		names = append(append(names, strings.ToLower(c.name)), c.others...)
		registries, authorities = append(registries, c.registries), append(authorities, c.authority)
	}
	for what, values := range map[string][]string{"names": names, "registries": registries, "authorities": authorities} {
		slices.Sort(values)
		if len(slices.Compact(slices.Clone(values))) != len(values) {
			t.Errorf("two clouds share %s: %q", what, values)
		}
	}
}

func FuzzRegistry(f *testing.F) {
	for _, tc := range hosts {
		f.Add(tc.host)
	}
	for _, host := range noHosts {
		f.Add(host)
	}
	suffixes := newSuffixes(publicCloud, nil)
	f.Fuzz(func(t *testing.T, host string) {
		r, err := image.ParseRegistry(host)
		if err != nil {
			return
		}
		got, ok := suffixes.parse(r)
		if !ok {
			return
		}
		c, _ := findCloud(got.cloud)
		labels := strings.Count(strings.TrimSuffix(got.host, "."+c.registries), ".")
		if !strings.HasSuffix(got.host, "."+c.registries) || labels != 0 && labels != 2 || strings.ContainsAny(got.host, "/@:?# ") || got.host != strings.ToLower(got.host) {
			t.Errorf("%q: got %+v", host, got)
		}
	})
}
