// Package oracle is a strict fake of the parts of Oracle Cloud Infrastructure
// that pulling an image from its registry needs: the instance metadata service,
// the federation service, the registries with their token service, an identity
// domain, and the port of an OKE cluster that gives pods identities, at their
// production names and addresses.
//
// It recomputes every signature, verifies certificates and service account
// tokens, knows only the tokens it issued itself, and remembers to whom it gave
// which and for which registry, so that a test can ask whose credential an
// answer holds, and whether it pulls.
package oracle

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Realm is a part of Oracle's cloud with a domain and identities of its own, and
// the region in it where the node is.
type Realm struct {
	Key, Domain       string
	RegionKey, Region string
}

// Commercial is the realm that everybody knows, and Dedicated one that only its
// own nodes do.
var (
	Commercial = Realm{"oc1", "oraclecloud.com", "IAD", "us-ashburn-1"}
	Dedicated  = Realm{"oc77", "oraclecloud77.com", "ZZZ", "zz-new-1"}
)

// Tenancy is the OCID of the realm's one tenancy.
func (r Realm) Tenancy() string { return "ocid1.tenancy." + r.Key + "..aaaaaaaaexampletenancy" }

// FederationHost is where the realm exchanges certificates in the node's region.
func (r Realm) FederationHost() string { return "auth." + r.Region + "." + r.Domain }

// Fake is one realm of Oracle's cloud: all tenancies of it.
type Fake struct {
	*fake.Core[Settings]

	// Issuer is the cluster whose service account tokens are exchanged here.
	Issuer *oidc.Issuer
	Realm  Realm

	machine machine
	// known are the keys that requests may be signed with, by id, and issued the
	// tokens of registries.
	known  fake.Ledger[Principal]
	issued fake.Ledger[Token]

	mu     sync.Mutex
	group  map[string]bool // OCIDs of the instances that the dynamic group matches
	grants map[string]bool // owners whom a policy of their own lets pull
}

// New makes a realm with an instance that has a certificate, and no dynamic
// group and no policy. Its services journal their calls and take their faults
// under the names "imds", "federation", "ocir", "exchange" and "workload".
func New(calls *cloud.Calls, faults *cloud.Faults, realm Realm) (*Fake, error) {
	f := &Fake{
		Core:   fake.NewCore(calls, faults, func(s Settings) time.Duration { return s.Clock }),
		Issuer: oidc.NewCluster("https://kubernetes.default.svc.cluster.local"),
		Realm:  realm,
		group:  map[string]bool{},
		grants: map[string]bool{},
	}
	var err error
	f.machine, err = newMachine(realm)
	return f, err
}

// The addresses at which everything is.
var (
	imdsAddress    = netip.MustParseAddr("169.254.169.254")
	apiAddress     = netip.MustParseAddr("192.0.2.50")
	clusterAddress = netip.MustParseAddrPort("10.0.0.10:12250")
)

// ClusterHost is where the cluster's API server is.
const ClusterHost = "10.0.0.10"

// DomainHost is the identity domain.
const DomainHost = "idcs-0123456789abcdef0123456789abcdef.identity.oraclecloud.com"

// Place puts the fake at its production names and addresses in a cloud: the
// metadata service, the federation service and the identity domain.
func (f *Fake) Place(c *cloud.Cloud) error {
	return errors.Join(f.PlaceIMDS(c), f.PlaceAPIs(c))
}

// PlaceIMDS puts the metadata service alone.
func (f *Fake) PlaceIMDS(c *cloud.Cloud) error {
	return c.Serve(netip.AddrPortFrom(imdsAddress, 80), f.IMDS())
}

// PlaceAPIs puts the APIs alone, as a machine elsewhere sees them.
func (f *Fake) PlaceAPIs(c *cloud.Cloud) error {
	return errors.Join(
		c.ServeTLS(apiAddress, f.Federation(), f.Realm.FederationHost()),
		c.ServeTLS(apiAddress, f.Domain(), DomainHost),
	)
}

// PlaceRegistries puts registries.
func (f *Fake) PlaceRegistries(c *cloud.Cloud, hosts ...string) error {
	return c.ServeTLS(apiAddress, f.Registry(), hosts...)
}

// PlaceCluster puts the cluster's port that gives pods identities. It has
// certificates of the cluster's own authority.
func (f *Fake) PlaceCluster(c *cloud.Cloud, authority *cloud.Authority) error {
	return c.ServeTLSAt(clusterAddress, authority, f.Cluster())
}

// front serves a service. Every answer has an id, also one that a fault gives.
func (f *Fake) front(service *cloud.Service) http.Handler {
	return fake.Identified("Opc-Request-Id", f.Front(service))
}

// refuse words a refusal as Oracle's APIs do.
func refuse(refusal cloud.Refusal) (contentType string, body []byte) {
	return fake.WordJSON(map[string]string{"code": refusal.Code, "message": refusal.Message})
}

// notAuthenticated is what every service says of a signature that it does not
// accept, whatever is wrong with it. Why is for the journal.
func notAuthenticated(form bool, why string) cloud.Refusal {
	refused := fake.Refuse(http.StatusUnauthorized, "NotAuthenticated", "The required information to complete authentication was not provided or was incorrect.")
	refused.Form = form
	if form {
		refused.Message += " (" + why + ")"
	}
	return refused
}

// Denied is how services refuse a principal that no policy lets do something, or
// that asks for what there is not.
func Denied() cloud.Refusal {
	return fake.Refuse(http.StatusNotFound, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found.")
}

// invalid is a refusal that no correct program meets.
func invalid(format string, arguments ...any) cloud.Refusal {
	return fake.RefuseForm(http.StatusBadRequest, "InvalidParameter", format, arguments...)
}

// Secrets is all that was issued, and the key of the machine's certificate.
func (f *Fake) Secrets() []string {
	var all []string
	for _, id := range f.known.Secrets() {
		if token, ok := tokenOf(id); ok {
			all = append(all, token)
		}
	}
	return append(append(all, f.issued.Secrets()...), string(f.machine.keyPEM))
}

// Match makes the dynamic group match the instance, or no longer. Security
// tokens that it has go on as they were.
func (f *Fake) Match(matches bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.group[f.machine.instance] = matches
}

func (f *Fake) matches(instance string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.group[instance]
}

// Allow lets an owner of its own pull from all registries, by a policy that takes
// effect at once.
func (f *Fake) Allow(owner string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grants[owner] = true
}

func (f *Fake) allowed(p Principal) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return p.Member || f.grants[p.Owner]
}

// Instance is the OCID of the node's instance.
func (f *Fake) Instance() string { return f.machine.instance }

// String describes a principal for the journal.
func (p Principal) String() string {
	return fmt.Sprintf("%s (in the dynamic group: %t)", p.Owner, p.Member)
}
