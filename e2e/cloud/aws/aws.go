// Package aws is a strict fake of the parts of AWS that pulling an image from
// Amazon ECR needs: instance metadata, STS, ECR, ECR Public and the container
// credentials endpoint, at their production names and addresses.
//
// It knows only the credentials it issued itself, recomputes every signature,
// verifies every service account token, and remembers to whom it gave which
// registry password, so that a test can ask whose credential an answer holds.
package aws

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Fake is one AWS: all partitions, regions and accounts of it.
type Fake struct {
	// Issuer is the cluster that every account trusts as its OpenID Connect
	// provider; which of its service accounts a role trusts is the role's.
	Issuer *oidc.Issuer

	*fake.Core[Settings]

	identities *identities
	passwords  fake.Ledger[Token]
	metadata   fake.Ledger[time.Time] // when tokens of the metadata service expire
	instance   fake.Repeater[instanceKey, Credentials]
}

// New makes an AWS without roles, users or an instance role. Its services
// journal their calls and take their faults under the names "imds",
// "container", "sts", "ecr" and "ecr-public".
func New(calls *cloud.Calls, faults *cloud.Faults) *Fake {
	return &Fake{
		Issuer:     oidc.NewCluster("https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"),
		Core:       fake.NewCore(calls, faults, func(s Settings) time.Duration { return s.Clock }),
		identities: newIdentities(),
	}
}

// Place puts the fake at its production names and addresses in a cloud: the
// link-local endpoints, and the APIs of the given regions, or of at least one
// region of every partition when none is given.
func (f *Fake) Place(c *cloud.Cloud, regions ...string) error {
	if len(regions) == 0 {
		regions = []string{
			"us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1",
			"us-gov-west-1", "us-gov-east-1", "cn-north-1", "cn-northwest-1", "eusc-de-east-1",
			"us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1",
		}
	}
	if err := f.placeLinkLocal(c); err != nil {
		return err
	}
	for _, region := range regions {
		endpoints, err := endpointsIn(region)
		if err != nil {
			return err
		}
		for _, endpoint := range endpoints {
			if err := f.placeAPI(c, endpoint); err != nil {
				return fmt.Errorf("aws: place %s: %w", endpoint.host, err)
			}
		}
	}
	return nil
}

func (f *Fake) placeLinkLocal(c *cloud.Cloud) error {
	places := []struct {
		at      string
		handler http.Handler
	}{
		{"169.254.169.254:80", f.IMDS()},
		{"169.254.170.23:80", f.ContainerCredentials()},
		{"[fd00:ec2::254]:80", f.IMDS()},
		{"[fd00:ec2::23]:80", f.ContainerCredentials()},
	}
	for _, place := range places {
		at := netip.MustParseAddrPort(place.at)
		if at.Addr().Is6() && !c.IPv6() {
			continue
		}
		if err := c.Serve(at, place.handler); err != nil {
			return fmt.Errorf("aws: place %s: %w", place.at, err)
		}
	}
	return nil
}

// placeAPI gives every API the same documentation addresses; the dual-stack
// names alone have one of IPv6.
func (f *Fake) placeAPI(c *cloud.Cloud, e endpoint) error {
	handler := f.api(e)
	if err := c.ServeTLS(netip.MustParseAddr("192.0.2.10"), handler, e.host); err != nil {
		return err
	}
	if !e.dualStack || !c.IPv6() {
		return nil
	}
	return c.ServeTLS(netip.MustParseAddr("2001:db8::10"), handler, e.host)
}

// api is the service behind one endpoint.
func (f *Fake) api(e endpoint) http.Handler {
	switch e.service {
	case serviceSTS:
		return f.sts(e)
	case serviceECRPublic:
		return f.ecrPublic(e)
	default:
		return f.ecr(e)
	}
}
