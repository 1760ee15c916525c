// Package ibm is a strict fake of the parts of IBM Cloud that pulling an image
// from its container registry needs: the metadata services of VPC and of Power
// Virtual Server, and IAM, at their production names and addresses.
//
// It verifies every service account token, accepts only the tokens it issued
// itself, and remembers to whom it gave which, so that a test can ask whose
// credential an answer holds and whether a registry takes it.
package ibm

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Fake is all of IBM Cloud, with one cluster and one machine.
type Fake struct {
	// Issuer is the cluster whose service account tokens IAM knows.
	Issuer *oidc.Issuer

	*fake.Core[Settings]

	directory  directory
	tokens     fake.Ledger[Token]
	identities fake.Ledger[identity]
}

// New makes a cloud in which there is nobody yet. Its services journal their
// calls and take their faults under the names "metadata" and "iam".
func New(calls *cloud.Calls, faults *cloud.Faults) *Fake {
	return &Fake{
		Issuer: oidc.NewCluster("https://kubernetes.default.svc"),
		Core:   fake.NewCore(calls, faults, ahead),
	}
}

// Where metadata services and IAM are. At PrivateIAMHost machines of VPC with an
// endpoint gateway find it.
const (
	MetadataHost = "api.metadata.cloud.ibm.com"
	PowerHost    = "api.metadata.power-iaas.cloud.ibm.com"

	IAMHost        = "iam.cloud.ibm.com"
	PrivateIAMHost = "private.iam.cloud.ibm.com"
)

var (
	metadataAddress = netip.MustParseAddr("169.254.169.254")
	powerAddress    = netip.MustParseAddr("192.0.2.71")
	iamAddress      = netip.MustParseAddr("192.0.2.70")
)

// PlaceMetadata puts the metadata service of a machine of VPC, at its address
// and its name. The name is there for HTTPS, too, where nobody listens.
// Connections of a machine with secure access are closed without an answer.
func (f *Fake) PlaceMetadata(c *cloud.Cloud) error {
	plain := f.VPC()
	return placed("metadata service", errors.Join(
		c.Serve(netip.AddrPortFrom(metadataAddress, 80), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if f.Current().Machine.Secure {
				panic(http.ErrAbortHandler)
			}
			plain.ServeHTTP(w, r)
		})),
		c.AddHosts(metadataAddress, MetadataHost),
	))
}

// PlaceSecureMetadata puts that of a machine with secure access: at its name, by
// HTTPS alone.
func (f *Fake) PlaceSecureMetadata(c *cloud.Cloud) error {
	return placed("metadata service by HTTPS", c.ServeTLS(metadataAddress, f.VPC(), MetadataHost))
}

// PlacePower puts the metadata service of a machine of Power Virtual Server.
func (f *Fake) PlacePower(c *cloud.Cloud) error {
	return placed("metadata service of Power", c.ServeTLS(powerAddress, f.Power(), PowerHost))
}

// PlaceIAM puts IAM at hosts.
func (f *Fake) PlaceIAM(c *cloud.Cloud, hosts ...string) error {
	return placed("IAM", c.ServeTLS(iamAddress, f.IAM(), hosts...))
}

func placed(what string, err error) error {
	if err != nil {
		return fmt.Errorf("ibm: place the %s: %w", what, err)
	}
	return nil
}

// Secrets is all that was issued.
func (f *Fake) Secrets() []string { return append(f.tokens.Secrets(), f.identities.Secrets()...) }
