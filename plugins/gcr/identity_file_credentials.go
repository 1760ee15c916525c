package gcr

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"regcred/shared/credential"
)

// Types of credentials that are taken. Those of gcloud auth login are a
// person's.
const (
	typeKey           = "service_account"
	typeExternal      = "external_account"
	typeImpersonation = "impersonated_service_account"
)

// firstTokenURI is in keys that were downloaded in the first years. They are good
// until somebody deletes them.
const firstTokenURI = "https://accounts.google.com/o/oauth2/token" //nolint:gosec // An address.

// credentials are a file of credentials, as far as it is used.
type credentials struct {
	Type           string `json:"type"`
	UniverseDomain string `json:"universe_domain"`

	// Of a service account's key.
	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`
	TokenURI     string `json:"token_uri"`

	// Of an external account.
	Audience                 string            `json:"audience"`
	SubjectTokenType         string            `json:"subject_token_type"`
	TokenURL                 string            `json:"token_url"`
	CredentialSource         *credentialSource `json:"credential_source"`
	ClientID                 string            `json:"client_id"`
	ClientSecret             string            `json:"client_secret"`
	WorkforcePoolUserProject string            `json:"workforce_pool_user_project"`

	// Of an external account, or an impersonated service account.
	ImpersonationURL string `json:"service_account_impersonation_url"`
	Impersonation    struct {
		TokenLifetimeSeconds int `json:"token_lifetime_seconds"`
	} `json:"service_account_impersonation"`
	Delegates         []string     `json:"delegates"`
	SourceCredentials *credentials `json:"source_credentials"`
}

// credentialSource is where an external account has its subject token from.
type credentialSource struct {
	File string `json:"file"`

	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`

	Executable *executableSource `json:"executable"`

	// EnvironmentID is aws1 for a role of AWS, and URL is then of the
	// instance's metadata service, too.
	EnvironmentID               string `json:"environment_id"`
	RegionURL                   string `json:"region_url"`
	RegionalCredVerificationURL string `json:"regional_cred_verification_url"`
	IMDSv2SessionTokenURL       string `json:"imdsv2_session_token_url"`

	// Format is that of a file and of what is at a URL.
	Format subjectFormat `json:"format"`
}

// executableSource is a program that prints subject tokens.
type executableSource struct {
	Command string `json:"command"`
	// TimeoutMillis is how long it may take. Nil is half a minute.
	TimeoutMillis *int `json:"timeout_millis"`
	// OutputFile is where it keeps what it printed. Empty is nowhere.
	OutputFile string `json:"output_file"`
}

// parseCredentials reads a file of credentials and refuses URLs that are not
// Google's: they would be sent tokens that are good there.
func parseCredentials(text []byte, e *endpoints) (*credentials, error) {
	var c credentials
	if json.Unmarshal(text, &c) != nil {
		return nil, errors.New("not the JSON of credentials")
	}
	for whose := &c; whose != nil; whose = whose.SourceCredentials {
		credential.NewSecret(whose.PrivateKey) // for messages to be cleared of
		credential.NewSecret(whose.ClientSecret)
	}
	if err := c.check(e); err != nil {
		return nil, err
	}
	return &c, nil
}

