package icr_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/ibm"
)

// testbed is the node that the conformance tests are given.
type testbed = cloudtest.Node[*ibm.Fake]

const (
	annotation = ibm.ProfileAnnotation
	stranger   = "Profile-a0000000-0000-4000-8000-00000000000f"
	partner    = "Profile-b0000000-0000-4000-8000-00000000000e" // of another account
	apiKey     = "kq3vXwTQb2mJ0f-Zr8uC7nYyLhPdEoGsA1iN5xU4cVtM"
)

var (
	puller = ibm.ServiceID{ID: "ServiceId-c0000000-0000-4000-8000-00000000000d", Reader: true}

	askKey     = cloudtest.Calls{"iam GetTokenAPIKey " + ibm.IAMHost}
	askAssume  = cloudtest.Calls{"iam GetTokenAssume " + ibm.IAMHost}
	askMachine = machineAt("169.254.169.254")
)

// machineAt is what a machine is asked at a host.
func machineAt(host string) cloudtest.Calls {
	return cloudtest.Calls{"metadata CreateIdentityToken " + host, "metadata CreateIAMToken " + host}
}

// look-alikes and hosts of IBM's that are no registries of accounts.
var notRegistries = []string{
	"cp.icr.io", "private.cp.icr.io", "cp.stg.icr.io", "stg.icr.io", "dd.icr.io", "dd0.icr.io", "dd2.icr.io", "dd6.icr.io", "private.dd4.icr.io", "dd0.us.icr.io", "dd1-icr.ibm-zh.com",
	"evilicr.io", "us-icr.io", "icr.io.example.com", "a.us.icr.io", "us.private.icr.io", "private.private.icr.io", "icr.iox", "us.icr.com", "1s.icr.io", "usa.icr.io", "us22.icr.io",
	"ng.bluemix.net", "registry.xx.bluemix.net", "x.registry.ng.bluemix.net", "private.registry.bluemix.net", "registry.ng.bluemix.net.evil.example", "bluemix.net",
	"iam.cloud.ibm.com", "api.metadata.cloud.ibm.com",
}

