package gcr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/oauth2/google/externalaccount"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/settings"
)

// fileToken is the token that a file of credentials is exchanged for. What is
// in the file, a private key at worst, goes nowhere: registries would take a
// key for a password, and it would be on the wire and in the kubelet's memory.
type fileToken struct {
	place
	file        string
	environment []string
}

// sourceVariables are what an external account's source may depend on.
var sourceVariables = []string{
	"AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES",
}

// Key names the file, not what it says.
func (s *fileToken) Key() credential.Key {
	return slices.Concat([]string{"gcr", "file", s.universe.domain, s.file}, s.environment)
}

// Fetch reads the file and exchanges what it holds.
func (s *fileToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	c, last, err := s.fetch(ctx)
	if err != nil {
		return credential.Credential{}, who{file: s.file}.explain(dissect(err, last))
	}
	return c, nil
}

func (s *fileToken) fetch(ctx context.Context) (credential.Credential, exchange, error) {
	api, err := cloudhttp.API(s.caFile)
	if err != nil {
		return credential.Credential{}, exchange{}, err
	}
	text, err := settings.ReadFile(s.file)
	if err != nil {
		return credential.Credential{}, exchange{}, fmt.Errorf("reading the file: %w", err)
	}
	key, err := parseCredentials(text, s.universe)
	if err != nil {
		return credential.Credential{}, exchange{}, err
	}
	// What a source of subject tokens answers on the node's link is not for a
	// proxy either.
	client, witness := observe(ctx, cloudhttp.Router{Metadata: cloudhttp.Metadata(), API: api})
	token, err := key.token(context.WithValue(ctx, oauth2.HTTPClient, client))
	last := witness.seen()
	if err != nil && last.host == "" && key.runsProgram() {
		// The library's own text repeats what the program printed: tokens.
		err = errors.New("the program of credential_source.executable was not run (GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 allows it), failed, or printed no subject token")
	}
	if err != nil {
		return credential.Credential{}, last, err
	}
	life := time.Until(token.Expiry)
	if stageOf(last.host) == "iamcredentials" {
		life = last.until(token.Expiry) // which it states by its own clock
	}
	c, err := newCredential(token.AccessToken, life)
	return c, last, err
}

// credentials is a file of credentials, as far as it is used.
type credentials struct {
	Type           string `json:"type"`
	UniverseDomain string `json:"universe_domain,omitempty"`

	// Of a service account's key.
	ClientEmail  string `json:"client_email,omitempty"`
	PrivateKeyID string `json:"private_key_id,omitempty"`
	PrivateKey   string `json:"private_key,omitempty"`
	TokenURI     string `json:"token_uri,omitempty"`

	// Of an external account.
	Audience                 string                            `json:"audience,omitempty"`
	SubjectTokenType         string                            `json:"subject_token_type,omitempty"`
	TokenURL                 string                            `json:"token_url,omitempty"`
	CredentialSource         *externalaccount.CredentialSource `json:"credential_source,omitempty"`
	ClientID                 string                            `json:"client_id,omitempty"`
	ClientSecret             string                            `json:"client_secret,omitempty"`
	WorkforcePoolUserProject string                            `json:"workforce_pool_user_project,omitempty"`

	// Of an external account, or an impersonated service account.
	ImpersonationURL string `json:"service_account_impersonation_url,omitempty"`
	Impersonation    struct {
		TokenLifetimeSeconds int `json:"token_lifetime_seconds,omitempty"`
	} `json:"service_account_impersonation,omitzero"`
	Delegates         []string     `json:"delegates,omitempty"`
	SourceCredentials *credentials `json:"source_credentials,omitempty"`
}

// parseCredentials reads a file of credentials and refuses what the library
// would follow without a look: URLs that are not Google's would be sent tokens
// that are good there.
func parseCredentials(text []byte, u universe) (*credentials, error) {
	var c credentials
	if json.Unmarshal(text, &c) != nil {
		return nil, errors.New("the file is not the JSON of credentials")
	}
	if err := c.check(u); err != nil {
		return nil, fmt.Errorf("the file %w", err)
	}
	return &c, nil
}

func (c *credentials) check(u universe) error {
	domain := c.UniverseDomain
	if domain == "" && c.Type != string(google.ImpersonatedServiceAccount) {
		domain = universes[0].domain
	}
	if domain != "" && domain != u.domain {
		return fmt.Errorf("is for universe %.80q, not %s; see --universe-domain", domain, u.domain)
	}
	switch google.CredentialsType(c.Type) {
	case google.ServiceAccount:
		if c.ClientEmail == "" || c.PrivateKey == "" {
			return errors.New("lacks client_email or private_key")
		}
		return checkURL("token_uri", c.TokenURI, u)
	case google.ExternalAccount:
		if c.TokenURL == "" {
			c.TokenURL = "https://" + u.endpoint("sts") + "/v1/token"
		}
		if c.CredentialSource == nil {
			return errors.New("lacks credential_source")
		}
		return errors.Join(
			checkURL("token_url", c.TokenURL, u),
			checkURL("service_account_impersonation_url", c.ImpersonationURL, u),
			checkSource(c.CredentialSource))
	case google.ImpersonatedServiceAccount:
		if c.ImpersonationURL == "" || c.SourceCredentials == nil || c.SourceCredentials.Type == c.Type {
			return errors.New("lacks service_account_impersonation_url, or source_credentials of another type")
		}
		if err := c.SourceCredentials.check(u); err != nil {
			return fmt.Errorf("has source_credentials of which it %w", err)
		}
		return checkURL("service_account_impersonation_url", c.ImpersonationURL, u)
	default:
		return fmt.Errorf("is of type %.40q; want service_account, external_account or impersonated_service_account", c.Type)
	}
}

// runsProgram reports whether subject tokens come from a program.
func (c *credentials) runsProgram() bool {
	if c.SourceCredentials != nil {
		return c.SourceCredentials.runsProgram()
	}
	return c.CredentialSource != nil && c.CredentialSource.Executable != nil
}

// checkURL refuses a URL that is not of Google's APIs or of the universe's. An
// empty one is the library's default.
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
		return fmt.Errorf("has a %s that is not an https URL under %s", field, u.domain)
	}
	return nil
}

// checkSource refuses to ask for subject tokens in the clear across a network,
// and to read them from what may never end.
func checkSource(source *externalaccount.CredentialSource) error {
	for field, text := range map[string]string{
		"url": source.URL, "region_url": source.RegionURL, "imdsv2_session_token_url": source.IMDSv2SessionTokenURL,
	} {
		parsed, err := url.Parse(text)
		if err != nil || text != "" && parsed.Scheme != "https" && (parsed.Scheme != "http" || !cloudhttp.IsMetadata(parsed.Hostname())) {
			return fmt.Errorf("has a credential_source.%s that is neither https nor on this node", field)
		}
	}
	if source.File == "" {
		return nil
	}
	if info, err := os.Stat(source.File); err != nil || !info.Mode().IsRegular() {
		return errors.New("has a credential_source.file that is not there, or no regular file")
	}
	return nil
}

// token exchanges the credentials. The library is handed what was checked and
// nothing besides: it matches names of fields in any case.
func (c *credentials) token(ctx context.Context) (*oauth2.Token, error) {
	checked, err := json.Marshal(c) //nolint:gosec // The key stays in memory.
	if err != nil {
		return nil, err
	}
	found, err := google.CredentialsFromJSONWithType(ctx, checked, google.CredentialsType(c.Type), scope)
	if err != nil {
		return nil, err
	}
	return found.TokenSource.Token()
}
