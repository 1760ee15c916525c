package icr_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/ibm"
)

// node is a machine of VPC with a default profile, for one test.
type node struct {
	*fake.Node
	ibm *ibm.Fake
	t   *testing.T
}

func boot(t *testing.T) *node {
	t.Helper()
	t.Parallel()
	f, n, err := ibm.Boot(cloudtest.Apart(t))
	if err != nil {
		t.Fatal(err)
	}
	return &node{n, f, t}
}

// bootBare is a machine around which there is nothing yet.
func bootBare(t *testing.T) *node {
	t.Helper()
	t.Parallel()
	c := cloudtest.Apart(t)
	f := ibm.New(c.Calls, c.Faults)
	f.AddProfile(ibm.Profile{ID: ibm.NodeProfile, Reader: true})
	f.Configure(func(s *ibm.Settings) {
		s.Machine.Default, s.Machine.Linked = ibm.NodeProfile, []string{ibm.NodeProfile}
	})
	return &node{&fake.Node{Cloud: c}, f, t}
}

// ask runs the plugin for an image, without a pod.
func (n *node) ask(image string, args ...string) cloudtest.Answer {
	n.t.Helper()
	q := cloudtest.Question{Image: image, Args: args}
	return cloudtest.Ask(n.t, n.Cloud, plugin, q, q.Request())
}

// wantLogin fails the test unless an answer is the owner's login for the image.
func (n *node) wantLogin(a cloudtest.Answer, image, username, owner string) (password string) {
	n.t.Helper()
	host, _, _ := strings.Cut(image, "/")
	password, _ = a.WantLogin(host, username)
	if whose, err := n.ibm.Login(host, username, password); err != nil || whose != owner {
		n.t.Errorf("the credential of %q, %v, want that of %s", whose, err, owner)
	}
	return password
}

func (n *node) wantCalls(want ...cloudtest.Calls) {
	n.t.Helper()
	cloudtest.WantCalls(n.t, n.Cloud, want...)
}

const image = "us.icr.io/team/app"

var machineID = ibm.Profile{ID: ibm.NodeProfile}.IAMID()

// A node that boots pulls from several hosts at once, and has one identity.
func TestAStormOverTwoHostsMakesOneToken(t *testing.T) {
	n := boot(t)
	n.Cloud.Faults.Always("metadata", "CreateIAMToken", cloud.Slow{Delay: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), cloudtest.Patience)
	defer cancel()
	hosts := []string{"us.icr.io", "private.de.icr.io"}
	var runs []*cloudtest.Invocation
	for i := range 110 {
		q := cloudtest.Question{Image: fmt.Sprintf("%s/team/app-%d", hosts[i%2], i)}
		runs = append(runs, cloudtest.Start(t, n.Cloud, plugin, q.Command(ctx, plugin)))
	}
	passwords := map[string]bool{}
	for i, run := range runs {
		password, _ := run.Answer().WantLogin(hosts[i%2], ibm.TokenUser)
		passwords[password] = true
	}
	n.wantCalls(askMachine)
	if issued := n.ibm.Issued(); len(passwords) != 1 || issued != 1 {
		t.Errorf("%d tokens were issued and %d handed out, want one", issued, len(passwords))
	}
	for _, host := range hosts {
		for password := range passwords {
			if owner, err := n.ibm.Login(host, ibm.TokenUser, password); err != nil || owner != machineID {
				t.Errorf("%s: the credential of %q, %v", host, owner, err)
			}
		}
	}
}

// Pods of two service accounts that pull as one profile from two hosts.
func TestAServiceAccountHasOneTokenForEveryHost(t *testing.T) {
	n := boot(t)
	both := n.Workload(fake.Shop, fake.Jobs)
	passwords := map[string]int{}
	for _, account := range []int{0, 1, 0, 1} {
		for _, image := range []string{image, "private.de.icr.io/team/app", "registry.ng.bluemix.net/team/app"} {
			q, err := n.PodQuestion(image, fake.Shop, both)
			if account == 1 {
				q, err = n.PodQuestion(image, fake.Jobs, both)
			}
			if err != nil {
				t.Fatal(err)
			}
			passwords[n.wantLogin(cloudtest.Ask(t, n.Cloud, plugin, q, q.Request()), image, ibm.TokenUser, both.Owner)]++
		}
	}
	if len(passwords) != 2 {
		t.Errorf("%d tokens, want one for each service account", len(passwords))
	}
	n.wantCalls(both.Calls, both.Calls)
}

// Where nothing listens to plain HTTP.
func TestSecureAccessIsFoundWithoutAFlag(t *testing.T) {
	n := bootBare(t)
	if err := n.ibm.PlaceSecureMetadata(n.Cloud); err != nil {
		t.Fatal(err)
	}
	a := n.ask(image)
	n.wantLogin(a, image, ibm.TokenUser, machineID)
	a.WantWithin(cloudtest.Soon)
	n.wantCalls(machineAt(ibm.MetadataHost))
}

func TestTheOlderAPI(t *testing.T) {
	n := boot(t)
	n.ibm.Configure(func(s *ibm.Settings) { s.Machine.Old = true })
	n.wantLogin(n.ask(image), image, ibm.TokenUser, machineID)
	n.wantCalls(cloudtest.Calls{"metadata CreateIdentityToken 169.254.169.254"}, askMachine)
	n.wantLogin(n.ask(image, "--profile", ibm.NodeProfile), image, ibm.TokenUser, machineID)
}

