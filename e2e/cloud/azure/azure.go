// Package azure is a strict fake of the parts of Azure that pulling an image
// from Azure Container Registry needs: the instance metadata service, the agent
// of Azure Arc, Microsoft Entra, registries, and the endpoint of AKS's identity
// bindings, at their production names and addresses.
//
// It verifies every service account token and every signed assertion, accepts
// only the tokens it issued itself, and remembers to whom it gave which, so that
// a test can ask whose credential an answer holds and what can be pulled with
// it.
package azure

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Fake is all of Azure: every cloud and every tenant.
type Fake struct {
	// Issuer is the cluster whose service account tokens are accepted as
	// assertions, of apps and identity bindings that say so.
	Issuer *oidc.Issuer

	*fake.Core[Settings]

	directory  *directory
	registries *registries
	tokens     fake.Ledger[Token]
	instances  fake.Repeater[instanceKey, fake.Grant]
	keys       fake.Ledger[string] // paths of the files that Azure Arc waits to be shown, by content
	atIMDS     atomic.Int64        // calls that are being answered

	// file is where a file is found that programs on the machine know by a path.
	file func(path string) string
}

// New makes an Azure with one tenant, HomeTenant, in the public cloud, and with
// a machine that has no identity. Its services journal their calls and take
// their faults under the names "imds", "arc", "entra", "acr" and
// "identitybinding".
func New(calls *cloud.Calls, faults *cloud.Faults) *Fake {
	f := &Fake{
		Issuer:     oidc.NewCluster("https://eastus.oic.prod-aks.azure.com/" + HomeTenant + "/3f1d6e52-7f0a-4a5e-9d0b-8c6b5a493827/"),
		Core:       fake.NewCore(calls, faults, func(s Settings) time.Duration { return s.Clock }),
		directory:  newDirectory(),
		registries: newRegistries(),
		file:       func(path string) string { return path },
	}
	f.AddTenant(Tenant{ID: HomeTenant, Domain: "contoso.onmicrosoft.com", Cloud: Public})
	return f
}

// Cloud is one of the clouds that Azure is, as azure.json calls it.
type Cloud string

// The clouds, each with an authority and tenants of its own.
const (
	Public       Cloud = "AzurePublicCloud"
	USGovernment Cloud = "AzureUSGovernmentCloud"
	China        Cloud = "AzureChinaCloud"
	USNat        Cloud = "USNat"
	USSec        Cloud = "USSec"
	Bleu         Cloud = "Bleu"
	Delos        Cloud = "Delos"
)

// authorities are the hosts of each cloud's Entra.
var authorities = map[Cloud][]string{
	Public:       {"login.microsoftonline.com"},
	USGovernment: {"login.microsoftonline.us"},
	China:        {"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"},
	USNat:        {"login.microsoftonline.eaglex.ic.gov"},
	USSec:        {"login.microsoftonline.microsoft.scloud"},
	Bleu:         {"login.sovcloud-identity.fr"},
	Delos:        {"login.sovcloud-identity.de"},
}

// Place puts what a machine in Azure sees at its production names and
// addresses: the instance metadata service, and Entra of every cloud.
func (f *Fake) Place(c *cloud.Cloud) error {
	if err := f.PlaceIMDS(c); err != nil {
		return err
	}
	return f.PlaceEntra(c)
}

// PlaceIMDS puts the instance metadata service alone.
func (f *Fake) PlaceIMDS(c *cloud.Cloud) error {
	if err := c.Serve(netip.MustParseAddrPort("169.254.169.254:80"), f.IMDS()); err != nil {
		return fmt.Errorf("azure: place the instance metadata service: %w", err)
	}
	return nil
}

// PlaceArc puts the agent that a machine outside of Azure has.
func (f *Fake) PlaceArc(c *cloud.Cloud) error {
	f.file = c.Path
	if err := c.Serve(netip.MustParseAddrPort("127.0.0.1:40342"), f.Arc()); err != nil {
		return fmt.Errorf("azure: place the agent of Azure Arc: %w", err)
	}
	return nil
}

// PlaceEntra puts Entra of every cloud, as any machine sees it.
func (f *Fake) PlaceEntra(c *cloud.Cloud) error {
	for name, hosts := range authorities {
		if err := f.PlaceAuthority(c, name, hosts...); err != nil {
			return err
		}
	}
	return nil
}

// PlaceAuthority puts the Entra of one cloud at names, which may be those of a
// cloud that nobody else has.
func (f *Fake) PlaceAuthority(c *cloud.Cloud, of Cloud, hosts ...string) error {
	if err := c.ServeTLS(netip.MustParseAddr("192.0.2.30"), f.Entra(of), hosts...); err != nil {
		return fmt.Errorf("azure: place Entra of %s: %w", of, err)
	}
	return nil
}

// PlaceRegistries puts registries at their login servers.
func (f *Fake) PlaceRegistries(c *cloud.Cloud, hosts ...string) error {
	if err := c.ServeTLS(netip.MustParseAddr("192.0.2.31"), f.ACR(), hosts...); err != nil {
		return fmt.Errorf("azure: place registries: %w", err)
	}
	return nil
}

// PlaceIdentityBinding puts the endpoint of identity bindings at a cluster's
// API server, under a server name that resolves nowhere and with certificates
// of the cluster's own authority.
func (f *Fake) PlaceIdentityBinding(c *cloud.Cloud, authority *cloud.Authority, ip netip.Addr, sni string) error {
	if err := c.ServeTLSOf(authority, ip, f.IdentityBinding(), sni); err != nil {
		return fmt.Errorf("azure: place the endpoint of identity bindings: %w", err)
	}
	return nil
}
