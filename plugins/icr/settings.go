package icr

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/image"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

// Kinds of credentials, the values of --credential.
const (
	vpc     = "vpc"
	powerVS = "powervs"
	apiKey  = "api-key"
)

// Settings are the plugin's own and those that every plugin has.
type Settings struct {
	settings.Common

	// Credential is what the node proves its identity with: vpc, powervs or
	// api-key. Empty means api-key where there is a file with one, and vpc
	// elsewhere.
	Credential string `json:"credential,omitempty"`

	// Profile is the trusted profile that the machine pulls as, by its id or
	// CRN. Empty means the machine's default one.
	Profile string `json:"profile,omitempty"`

	// APIKeyFile holds an API key, as it is or as IBM's command line saves it.
	APIKeyFile string `json:"apiKeyFile,omitempty"`

	// AssumeProfile is the trusted profile that the node's identity assumes to
	// pull, by its id or CRN. Empty assumes none.
	AssumeProfile string `json:"assumeProfile,omitempty"`

	// PodProfile is the trusted profile of pods whose service account names
	// none. Empty means that there is no such profile.
	PodProfile string `json:"podProfile,omitempty"`

	// IAMEndpoint is where IAM is asked: public, private, a region, or a URL.
	IAMEndpoint string `json:"iamEndpoint,omitempty"`

	// IAMFallback lets IAM's public endpoint be asked where the configured one
	// does not answer.
	IAMFallback bool `json:"iamFallback,omitempty"`

	// EntitlementKeyFile holds the key for IBM's entitled registry, cp.icr.io.
	// Empty means that the registry is not answered for.
	EntitlementKeyFile string `json:"entitlementKeyFile,omitempty"`

	// Logins are API keys that are handed out as they are, as the node's, by the
	// registry's host.
	Logins map[string]Login `json:"logins,omitempty"`
}

// Login is the user name, iamapikey or the id of a trusted profile, and a file
// with the API key.
type Login struct {
	Username     string `json:"username"`
	PasswordFile string `json:"passwordFile"`
}

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringVar(&s.Credential, "credential", s.Credential, "`kind` of the node's credential: vpc (a machine of VPC), powervs, or api-key; without it api-key if there is a file with one, or else vpc")
	fs.StringVar(&s.Profile, "profile", s.Profile, "trusted `profile` that the machine pulls as, by id or CRN, where it is not the machine's default one")
	fs.StringVar(&s.APIKeyFile, "api-key-file", s.APIKeyFile, "`file` with the API key that the node pulls with")
	fs.StringVar(&s.AssumeProfile, "assume-profile", s.AssumeProfile, "trusted `profile` that the node's identity assumes to pull, by id or CRN")
	fs.StringVar(&s.PodProfile, "pod-profile", s.PodProfile, "trusted `profile` of pods whose service account names none, by id or CRN")
	fs.StringVar(&s.IAMEndpoint, "iam-endpoint", s.IAMEndpoint, "`where` IAM is asked: public, private (VPC), a region such as us-south (its private endpoint in classic infrastructure), or a URL")
	fs.BoolVar(&s.IAMFallback, "iam-fallback", s.IAMFallback, "ask IAM's public endpoint where the configured one does not answer")
	fs.StringVar(&s.EntitlementKeyFile, "entitlement-key-file", s.EntitlementKeyFile, "`file` with the key for IBM's entitled registry, "+entitledHost)
}

