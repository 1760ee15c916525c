// Package gcp is a strict fake of the parts of Google Cloud that pulling an
// image from Artifact Registry or Container Registry needs: the metadata
// server, the Security Token Service, the IAM Credentials API and the OAuth
// token endpoint, at their production names and addresses.
//
// It verifies every service account token and every signed assertion, knows
// only the access tokens it issued itself, and remembers to whom it gave which,
// so that a test can ask whose credential an answer holds.
package gcp

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Fake is one Google Cloud: all projects of it.
type Fake struct {
	// Issuer is the cluster whose service account tokens are exchanged here.
	// Which providers trust it is said with AddProvider.
	Issuer *oidc.Issuer

	*fake.Core[Settings]

	identities *identities
	tokens     fake.Ledger[Token]
	instance   fake.Repeater[instanceKey, fake.Grant]
}

// New makes a Google Cloud without service accounts and providers, and with
// an instance that has no service account. Its services journal their calls
// and take their faults under the names "metadata", "sts", "iamcredentials"
// and "oauth2".
func New(calls *cloud.Calls, faults *cloud.Faults) *Fake {
	return &Fake{
		Issuer:     oidc.NewCluster("https://container.googleapis.com/v1/projects/example-project/locations/us-central1/clusters/main"),
		Core:       fake.NewCore(calls, faults, func(s Settings) time.Duration { return s.Clock }),
		identities: newIdentities(),
	}
}

// defaultUniverse is the domain of the APIs of Google Cloud proper.
const defaultUniverse = "googleapis.com"

// Place puts the fake at its production names and addresses in a cloud: the
// metadata server and the APIs.
func (f *Fake) Place(c *cloud.Cloud) error {
	if err := f.PlaceMetadata(c); err != nil {
		return err
	}
	return f.PlaceAPIs(c, defaultUniverse)
}

// PlaceMetadata puts the metadata server alone.
func (f *Fake) PlaceMetadata(c *cloud.Cloud) error {
	address := netip.MustParseAddr("169.254.169.254")
	if err := c.Serve(netip.AddrPortFrom(address, 80), f.Metadata()); err != nil {
		return fmt.Errorf("gcp: place the metadata server: %w", err)
	}
	return c.AddHosts(address, "metadata.google.internal")
}

// PlaceAPIs puts the APIs of a universe alone, as a machine outside of Google
// Cloud sees them. The universe of Google Cloud proper is googleapis.com;
// another one's APIs have the same names in another domain.
func (f *Fake) PlaceAPIs(c *cloud.Cloud, universe string) error {
	for name, handler := range map[string]http.Handler{
		"sts":            f.STS(),
		"iamcredentials": f.IAMCredentials(),
		"oauth2":         f.OAuth2(),
	} {
		if err := c.ServeTLS(netip.MustParseAddr("192.0.2.20"), handler, name+"."+universe); err != nil {
			return fmt.Errorf("gcp: place %s.%s: %w", name, universe, err)
		}
	}
	return nil
}
