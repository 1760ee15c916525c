package gcp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

const (
	// NodeAccount is the service account of the instance that Boot boots.
	NodeAccount = "node@example-project.iam.gserviceaccount.com"
	// PoolProvider is a provider of a workload identity pool that trusts the
	// cluster of a booted node.
	PoolProvider = "projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/main"
	// ProviderAnnotation is where a service account names its provider.
	ProviderAnnotation = "cloud.google.com/workload-identity-provider"
)

// bootRegistries are of every kind. Tokens are good for all of them, but the
// kubelet keeps what it is told about each host apart.
var bootRegistries = []string{
	"us-docker.pkg.dev", "asia-docker.pkg.dev", "docker.us-central1.rep.pkg.dev", "gcr.io", "us-central1-docker.pkg.dev",
	"us.gcr.io", "docker.me-central2.rep.pkg.dev", "europe-west12-docker.pkg.dev", "container.cloud.google.com",
	"eu.gcr.io", "europe-docker.pkg.dev", "northamerica-northeast1-docker.pkg.dev", "asia.gcr.io",
	"docker.europe-west4.rep.pkg.dev", "asia-east1-docker.pkg.dev", "marketplace.gcr.io",
}

// Kind boots virtual machines of Google Cloud.
func Kind() fake.Kind { return fake.NewKind("gcp", "gcr-credential-provider", Boot) }

// Boot starts a virtual machine whose service account has the scopes that a node
// gets by default. A service account's identity is what it is as a member of a
// pool.
func Boot(c *cloud.Cloud) (*Fake, *fake.Node, error) {
	f := New(c.Calls, c.Faults)
	if err := f.Place(c); err != nil {
		return nil, nil, err
	}
	attach := func(email string) { f.Configure(func(s *Settings) { s.Metadata.ServiceAccount = email }) }
	attach(NodeAccount)
	provider := WorkloadIdentity("123456789012", "clusters", "main")
	f.AddProvider(provider)

	askMetadata := []string{
		"metadata GetToken 169.254.169.254", "metadata GetUniverse 169.254.169.254", "metadata GetScopes 169.254.169.254",
	}
	askSTS := []string{"sts ExchangeToken sts.googleapis.com"}
	return f, &fake.Node{
		Kind:       Kind(),
		Cloud:      c,
		Issuer:     f.Issuer,
		Registry:   func(number int) string { return bootRegistries[number] },
		Repository: "project/team/app",
		Public:     "mirror.gcr.io/library/busybox",
		LookAlike:  bootRegistries[0] + ".evil.com",
		Username:   "_token",
		Whose:      f.whose,
		Secrets:    f.tokens.Secrets,
		Machine: fake.Identity{
			Owner: string(Account(NodeAccount)), Calls: askMetadata, Refresh: askMetadata, Fetch: "metadata GetToken",
		},
		Workload: func(accounts ...oidc.ServiceAccount) fake.Identity {
			return fake.Identity{
				Owner:       string(provider.Principal(accounts[0].Subject())),
				Annotations: map[string]string{ProviderAnnotation: PoolProvider},
				Calls:       askSTS, Refresh: askSTS, Fetch: "sts ExchangeToken",
			}
		},
		Audience: "https://iam.googleapis.com/" + PoolProvider,
		Services: []string{"metadata", "sts", "iamcredentials", "oauth2"},
		Local:    []string{"metadata"},
		Endpoints: []fake.Endpoint{
			{Name: "metadata.google.internal", What: "the metadata server, also at 169.254.169.254"},
			{Name: "sts.googleapis.com", What: "the Security Token Service"},
			{Name: "iamcredentials.googleapis.com", What: "the IAM Credentials API"},
			{Name: "oauth2.googleapis.com", What: "the OAuth token endpoint"},
		},
		Denied: Denied(),
		Live: func(life time.Duration) {
			f.Configure(func(s *Settings) {
				s.Metadata.Token.Life, s.STS.Life, s.IAMCredentials.Life, s.OAuth2.Life = life, life, life, life
			})
		},
		Clock: func(ahead time.Duration) { f.Configure(func(s *Settings) { s.Clock = ahead }) },
		Lose: func() []string {
			attach("")
			return []string{"metadata", "169.254.169.254", "404", "no service account is attached"}
		},
		Regain: func() { attach(NodeAccount) },
	}, nil
}

// whose is the principal whose access token a registry is given.
func (f *Fake) whose(_, username, password string) (string, error) {
	token, ok := f.Token(password)
	switch {
	case username != "_token":
		return "", fmt.Errorf("gcp: the user is %q", username)
	case !ok:
		return "", errors.New("gcp: not a token of Google's")
	case !f.Now().Before(token.Expires):
		return "", errors.New("gcp: the token has expired")
	case !slices.ContainsFunc(token.Scopes, readsImages):
		return "", fmt.Errorf("gcp: the token's scopes %q let nobody pull", token.Scopes)
	}
	return string(token.Principal), nil
}

// readsImages reports whether a scope is enough to pull: images were once kept
// in storage.
func readsImages(scope string) bool {
	return strings.HasPrefix(scope, CloudPlatform) || strings.HasPrefix(scope, "https://www.googleapis.com/auth/devstorage")
}