func TestConform(t *testing.T) {
	cloudtest.Conform(t, cloudtest.Suite[*ibm.Fake]{
		Boot:    ibm.Boot,
		Config:  "ICRCredentialProviderConfig",
		Foreign: notRegistries,
		Tempting: map[string]fake.Question{
			"a profile for all pods": {Args: []string{"--pod-profile", ibm.NodeProfile}},
			"an API key":             {Args: []string{"--api-key-file=/etc/hostname"}},
		},
		Malformed: []string{"us.icr.io./app", "us.icr.io@evil.example/x", "us_1.icr.io/app", "us..icr.io/app", "\u0443s.icr.io/app"},
		Shared:    []string{"private.de.icr.io", "icr.io", "uk.icr.io", "private.us.icr.io", "registry.ng.bluemix.net", "us.icr.io:443"},
		Ways: []cloudtest.Way[*ibm.Fake]{
			{Name: "machine as a profile", Calls: askMachine, Go: func(n *testbed) cloudtest.Errand {
				n.Fake.AddProfile(ibm.Profile{ID: partner, Reader: true})
				n.Fake.Configure(func(s *ibm.Settings) { s.Machine.Linked = append(s.Machine.Linked, partner) })
				return cloudtest.Errand{Question: n.Own("--profile", partner), Owner: "iam-" + partner}
			}},
			{Name: "machine with secure access", Calls: machineAt(ibm.MetadataHost), Go: func(n *testbed) cloudtest.Errand {
				n.Fake.Configure(func(s *ibm.Settings) { s.Machine.Secure = true })
				if err := n.Fake.PlaceSecureMetadata(n.Cloud); err != nil {
					n.T.Fatal(err)
				}
				return cloudtest.Errand{Question: n.Own(), Owner: "iam-" + ibm.NodeProfile}
			}},
			{Name: "bare metal", Calls: askMachine, Go: func(n *testbed) cloudtest.Errand {
				n.Fake.Configure(func(s *ibm.Settings) { s.Machine.BareMetal = true })
				return cloudtest.Errand{Question: n.Own(), Owner: "iam-" + ibm.NodeProfile}
			}},
			{Name: "Power Virtual Server", Calls: machineAt(ibm.PowerHost), Go: func(n *testbed) cloudtest.Errand {
				if err := n.Fake.PlacePower(n.Cloud); err != nil {
					n.T.Fatal(err)
				}
				return cloudtest.Errand{Question: n.Own("--credential=powervs"), Owner: "iam-" + ibm.NodeProfile}
			}},
			{Name: "API key", Calls: askKey, Go: func(n *testbed) cloudtest.Errand {
				n.Fake.AddServiceID(puller, apiKey)
				return cloudtest.Errand{Question: n.Own("--api-key-file", cloudtest.File(n.T, " "+apiKey+" \r\n")), Owner: puller.IAMID(), Secrets: []string{apiKey}}
			}},
			{Name: "API key that assumes a profile", Calls: slices.Concat(askKey, askAssume), Refresh: askAssume, Go: func(n *testbed) cloudtest.Errand {
				n.Fake.AddServiceID(ibm.ServiceID{ID: puller.ID}, apiKey)
				n.Fake.AddProfile(ibm.Profile{ID: partner, Account: strings.Repeat("f", 32), Assumers: []string{puller.IAMID()}, Reader: true})
				q := n.Own("--api-key-file", cloudtest.File(n.T, `{"name": "pull", "apikey": "`+apiKey+`"}`), "--assume-profile", partner)
				return cloudtest.Errand{Question: q, Owner: "iam-" + partner, Secrets: []string{apiKey}}
			}},
		},
		Refused: []cloudtest.Refused[*ibm.Fake]{
			{Name: "no rule for it", Says: []string{"400 BXNIM0398E", "add a rule", "IKS_SA", "ROKS_SA", "namespace shop", "name web", "request id "}, Ask: func(n *testbed) cloudtest.Question {
				return n.Pod(fake.Shop, n.Workload(fake.Jobs))
			}},
			{Name: "a profile that does not exist", Says: []string{"BXNIM0398E", stranger}, Ask: func(n *testbed) cloudtest.Question {
				return n.Pod(fake.Shop, fake.Identity{Annotations: map[string]string{annotation: stranger}})
			}},
			{Name: "a token of more than an hour", Says: []string{"BXNIM0407E", "an hour at most"}, Ask: func(n *testbed) cloudtest.Question {
				q := n.Pod(fake.Shop, n.Workload(fake.Shop))
				q.Token = n.Token(fake.Shop, ibm.Audience, 2*time.Hour)
				return q
			}},
		},
		Nameless: []cloudtest.Nameless{
			{Name: "an empty annotation", Annotations: map[string]string{annotation: ""}, Says: []string{annotation, "--pod-profile"}},
			{Name: "others' annotations", Annotations: map[string]string{"iam.cloud.ibm.com/profile": stranger}, Says: []string{annotation}},
		},
		Annotations: map[string][]string{annotation: {
			"pull", "Profile-", stranger[:len(stranger)-1], "iam-" + stranger, strings.ToLower(stranger), stranger + `","x":"`, stranger + "&profile_id=" + partner,
			"crn:v1:bluemix:public:iam-identity::a/x::profile:" + stranger + "\n", "crn:v1:bluemix:public:iam-identity::a/x::profile:pull", "crn:v1:bluemix:public:iam::a/x::profile:" + stranger, "ServiceId-a0000000-0000-4000-8000-00000000000f",
		}},
		Help: []string{
			"- icr.io", `"*.icr.io"`, `"*.*.icr.io"`, `"registry.*.bluemix.net"`, annotation,
			"--credential", "--profile", "--api-key-file", "--assume-profile", "--pod-profile", "--iam-endpoint", "--iam-fallback", "--entitlement-key-file",
		},
		Mistakes: []cloudtest.Mistake{
			{Name: "unknown flag of this plugin", Args: []string{"--apikey=x"}, Says: "unknown flag"},
			{Name: "a profile by its name", Args: []string{"--profile=pull"}, Says: "profile: neither the id"},
			{Name: "a key for a machine", Args: []string{"--credential=vpc", "--api-key-file=/x"}, Says: "apiKeyFile: not used"},
			{Name: "unknown field of this plugin", Config: "apikeyFile: /x\n", Says: "apikeyFile"},
		},
	})
}
