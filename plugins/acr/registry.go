package acr

import (
	"errors"
	"fmt"
	"strings"

	"regcred/shared/image"
)

// loginServer is a login server of Azure Container Registry.
//
//	LABEL.SUFFIX             the registry
//	LABEL.REGION.geo.SUFFIX  its endpoint in one region
//
// LABEL is the registry's name, or name and hash where it was made with a
// domain name label. The suffix is the cloud's. LABEL.REGION.data.SUFFIX, where
// blobs are, is none: clients are sent there with what they need, and must not
// send a credential.
type loginServer struct {
	// host is the login server in lower case.
	host string
	// cloud is the name of the cloud that operates it.
	cloud string
}

// suffix is what the login servers of a cloud end in.
type suffix struct {
	domain string
	cloud  string
}

// suffixes say which cloud a login server is of.
type suffixes []suffix

// newSuffixes returns the suffixes of all known clouds and, before them, those
// that were configured for one's own.
func newSuffixes(own string, configured []string) suffixes {
	s := make(suffixes, 0, len(configured)+len(clouds))
	for _, domain := range configured {
		s = append(s, suffix{domain, own})
	}
	for _, c := range clouds {
		s = append(s, suffix{c.registries, c.name})
	}
	return s
}

// parse reports whether a registry is a login server, and which. The whole host
// has to fit: what only begins, ends or looks like one is somebody else's.
func (s suffixes) parse(r image.Registry) (loginServer, bool) {
	if !r.DefaultPort() {
		return loginServer{}, false
	}
	for _, one := range s {
		if name, found := strings.CutSuffix(r.Host(), "."+one.domain); found && isServerName(name) {
			return loginServer{r.Host(), one.cloud}, true
		}
	}
	return loginServer{}, false
}

// isServerName reports whether s is what stands before the suffix of a login
// server. Rules for the names of registries are not looked at: whose server it
// is, is said by what comes after them.
func isServerName(s string) bool {
	label, rest, regional := strings.Cut(s, ".")
	if regional {
		region, geo, _ := strings.Cut(rest, ".")
		if geo != "geo" || region == "" || strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	// That it is a label of a host name has been checked.
	return label != "" && len(label) <= 63
}

// parseSuffix reads a suffix that somebody configured, as Azure's own files
// write it: with a dot before it or without.
func parseSuffix(text string) (string, error) {
	r, err := image.ParseRegistry(strings.TrimPrefix(text, "."))
	if err != nil || r.Port() != "" || strings.HasPrefix(r.Host(), "[") {
		return "", fmt.Errorf("not a domain: %.80q", text)
	}
	if !strings.Contains(r.Host(), ".") {
		return "", fmt.Errorf("a whole top-level domain: %.80q", text)
	}
	return r.Host(), nil
}

// checkSuffix refuses a suffix by which login servers of another cloud would
// become one's own.
func checkSuffix(domain, own string) error {
	for _, c := range clouds {
		if c.name != own && (domain == c.registries || strings.HasSuffix(c.registries, "."+domain) || strings.HasSuffix(domain, "."+c.registries)) {
			return fmt.Errorf("%s belongs to cloud %s: its registries need an entry each in registries, with their cloud", domain, c.name)
		}
	}
	return nil
}

// parseLoginServer reads the host of a login server that somebody configured.
func (s suffixes) parseLoginServer(text string) (loginServer, error) {
	r, err := image.ParseRegistry(text)
	if err != nil {
		return loginServer{}, err
	}
	server, ok := s.parse(r)
	if !ok {
		return loginServer{}, errors.New("not a login server of a known cloud, such as NAME.azurecr.io; see registrySuffixes")
	}
	return server, nil
}