// Provider compiles the settings.
func (s *Settings) Provider(run plugin.Run) (credential.Provider, error) {
	iam, err := s.iam()
	if err != nil {
		return nil, err
	}
	p := &provider{
		fallback:  s.NodeFallback,
		scope:     s.IdentityScope,
		endpoints: newEndpoints(iam, s.CAFile, run.Getenv),
		logins:    map[string]*file.Login{},
	}
	for _, compile := range []func(*provider) error{s.compileNode, s.compilePods, s.compileLogins} {
		if err := compile(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// compileNode finds out how the node proves who it is, and as whom it pulls. A
// setting that would be silently dropped is another identity than was meant.
func (s *Settings) compileNode(p *provider) error {
	kind := s.Credential
	if kind == "" {
		kind = vpc
		if s.APIKeyFile != "" {
			kind = apiKey
		}
	}
	switch {
	case kind != vpc && kind != powerVS && kind != apiKey:
		return fmt.Errorf("credential: none of %s, %s, %s: %.80q", vpc, powerVS, apiKey, s.Credential)
	case kind == apiKey && s.APIKeyFile == "":
		return fmt.Errorf("apiKeyFile: missing, and credential %s needs it", kind)
	case kind != apiKey && s.APIKeyFile != "":
		return fmt.Errorf("apiKeyFile: not used with credential %s", kind)
	case kind == apiKey && !filepath.IsAbs(s.APIKeyFile):
		return fmt.Errorf("apiKeyFile: %w: %q", errPath, s.APIKeyFile)
	case kind == apiKey && s.Profile != "":
		return fmt.Errorf("profile: not used with credential %s; assumeProfile names one that the owner of the key may assume", kind)
	}
	machine, err := optionalProfile("profile", s.Profile)
	if err != nil {
		return err
	}
	switch kind {
	case vpc:
		p.node = &machineToken{vpcMetadata, machine, p.endpoints}
	case powerVS:
		p.node = &machineToken{powerVSMetadata, machine, p.endpoints}
	case apiKey:
		p.node = &keyToken{s.APIKeyFile, p.endpoints}
	}
	assumed, err := optionalProfile("assumeProfile", s.AssumeProfile)
	if assumed != noProfile {
		p.node = &assumedToken{profile: assumed, by: p.node, endpoints: p.endpoints}
	}
	return err
}

func (s *Settings) compilePods(p *provider) error {
	var err error
	p.profile, err = optionalProfile("podProfile", s.PodProfile)
	return err
}

// compileLogins reads which API keys are handed out as they are.
func (s *Settings) compileLogins(p *provider) error {
	if s.EntitlementKeyFile != "" {
		if !filepath.IsAbs(s.EntitlementKeyFile) {
			return fmt.Errorf("entitlementKeyFile: %w: %q", errPath, s.EntitlementKeyFile)
		}
		p.logins[entitledHost] = &file.Login{Plugin: "icr", Host: entitledHost, Username: entitledUser, PasswordFile: s.EntitlementKeyFile, Setting: "entitlementKeyFile"}
	}
	for _, host := range slices.Sorted(maps.Keys(s.Logins)) {
		field, given := fmt.Sprintf("logins[%q]", host), s.Logins[host]
		r, err := image.ParseRegistry(host)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", field, err)
		case !isRegistry(r):
			return fmt.Errorf("%s: not a registry of IBM Cloud, such as us.icr.io", field)
		case p.logins[r.Host()] != nil:
			return fmt.Errorf("%s: there twice", field)
		case given.Username != keyUser && !isProfileID(given.Username):
			return fmt.Errorf("%s.username: neither %s nor the id of a trusted profile: %.80q", field, keyUser, given.Username)
		case !filepath.IsAbs(given.PasswordFile):
			return fmt.Errorf("%s.passwordFile: %w: %q", field, errPath, given.PasswordFile)
		}
		p.logins[r.Host()] = &file.Login{Plugin: "icr", Host: r.Host(), Username: given.Username, PasswordFile: given.PasswordFile, Setting: field + ".passwordFile"}
	}
	return nil
}

// iam returns the hosts at which IAM is asked, in this order.
func (s *Settings) iam() ([]string, error) {
	host, err := parseIAM(s.IAMEndpoint)
	if err != nil {
		return nil, fmt.Errorf("iamEndpoint: %w", err)
	}
	if !s.IAMFallback {
		return []string{host}, nil
	}
	if host == publicHost {
		return nil, errors.New("iamFallback: the public endpoint is the one that is asked")
	}
	return []string{host, publicHost}, nil
}

var errPath = errors.New("not an absolute path")

// parseIAM returns the host of an endpoint of IAM.
func parseIAM(text string) (string, error) {
	switch {
	case text == publicIAM:
		return publicHost, nil
	case text == privateIAM:
		return "private." + publicHost, nil
	case isRegion(text):
		return "private." + text + "." + publicHost, nil
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", fmt.Errorf("none of %s, %s, a region, or a URL such as https://%s", publicIAM, privateIAM, publicHost)
	}
	r, err := image.ParseRegistry(parsed.Host)
	return r.Canonical(), err
}

// isRegion reports whether s reads like a region: us-south.
func isRegion(s string) bool {
	country, place, found := strings.Cut(s, "-")
	const letters = "abcdefghijklmnopqrstuvwxyz"
	return found && len(country) == 2 && strings.Trim(country, letters) == "" && place != "" && len(place) <= 20 && strings.Trim(place, letters) == ""
}

func optionalProfile(field, text string) (profile, error) {
	if text == "" {
		return noProfile, nil
	}
	p, err := parseProfile(text)
	if err != nil {
		return noProfile, fmt.Errorf("%s: %w", field, err)
	}
	return p, nil
}
