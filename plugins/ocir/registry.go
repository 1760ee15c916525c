package ocir

import (
	"strings"

	"regcred/shared/image"
)

// registry is a host of Oracle's registry, taken apart.
//
//	KEY.ocir.io                   in realm oc1, KEY being three letters
//	REGION.ocir.io                in realm oc1
//	ocir.REGION.oci.REALM_DOMAIN  in every realm
//
// artifacts.REGION.oci.REALM_DOMAIN is the API for repositories and gives no
// tokens.
type registry struct {
	// host is in lower case, with the port that a configured one has.
	host string

	// domain is the realm's. Realms of the United States' government share one.
	domain string

	// realm is empty where the region is not known, and the domain may be of
	// several realms or of one that is not known either.
	realm string

	// region is empty for a key that is not known.
	region string

	// foreign means that nobody but the node can say whether the domain is its
	// own realm's: of dedicated regions, say.
	foreign bool
}

// realm is a part of Oracle's cloud with a domain and identities of its own.
type realm struct {
	key, domain string

	// regions are "KEY=ID", separated by spaces.
	regions string
}

// realms are those that Oracle's SDK lists. They are here to refuse what cannot
// be: a region under another realm's domain. New regions appear several times a
// year, and a registry in one has to work on the day it opens.
var realms = []realm{
	{"oc1", "oraclecloud.com", "yny=ap-chuncheon-1 hyd=ap-hyderabad-1 mel=ap-melbourne-1 bom=ap-mumbai-1 kix=ap-osaka-1 icn=ap-seoul-1 syd=ap-sydney-1 " +
		"nrt=ap-tokyo-1 yul=ca-montreal-1 yyz=ca-toronto-1 ams=eu-amsterdam-1 fra=eu-frankfurt-1 zrh=eu-zurich-1 jed=me-jeddah-1 dxb=me-dubai-1 gru=sa-saopaulo-1 " +
		"cwl=uk-cardiff-1 lhr=uk-london-1 iad=us-ashburn-1 phx=us-phoenix-1 sjc=us-sanjose-1 vcp=sa-vinhedo-1 scl=sa-santiago-1 mtz=il-jerusalem-1 mrs=eu-marseille-1 " +
		"sin=ap-singapore-1 auh=me-abudhabi-1 lin=eu-milan-1 arn=eu-stockholm-1 jnb=af-johannesburg-1 cdg=eu-paris-1 qro=mx-queretaro-1 mad=eu-madrid-1 ord=us-chicago-1 " +
		"mty=mx-monterrey-1 aga=us-saltlake-2 bog=sa-bogota-1 vap=sa-valparaiso-1 xsp=ap-singapore-2 ruh=me-riyadh-1 onm=ap-delhi-1 hsg=ap-batam-1 orf=eu-madrid-3 " +
		"nrq=eu-turin-1 jbp=ap-kulai-2 lej=af-casablanca-1"},
	{"oc2", "oraclegovcloud.com", "lfi=us-langley-1 luf=us-luke-1"},
	{"oc3", "oraclegovcloud.com", "ric=us-gov-ashburn-1 pia=us-gov-chicago-1 tus=us-gov-phoenix-1"},
	{"oc4", "oraclegovcloud.uk", "ltn=uk-gov-london-1 brs=uk-gov-cardiff-1"},
	{"oc8", "oraclecloud8.com", "nja=ap-chiyoda-1 ukb=ap-ibaraki-1"},
	{"oc9", "oraclecloud9.com", "mct=me-dcc-muscat-1 ibr=me-ibri-1"},
	{"oc10", "oraclecloud10.com", "wga=ap-dcc-canberra-1"},
	{"oc14", "oraclecloud14.com", "bgy=eu-dcc-milan-1 mxp=eu-dcc-milan-2 snn=eu-dcc-dublin-2 dtm=eu-dcc-rating-2 dus=eu-dcc-rating-1 ork=eu-dcc-dublin-1"},
	{"oc15", "oraclecloud15.com", "dac=ap-dcc-gazipur-1"},
	{"oc19", "oraclecloud.eu", "vll=eu-madrid-2 str=eu-frankfurt-2"},
	{"oc20", "oraclecloud20.com", "beg=eu-jovanovac-1"},
	{"oc21", "oraclecloud21.com", "doh=me-dcc-doha-1 vve=me-alrayyan-1"},
	{"oc23", "oraclecloud23.com", "ebb=us-somerset-1 ebl=us-thames-1"},
	{"oc24", "oraclecloud24.com", "avz=eu-dcc-zurich-1 avf=eu-crissier-1"},
	{"oc26", "oraclecloud26.com", "ahu=me-abudhabi-3 rba=me-alain-1"},
	{"oc29", "oraclecloud29.com", "rkt=me-abudhabi-2 shj=me-abudhabi-4"},
	{"oc35", "oraclecloud35.com", "dtz=ap-seoul-2 dln=ap-suwon-1 bno=ap-chuncheon-2"},
	{"oc42", "oraclecloud42.com", "yxj=us-ashburn-2 pgc=us-newark-1"},
	{"oc51", "oraclecloud51.com", "jsk=eu-budapest-1"},
	{"oc52", "oraclecloud52.com", "hnw=sa-riodejaneiro-1"},
}

