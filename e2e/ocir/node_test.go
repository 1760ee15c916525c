package ocir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oracle"
)

// node is an instance that has just booted: nothing is cached.
type node struct {
	cloudtest.Runner
	machine *fake.Node // nil: it is not OKE's
	oracle  *oracle.Fake
}

// bootNode starts a node of OKE that lives as long as the test.
func bootNode(t *testing.T) *node {
	t.Helper()
	c := cloudtest.Apart(t)
	f, booted, err := oracle.Boot(c)
	if err != nil {
		t.Fatal(err)
	}
	return &node{cloudtest.Runner{T: t, Cloud: c, Plugin: plugin}, booted, f}
}

// bootOutside starts a machine of a realm, or of none, that reaches the realm's
// APIs.
func bootOutside(t *testing.T, realm oracle.Realm) *node {
	t.Helper()
	c := cloudtest.Apart(t)
	f, err := oracle.New(c.Calls, c.Faults, realm)
	if err == nil {
		err = f.PlaceAPIs(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &node{cloudtest.Runner{T: t, Cloud: c, Plugin: plugin}, nil, f}
}

// ask runs the plugin for an image as the node.
func (n *node) ask(image string, args ...string) cloudtest.Answer {
	n.T.Helper()
	q := cloudtest.Question{Image: image}
	if n.machine != nil {
		q = n.machine.Question(image)
	}
	return n.Ask(cloudtest.With(q, args...))
}

// wantPull fails the test unless an answer is a login with which its owner pulls
// from the registry.
func (n *node) wantPull(a cloudtest.Answer, host, owner string) (password string, keep time.Duration) {
	n.T.Helper()
	password, keep = a.WantLogin(host, oracle.TokenUser)
	if got, err := n.oracle.Pull(strings.ToLower(host), oracle.TokenUser, password); err != nil || got != owner {
		n.T.Errorf("the login of %q, %v; want %s's", got, err, owner)
	}
	return password, keep
}

// A node that boots pulls many images of a few registries at the same time. The
// metadata service throttles whoever asks it for each.
func TestAStormOverTwoRegistries(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.Cloud.Faults.Always("ocir", "", cloud.Slow{Delay: 300 * time.Millisecond})
	hosts := []string{registry, "ocir.eu-frankfurt-1.oci.oraclecloud.com"}
	var runs []*cloudtest.Invocation
	for i := range 110 {
		q := n.machine.Question(fmt.Sprintf("%s/namespace/app-%d", hosts[i%2], i))
		runs = append(runs, n.Begin(t.Context(), q))
	}
	passwords := map[string]bool{}
	for i, run := range runs {
		password, _ := n.wantPull(run.Answer(), hosts[i%2], n.oracle.Instance())
		passwords[password] = true
	}
	calls := n.Cloud.Calls
	if len(passwords) != 2 || calls.Count("ocir", "GetToken") != 2 || calls.Count("federation", "") != 1 || calls.Count("imds", "") > 5 {
		t.Errorf("%d passwords\n%s", len(passwords), calls)
	}
}

// A realm that nobody outside of it knows: the node's own data says what is its.
func TestADedicatedRealm(t *testing.T) {
	t.Parallel()
	const own = "ocir.zz-new-1.oci.oraclecloud77.com"
	n := bootOutside(t, oracle.Dedicated)
	f := n.oracle
	if err := errors.Join(f.PlaceIMDS(n.Cloud), f.PlaceRegistries(n.Cloud, own, registry)); err != nil {
		t.Fatal(err)
	}
	f.Match(true)
	n.wantPull(n.ask(own+"/ns/app"), own, f.Instance())
	n.WantCalls(askRegion, askMachine, cloudtest.Calls{"federation GetSecurityToken auth.zz-new-1.oraclecloud77.com"}, askToken(own))

	// The other realms' registries are no less Oracle's.
	n.ask(registry+"/ns/app").WantFailure(1, registry+": ", "registry of realm oc1, while the identity is of oc77", "logins")
	n.ask("ocir.zz-new-1.oci.oraclecloud78.com/ns/app").WantNothing(0, 10*time.Minute)
	n.WantCalls()
}

// What is nobody's that the node knows is not asked, and what is of another realm
// is an error that says so. Nothing is signed for either.
func TestRegistriesOfOtherRealms(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	const dedicated = "ocir.zz-new-1.oci.oraclecloud77.com"
	n.ask(dedicated+"/ns/app").WantNothing(0, 10*time.Minute)
	n.WantCalls(askRegion)
	for host, realm := range map[string]string{
		"ocir.us-gov-ashburn-1.oci.oraclegovcloud.com": "oc3",
		"ocir.uk-gov-london-1.oci.oraclegovcloud.uk":   "oc4",
		"ocir.eu-frankfurt-2.oci.oraclecloud.eu":       "oc19",
		"ocir.us-newplace-1.oci.oraclegovcloud.com":    "oraclegovcloud.com",
	} {
		n.ask(host+"/ns/app").WantFailure(1, host+": ", "registry of realm "+realm+", while the identity is of oc1", "identities do not leave their realm")
	}
	n.WantCalls()
	// A pod's token is shown to nobody there, either.
	shop := n.machine.Workload(fake.Shop)
	q, err := n.machine.PodQuestion("ocir.eu-frankfurt-2.oci.oraclecloud.eu/ns/app", fake.Shop, shop)
	if err != nil {
		t.Fatal(err)
	}
	n.Ask(q).WantFailure(1, "service account shop/web", "registry of realm oc19, while the identity is of oc1")
	n.WantCalls(cloudtest.Calls{shop.Calls[0]})
}

// Services refuse a signature that is more than five minutes off. What is found
// out at the first is not found out again at the next.
func TestAClockThatIsSixMinutesOff(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{6 * time.Minute, -6 * time.Minute} {
		n := bootNode(t)
		n.machine.Clock(ahead)
		n.wantPull(n.ask(n.machine.Image(0)), registry, n.oracle.Instance())
		n.WantCalls(askRegion, askMachine, askFederation, askFederation, askToken(registry))
		n.ask(n.machine.Image(1))
		n.WantCalls(askToken(n.machine.Registry(1)), askToken(n.machine.Registry(1)))
	}
}

// Metadata services promise an answer within ten seconds, and take longer on a
// machine that has just started.
func TestAMetadataServiceThatTakesItsTime(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.Cloud.Faults.First(4, "imds", "GetIdentity", cloud.Slow{Delay: 12 * time.Second})
	n.wantPull(n.ask(n.machine.Image(0)), registry, n.oracle.Instance())
}

// Oracle's own programs ask for the region alone, so nobody misses regionInfo
// where it is not answered.
func TestAMetadataServiceWithoutRegionInfo(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.Cloud.Faults.Always("imds", "GetRegionInfo", fake.Refuse(404, "Not Found", ""))
	n.wantPull(n.ask(n.machine.Image(0)), registry, n.oracle.Instance())
	if n.Cloud.Calls.Count("imds", "GetRegion") != 1 {
		t.Errorf("asked\n%s", n.Cloud.Calls)
	}
}

// On a machine of somebody else's cloud, or of nobody's.
func TestNoMetadataService(t *testing.T) {
	t.Parallel()
	n := bootOutside(t, oracle.Commercial)
	a := n.ask(registry + "/ns/app")
	a.WantFailure(1, registry+": ", "169.254.169.254", "--auth-method=user_principal")
	a.WantWithin(cloudtest.Soon)
	n.WantCalls()
}

// OKE's nodes pull these before they have an identity.
func TestOKEsPublicImagesNeedNobody(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	for _, service := range n.machine.Services {
		n.Cloud.Faults.Always(service, "", cloud.Hang{})
	}
	for _, image := range []string{
		n.machine.Public, "iad.ocir.io/id9y6mi8tcky/oke-public-coredns", "ocir.us-langley-1.oci.oraclegovcloud.com/oke-native-steward/oke-public-pause",
	} {
		response, _ := n.ask(image).Response()
		if len(response.Auth) != 0 || response.CacheKeyType != "Image" {
			t.Errorf("%s: %d logins by %s", image, len(response.Auth), response.CacheKeyType)
		}
	}
	n.WantCalls()
}

// A registry gives a token to whoever it knows. Who is in a dynamic group is
// decided when the security token is made.
func TestVerifyingFindsADynamicGroupThatWasMadeLater(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.oracle.Match(false)
	if owner, err := n.oracle.Pull(registry, oracle.TokenUser, passwordOf(n.ask(n.machine.Image(0)))); err == nil {
		t.Errorf("%s pulls", owner)
	}
	n.Cloud.Calls.Reset()
	n.ask(n.machine.Image(0), "--verify").WantFailure(1, registry+": ", "may not read repository "+n.machine.Repository,
		"allow dynamic-group GROUP to read repos", "verify at "+registry, "status 403", "opc-request-id", n.oracle.Instance())
	n.oracle.Match(true)
	cloudtest.AgeCache(t, n.Cloud, 2*time.Minute)
	n.Cloud.Calls.Reset()
	cloudtest.Eventually(t, "the group counts", func() bool {
		a := n.ask(n.machine.Image(0), "--verify")
		if a.Exit != 0 {
			return false
		}
		password, _ := a.WantImageLogin(registry, oracle.TokenUser)
		owner, err := n.oracle.Pull(registry, oracle.TokenUser, password)
		return err == nil && owner == n.oracle.Instance()
	})
	if n.Cloud.Calls.Count("federation", "") != 1 || n.Cloud.Calls.Count("ocir", "GetToken") != 1 {
		t.Errorf("asked\n%s", n.Cloud.Calls)
	}
}

func passwordOf(a cloudtest.Answer) string {
	password, _ := a.WantLogin(registry, oracle.TokenUser)
	return password
}

// A security token that a registry refuses is asked for again, once.
func TestARefusedSecurityTokenIsRenewed(t *testing.T) {
	t.Parallel()
	for _, refusal := range []cloud.Refusal{oracle.Denied(), fake.Refuse(401, "NotAuthenticated", "no")} {
		n := bootNode(t)
		n.ask(n.machine.Image(1))
		cloudtest.AgeCache(t, n.Cloud, 2*time.Minute)
		n.Cloud.Calls.Reset()
		n.Cloud.Faults.First(1, "ocir", "GetToken", refusal)
		n.wantPull(n.ask(n.machine.Image(0)), registry, n.oracle.Instance())
		n.WantCalls(askToken(registry), askMachine, askFederation, askToken(registry))
	}
}

// Requests are signed with a key that no file on a disk may have.
func TestAPrivateKeyIsOnNoDisk(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	disk, err := os.MkdirTemp("/var/tmp", "regcred-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(disk) })
	a := n.ask(n.machine.Image(0), "--cache-dir="+disk+"/cache")
	if !strings.Contains(a.Stderr, "private key is kept for this run alone") {
		t.Errorf("the log does not say so: %s", a.Stderr)
	}
	a.Stderr = ""
	n.wantPull(a, registry, n.oracle.Instance())
	n.WantCalls(askRegion, askMachine, askFederation, askToken(registry))
	files, err := filepath.Glob(disk + "/cache/*.json")
	if err != nil || len(files) != 2 {
		t.Errorf("kept %v, %v", files, err)
	}
	for _, file := range files {
		if content, err := os.ReadFile(file); err != nil || strings.Contains(string(content), "PRIVATE KEY") {
			t.Errorf("%s holds a private key, %v", file, err)
		}
	}
	n.wantPull(n.ask(n.machine.Image(0), "--cache-dir="+disk+"/cache"), registry, n.oracle.Instance())
	n.WantCalls()
}