// check also fills in the addresses that are there by default.
func (c *credentials) check(e *endpoints) error {
	u := e.universe
	domain := c.UniverseDomain
	if domain == "" && c.Type != typeImpersonation {
		domain = universes[0].domain
	}
	if domain != "" && domain != u.domain {
		return fmt.Errorf("universe_domain: %.80q, not %s; see --universe-domain", domain, u.domain)
	}
	switch c.Type {
	case typeKey:
		if c.ClientEmail == "" || c.PrivateKey == "" {
			return errors.New("no client_email or private_key")
		}
		if c.ImpersonationURL != "" {
			return errors.New("service_account_impersonation_url: not for a key")
		}
		if c.TokenURI == "" {
			c.TokenURI = "https://" + u.endpoint("oauth2") + "/token"
		}
		if c.TokenURI == firstTokenURI && u.google() {
			return nil
		}
		return checkURL("token_uri", c.TokenURI, u)
	case typeExternal:
		switch workforce := strings.HasPrefix(c.Audience, "//iam.googleapis.com/locations/"); {
		case c.Audience == "" || c.SubjectTokenType == "":
			return errors.New("no audience or subject_token_type")
		case c.CredentialSource == nil:
			return errors.New("no credential_source")
		case c.WorkforcePoolUserProject != "" && !workforce:
			return errors.New("workforce_pool_user_project: not for a workload's audience")
		}
		if c.TokenURL == "" {
			c.TokenURL = e.sts()
		}
		c.SourceCredentials = nil
		return errors.Join(
			checkURL("token_url", c.TokenURL, u),
			checkURL("service_account_impersonation_url", c.ImpersonationURL, u),
			checkSource(c.CredentialSource, e))
	case typeImpersonation:
		if c.ImpersonationURL == "" || c.SourceCredentials == nil || c.SourceCredentials.Type == c.Type {
			return errors.New("no service_account_impersonation_url, or no source_credentials of another type")
		}
		if err := c.SourceCredentials.check(e); err != nil {
			return fmt.Errorf("source_credentials.%w", err)
		}
		return checkURL("service_account_impersonation_url", c.ImpersonationURL, u)
	default:
		return fmt.Errorf("type: %.40q is none of service_account, external_account, impersonated_service_account", c.Type)
	}
}

// checkURL refuses a URL that is not of Google's APIs or of the universe's. An
// empty one is not used.
func checkURL(field, text string, u universe) error {
	if text == "" {
		return nil
	}
	parsed, err := url.Parse(text)
	ok := err == nil && parsed.Scheme == "https" && parsed.User == nil && (parsed.Port() == "" || parsed.Port() == "443")
	if ok {
		host := strings.ToLower(parsed.Hostname())
		ok = strings.HasSuffix(host, "."+universes[0].domain) || strings.HasSuffix(host, "."+u.domain)
	}
	if !ok {
		return fmt.Errorf("%s: not an https URL under %s", field, u.domain)
	}
	return nil
}

// checkSource refuses to ask for subject tokens in the clear across a network,
// and to read them from what may never end.
func checkSource(source *credentialSource, e *endpoints) error {
	for _, address := range []struct{ field, text string }{
		{"url", source.URL},
		{"region_url", source.RegionURL},
		{"imdsv2_session_token_url", source.IMDSv2SessionTokenURL},
		// A request is signed that Google sends there, in a region.
		{"regional_cred_verification_url", strings.ReplaceAll(source.RegionalCredVerificationURL, "{region}", "region")},
	} {
		parsed, err := url.Parse(address.text)
		local := err == nil && parsed.Scheme == "http" && e.clients.IsMetadata(parsed.Hostname())
		if err != nil || address.text != "" && parsed.Scheme != "https" && !local {
			return fmt.Errorf("credential_source.%s: neither https nor on this node", address.field)
		}
	}
	switch {
	case source.isAWS() && source.EnvironmentID != "aws1":
		return fmt.Errorf("credential_source.environment_id: %.40q is not aws1", source.EnvironmentID)
	case !source.isAWS() && source.File == "" && source.URL == "" && source.Executable == nil:
		return errors.New("credential_source: none of file, url, executable, environment_id aws1")
	case source.Format.Type != "" && source.Format.Type != "text" && source.Format.Type != "json":
		return fmt.Errorf("credential_source.format.type: %.40q is neither text nor json", source.Format.Type)
	}
	if source.File == "" {
		return nil
	}
	if info, err := os.Stat(source.File); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("credential_source.file: not there, or no regular file: %.200s", source.File)
	}
	return nil
}