// findRegion returns the realm of a region, by its key or its id.
func findRegion(name string) (r realm, id string, found bool) {
	for _, r := range realms {
		for entry := range strings.SplitSeq(r.regions, " ") {
			if key, id, _ := strings.Cut(entry, "="); name == key || name == id {
				return r, id, true
			}
		}
	}
	return realm{}, "", false
}

// findDomain reports whether a domain is one of the realms', and which realm's
// if it is of one alone.
func findDomain(domain string) (key string, found bool) {
	for _, r := range realms {
		switch {
		case r.domain != domain:
		case found:
			return "", true
		default:
			key, found = r.key, true
		}
	}
	return key, found
}

// domainOf returns the domain of a realm, or nothing if it is not known.
func domainOf(key string) string {
	for _, r := range realms {
		if r.key == key {
			return r.domain
		}
	}
	return ""
}

// parseRegistry reports whether a registry is Oracle's, or may be, and which.
// The whole host has to fit: what only begins, ends or looks like one is
// somebody else's.
func parseRegistry(r image.Registry) (registry, bool) {
	if r.Port() != "" {
		return registry{}, false
	}
	p := registry{host: r.Host()}
	labels := strings.Split(p.host, ".")
	oc1 := realms[0]
	if len(labels) == 3 && strings.HasSuffix(p.host, ".ocir.io") {
		p.domain, p.realm = oc1.domain, oc1.key
		known, id, found := findRegion(labels[0])
		p.region = id
		if !found && isRegion(labels[0]) {
			p.region = labels[0]
		}
		return p, (isKey(labels[0]) || isRegion(labels[0])) && (!found || known.key == oc1.key)
	}
	if len(labels) < 5 || labels[0] != "ocir" || labels[2] != "oci" || !isRegion(labels[1]) {
		return registry{}, false
	}
	p.region, p.domain = labels[1], strings.Join(labels[3:], ".")
	if known, _, found := findRegion(p.region); found {
		p.realm = known.key
		return p, p.domain == known.domain
	}
	var found bool
	p.realm, found = findDomain(p.domain)
	p.foreign = !found
	return p, true
}

// isKey reports whether s reads like the key of a region.
func isKey(s string) bool { return len(s) == 3 && isLetters(s) }

// isRegion reports whether s reads like a region: two letters, one word or two,
// and a number, as in af-casablanca-1 or us-gov-ashburn-1.
func isRegion(s string) bool {
	words := strings.Split(s, "-")
	if len(words) < 3 || len(words) > 4 {
		return false
	}
	number := words[len(words)-1]
	for i, word := range words[:len(words)-1] {
		if !isLetters(word) || i == 0 && len(word) != 2 || len(word) < 2 || len(word) > 20 {
			return false
		}
	}
	return number != "" && len(number) <= 2 && strings.Trim(number, "0123456789") == ""
}

func isLetters(s string) bool { return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == "" }
