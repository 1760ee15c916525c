package ibm

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// User names say what the password is: an IAM token, an API key, or a key for
// IBM's entitled registry.
const (
	TokenUser    = "iambearer"
	KeyUser      = "iamapikey"
	EntitledUser = "cp"
)

// EntitledHost is IBM's entitled registry.
const EntitledHost = "cp.icr.io"

// registryHosts are the hosts of the registry: no region's is missing.
var registryHosts = regexp.MustCompile(`^((private\.)?((us|uk|de|au|jp2?|ca2?|br|es|in2?|fr2)\.)?icr\.io|registry\.((ng|eu-gb|eu-de|au-syd)\.)?bluemix\.net)$`)

// Login says whose credential a login is, and why a registry does not let it
// pull. No registry is there: they take what IAM has issued.
func (f *Fake) Login(host, username, password string) (owner string, err error) {
	if host = strings.TrimSuffix(strings.ToLower(host), ":443"); !registryHosts.MatchString(host) {
		return "", fmt.Errorf("ibm: %s is no registry of an account", host)
	}
	switch username {
	case TokenUser:
		token, ok := f.tokens.Find(password)
		if !ok {
			return "", errors.New("ibm: not an IAM token")
		}
		if !f.Now().Before(token.Expires) {
			return token.IAMID, errors.New("ibm: the token has expired")
		}
		owner = token.IAMID
	case KeyUser:
		service, ok := f.directory.owner(password)
		if !ok {
			return "", errors.New("ibm: not an API key")
		}
		owner = service.IAMID()
	default:
		profile, ok := f.directory.profile(username)
		service, known := f.directory.owner(password)
		if !ok || !known || !slices.Contains(profile.Assumers, service.IAMID()) {
			return "", fmt.Errorf("ibm: no user %q with that password", username)
		}
		owner = profile.IAMID()
	}
	if !f.directory.reads(owner) {
		return owner, fmt.Errorf("ibm: %s lacks the role Reader", owner)
	}
	return owner, nil
}