// A service that is off answers nothing, as IBM documents it, and sometimes that
// it is.
func TestAMetadataServiceThatIsOff(t *testing.T) {
	const enable = "enable the metadata service of this machine"
	for name, test := range map[string]struct {
		prepare func(n *node)
		says    []string
	}{
		"silent": {func(n *node) { n.Cloud.Faults.Always("metadata", "", cloud.Hang{}) }, []string{"accepted the connection and did not answer", "at 169.254.169.254", "no answer within 10s", enable}},
		"silent, with secure access": {func(n *node) {
			n.ibm.Configure(func(s *ibm.Settings) { s.Machine.Secure = true })
			if err := n.ibm.PlaceSecureMetadata(n.Cloud); err != nil {
				n.t.Fatal(err)
			}
			n.Cloud.Faults.Always("metadata", "", cloud.Hang{})
		}, []string{"accepted the connection and did not answer", "at " + ibm.MetadataHost, enable}},
		"told":               {func(n *node) { n.ibm.Configure(func(s *ibm.Settings) { s.Machine.Disabled = true }) }, []string{"enable it for this machine", "403 unauthorized", "request id "}},
		"no profile":         {func(n *node) { n.ibm.Configure(func(s *ibm.Settings) { s.Machine.Default = "" }) }, []string{"no default trusted profile", "--profile", "400 missing_field"}},
		"nothing there":      {nil, []string{enable, "--credential", "169.254.169.254"}},
		"somebody else's":    {other(http.StatusNotFound, "text/html", "<html>Not Found</html>"), []string{"what answers at 169.254.169.254 is not VPC's metadata service", enable, "404"}},
		"somebody's in JSON": {other(http.StatusBadRequest, "application/json", `{"error":"Bad request"}`), []string{"is not VPC's metadata service", "400"}},
	} {
		t.Run(name, func(t *testing.T) {
			var n *node
			if test.prepare == nil || strings.HasPrefix(name, "somebody") {
				n = bootBare(t)
			} else {
				n = boot(t)
			}
			if test.prepare != nil {
				test.prepare(n)
			}
			a := n.ask(image)
			a.WantFailure(1, append(test.says, "us.icr.io: ")...)
			a.WantWithin(cloudtest.Soon)
		})
	}
}

// other is a metadata service that is not IBM's.
func other(status int, contentType, body string) func(*node) {
	return func(n *node) {
		err := n.Cloud.Serve(netip.MustParseAddrPort("169.254.169.254:80"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

// A slow service is waited for, and not taken for one that is off.
func TestAMachineThatTakesItsTimeToSayWhoItIs(t *testing.T) {
	n := boot(t)
	n.Cloud.Faults.Always("metadata", "CreateIdentityToken", cloud.Slow{Delay: 8 * time.Second})
	n.wantLogin(n.ask(image), image, ibm.TokenUser, machineID)
	n.wantCalls(askMachine)
}

// The certificate authorities of the operator count for the machine's own
// service, too.
func TestTheOperatorsAuthorityIsTrustedOnTheMachinesOwnLink(t *testing.T) {
	n := bootBare(t)
	if err := n.ibm.PlaceSecureMetadata(n.Cloud); err != nil {
		t.Fatal(err)
	}
	q := cloudtest.Question{Image: image, Env: []string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"}}
	cloudtest.Ask(t, n.Cloud, plugin, q, q.Request()).WantFailure(1, ibm.MetadataHost, "--ca-file", "unknown authority")
	q.Args = []string{"--ca-file", cloudtest.File(t, string(n.Cloud.Authority.PEM())), "--cache-dir="}
	n.wantLogin(cloudtest.Ask(t, n.Cloud, plugin, q, q.Request()), image, ibm.TokenUser, machineID)
}

// A registry may take a token for some time after its end. That is not counted
// on.
func TestATokenIsNotServedAfterItsEnd(t *testing.T) {
	n := boot(t)
	n.wantLogin(n.ask(image), image, ibm.TokenUser, machineID)
	n.Cloud.Faults.Always("metadata", "", cloud.Refusal{Status: http.StatusServiceUnavailable})
	cloudtest.AgeCache(t, n.Cloud, 58*time.Minute)
	if a := n.ask(image); a.Exit != 0 {
		t.Errorf("two minutes before its end: %s", a.Stderr)
	}
	cloudtest.AgeCache(t, n.Cloud, 90*time.Second) // 30 s are left of it
	n.ask(image).WantFailure(1, "503")
}

func TestAKeyThatWasReplaced(t *testing.T) {
	n := boot(t)
	const next = "second-kq3vXwTQb2mJ0f-Zr8uC7nYyLhPdEoGsA1iN"
	n.ibm.AddServiceID(puller, apiKey)
	file := cloudtest.File(t, apiKey+"\n")
	args := []string{"--api-key-file", file}
	first := n.wantLogin(n.ask(image, args...), image, ibm.TokenUser, puller.IAMID())

	n.ibm.DeleteKey(apiKey)
	n.ibm.AddServiceID(puller, next)
	n.ask(image, append(args, "--cache-dir=")...).WantFailure(1, "400 BXNIM0415E", file, "put that into the file", "request id ")
	if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	second := n.wantLogin(n.ask(image, append(args, "--cache-dir=")...), image, ibm.TokenUser, puller.IAMID())
	if first == second {
		t.Error("the key that was replaced is still used")
	}
}
