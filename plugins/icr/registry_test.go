package icr

import (
	"strings"
	"testing"

	"regcred/shared/image"
)

// What a host is: a registry of accounts, IBM's entitled one, or neither.
const (
	account  = "account"
	entitled = "entitled"
	foreign  = ""
)

// The grammar of hosts, by example.
var hosts = []struct{ host, what string }{
	{"icr.io", account},
	{"private.icr.io", account},
	{"us.icr.io", account},
	{"private.us.icr.io", account},
	{"uk.icr.io", account},
	{"private.uk.icr.io", account},
	{"de.icr.io", account},
	{"private.de.icr.io", account},
	{"au.icr.io", account},
	{"private.au.icr.io", account},
	{"jp.icr.io", account},
	{"private.jp.icr.io", account},
	{"jp2.icr.io", account},
	{"private.jp2.icr.io", account},
	{"ca.icr.io", account},
	{"private.ca.icr.io", account},
	{"ca2.icr.io", account},
	{"private.ca2.icr.io", account},
	{"br.icr.io", account},
	{"private.br.icr.io", account},
	{"es.icr.io", account},
	{"private.es.icr.io", account},
	{"in.icr.io", account},
	{"private.in.icr.io", account},
	{"in2.icr.io", account},
	{"private.in2.icr.io", account},
	{"fr2.icr.io", account},
	{"private.fr2.icr.io", account},
	{"zz9.icr.io", account}, // of a region that opens tomorrow
	{"US.ICR.IO", account},
	{"us.icr.io:443", account},
	{"us.icr.io:5000", foreign},
	{"us.icr.io:80", foreign},
	// From before icr.io.
	{"registry.bluemix.net", account},
	{"registry.ng.bluemix.net", account},
	{"registry.eu-gb.bluemix.net", account},
	{"registry.eu-de.bluemix.net", account},
	{"registry.au-syd.bluemix.net", account},
	{"registry.xx.bluemix.net", foreign},
	{"x.registry.ng.bluemix.net", foreign},
	{"private.registry.bluemix.net", foreign},
	{"registry.ng.bluemix.net.evil.example", foreign},
	{"ng.bluemix.net", foreign},
	{"bluemix.net", foreign},
	// Hosts of IBM's that take no credential of an account.
	{"cp.icr.io", entitled},
	{"CP.icr.io", entitled},
	{"cp.icr.io:443", entitled},
	{"cp.icr.io:8443", foreign},
	{"private.cp.icr.io", foreign},
	{"cp2.icr.io", account}, // another two letters
	{"cp.stg.icr.io", foreign},
	{"stg.icr.io", foreign},
	{"dd.icr.io", foreign},
	{"dd0.icr.io", foreign},
	{"dd1.icr.io", foreign},
	{"dd2.icr.io", foreign},
	{"dd4.icr.io", foreign},
	{"dd6.icr.io", foreign},
	{"private.dd0.icr.io", foreign},
	{"dd0.us.icr.io", foreign},
	{"dd1-icr.ibm-zh.com", foreign},
	// Look-alikes.
	{"evilicr.io", foreign},
	{"us-icr.io", foreign},
	{"us.icr.io.evil.example", foreign},
	{"icr.io.example.com", foreign},
	{"a.us.icr.io", foreign},
	{"us.private.icr.io", foreign},
	{"private.private.icr.io", foreign},
	{"private.us.private.icr.io", foreign},
	{"privateus.icr.io", foreign},
	{"private.evilicr.io", foreign},
	{"icr.iox", foreign},
	{"us.icr.com", foreign},
	{"u.icr.io", foreign},
	{"usa.icr.io", foreign},
	{"us10.icr.io", foreign},
	{"1us.icr.io", foreign},
	{"u2.icr.io", foreign},
	{"u-.icr.io", foreign},
	{"docker.io", foreign},
	{"io", foreign},
}

func TestTheGrammarOfHosts(t *testing.T) {
	for _, tc := range hosts {
		r, err := image.ParseRegistry(tc.host)
		if err != nil {
			if tc.what != foreign {
				t.Errorf("%s: %v", tc.host, err)
			}
			continue
		}
		if isRegistry(r) != (tc.what == account) || isEntitled(r) != (tc.what == entitled) {
			t.Errorf("%s: want %q", tc.host, tc.what)
		}
	}
	for _, text := range []string{"us.icr.io./app", "us.icr.io@evil.example/x", "us..icr.io/app", "icr.io", "us.icr.io"} {
		if ref, err := image.Parse(text); err == nil && ref.Registry.Host() != "docker.io" {
			t.Errorf("%s is taken for an image of %s", text, ref.Registry)
		}
	}
}

// The kubelet's patterns cannot say what is no registry.
func FuzzHosts(f *testing.F) {
	for _, tc := range hosts {
		f.Add(tc.host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		r, err := image.ParseRegistry(host)
		if err != nil || !isRegistry(r) {
			return
		}
		host = r.Host()
		if host != "icr.io" && !strings.HasSuffix(host, ".icr.io") && !strings.HasSuffix(host, ".bluemix.net") && host != "registry.bluemix.net" || strings.Count(host, ".") > 3 || isEntitled(r) {
			t.Errorf("%q is taken for a registry", host)
		}
	})
}
