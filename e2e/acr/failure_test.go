package acr_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// refusal is what makes a run fail, and what its message has to say.
type refusal struct {
	name    string
	prepare func(*node)
	says    []string
}

// useless are shapes of a token that Entra or a machine answers.
func useless(settings func(*azure.Settings) *fake.TokenSettings) []refusal {
	var all []refusal
	for name, test := range map[string]struct {
		shape fake.TokenShape
		says  string
	}{
		"no fields":   {fake.NoFields, "token"},
		"empty token": {fake.EmptyToken, "no token"},
		"no expiry":   {fake.NoExpiry, "without an expiry"},
		"expires now": {fake.ExpiresNow, "expir"},
		"expired":     {fake.ExpiredLong, "expir"},
	} {
		all = append(all, refusal{name, configured(func(s *azure.Settings) { settings(s).Shape = test.shape }), []string{test.says}})
	}
	return all
}

// wantRecorded asks twice: every failure is one line that says where, as whom,
// what came back and what to do, and the next run does not ask again at once but
// repeats what was recorded.
func (n *node) wantRecorded(q question, service string, says ...string) {
	n.T.Helper()
	first := n.ask(q)
	first.WantFailure(1, says...)
	first.WantWithin(cloudtest.Patience)
	if asked := n.Cloud.Calls.Count(service, ""); asked < 1 || asked > 8 {
		n.T.Errorf("asked %d times", asked)
	}
	n.WantRecorded(cloudtest.Question(q), says...)
}

func TestAFailureOfTheMachinesServiceSaysEverythingAndIsRecorded(t *testing.T) {
	t.Parallel()
	for _, test := range slices.Concat([]refusal{
		{"no identity", func(n *node) { n.assign(azure.InstanceSettings{}) }, []string{"status 400", "invalid_request", "assign"}},
		{"several identities", func(n *node) { n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{pull, other}}) },
			[]string{"status 400", "Multiple user assigned identities", "--client-id"}},
		{"forbidden", struck("imds", cloud.Refusal{Status: http.StatusForbidden}), []string{"status 403"}},
	}, useless(func(s *azure.Settings) *fake.TokenSettings { return &s.IMDS.Token })) {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			test.prepare(n)
			n.wantRecorded(question{Image: image}, "imds", slices.Concat(test.says, []string{registry + ": ", imdsAPI, "machine's managed identity", azure.ACRAudience})...)
		})
	}
}

func TestAnIdentityThatIsNotAssignedIsNamed(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	for _, args := range [][]string{{"--client-id", pull.ClientID}, {"--object-id", pull.ObjectID}, {"--resource-id", pull.ResourceID}} {
		n.ask(question{Image: image, Args: args}).WantFailure(1, "status 400", args[1], "assign")
	}
	n.WantCalls(askIMDS, askIMDS, askIMDS)
}

func TestAFailureOfEntraSaysEverythingAndIsRecorded(t *testing.T) {
	t.Parallel()
	for _, test := range useless(func(s *azure.Settings) *fake.TokenSettings { return &s.Entra }) {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.serve(registry, appID)
			test.prepare(n)
			n.wantRecorded(question{Image: image, Args: n.asApp()}, "entra",
				slices.Concat(test.says, []string{registry + ": ", entraAPI, appID, tenant, azure.ACRAudience})...)
		})
	}
}

// What there is nothing to hope for is asked for once.
func TestWhomEntraRefuses(t *testing.T) {
	t.Parallel()
	const expired, wrong = true, false
	secret := func(kind bool) func(n *node) []string {
		return func(n *node) []string {
			n.azure.AddApp(azure.App{ClientID: appID})
			text := "wrong"
			if kind == expired {
				text = n.azure.AddSecret(appID, -time.Hour)
			}
			return appArgs("client-secret", "--client-secret-file", n.file(text))
		}
	}
	for _, test := range []struct {
		name string
		args func(n *node) []string
		says []string
	}{
		{"wrong secret", secret(wrong), []string{"AADSTS7000215", "status 401"}},
		{"expired secret", secret(expired), []string{"AADSTS7000222", "status 401"}},
		{"unknown app", func(n *node) []string {
			return appArgs("client-secret", "--client-secret-file", n.file("x"))
		}, []string{"AADSTS700016", "status 400"}},
		{"unknown tenant", func(n *node) []string {
			return append(n.asApp(), "--tenant-id", "nobody.example")
		}, []string{"AADSTS90002", "nobody.example"}},
		{"certificate of another app", func(n *node) []string {
			n.azure.AddApp(azure.App{ClientID: "a0000000-0000-4000-8000-000000000002"})
			return append(appArgs("client-certificate", "--client-certificate-file", n.certificateFile()), "--client-id", "a0000000-0000-4000-8000-000000000002")
		}, []string{"AADSTS700027"}},
		{"unknown audience", func(n *node) []string {
			return append(n.asApp(), "--audience=https://example.azurecr.io")
		}, []string{"AADSTS500011", "https://example.azurecr.io"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			args := test.args(n)
			q := question{Image: image, Args: args}
			says := slices.Concat(test.says, []string{registry + ": ", entraAPI, "correlation id"})
			n.ask(q).WantFailure(1, says...)
			n.WantCalls(askEntra)
			n.WantRecorded(cloudtest.Question(q), says...)
		})
	}
}

// The identity vouches for an app that does not say so.
func TestAManagedIdentityThatVouchesForNobody(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{pull, other}})
	n.trustIdentity()
	n.ask(question{Image: image, Args: appArgs("federated-managed-identity", "--managed-identity-client-id", other.ClientID)}).
		WantFailure(1, "AADSTS700213", other.ClientID, appID, "federated credential")
	n.WantCalls(askIMDS, askEntra)
}

func TestAFailureOfTheRegistrySaysEverythingAndIsRecorded(t *testing.T) {
	t.Parallel()
	shape := func(shape fake.TokenShape) func(*node) {
		return configured(func(s *azure.Settings) { s.ACR.Refresh.Shape = shape })
	}
	for _, test := range []refusal{
		{"no role", func(n *node) { n.serve(registry) },
			[]string{"status 401", "UNAUTHORIZED", "AcrPull", "Container Registry Repository Reader", "correlation id"}},
		{"a role of the other kind", func(n *node) {
			n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: pullers(tenant, system.ClientID)})
		}, []string{"status 401", "Container Registry Repository Reader"}},
		{"another tenant's", func(n *node) { n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, Tenant: abroad}) },
			[]string{"status 401", "tenant"}},
		{"network rules", func(n *node) { n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, Blocked: true}) },
			[]string{"status 403", "DENIED", "192.0.2.77", "network"}},
		{"no fields", shape(fake.NoFields), []string{"no token"}},
		{"empty token", shape(fake.EmptyToken), []string{"no token"}},
		{"expired", shape(fake.ExpiredLong), nil},
		{"not found", struck("acr", cloud.Refusal{Status: http.StatusNotFound}), []string{"status 404"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			test.prepare(n)
			n.wantRecorded(question{Image: image}, "acr", slices.Concat(test.says, []string{registry + ": ", "exchange", "machine's managed identity", system.ClientID})...)
		})
	}
}

// There is no such name, or the zone of its private endpoint is not the node's.
func TestARegistryThatDoesNotExistIsNamed(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	a := n.ask(question{Image: "nobody.azurecr.io/app"})
	a.WantFailure(1, "nobody.azurecr.io", "no such host", "DNS")
	a.WantWithin(cloudtest.Soon)
}

// The failure of a registry says nothing of another's, and nothing of the
// machine's identity.
func TestAFailureIsItsRegistrysOwn(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.serve("other.azurecr.io")
	n.ask(question{Image: "other.azurecr.io/app"}).WantFailure(1, "401", "other.azurecr.io")
	n.WantCalls(askIMDS, askExchangeAt("other.azurecr.io"))
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.WantCalls(askExchange)
}

// A failure of the machine's service is every registry's: nobody asks it again
// at once for another one.
func TestAFailureOfTheMachinesServiceIsSharedByRegistries(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{})
	n.ask(question{Image: image}).WantFailure(1, registry, "400")
	n.WantCalls(askIMDS)
	other := cloudtest.Question{Image: "other.azurecr.io/app"}
	for range 2 {
		again := n.WantRecorded(other, "other.azurecr.io", "400")
		// It is told of once, however often it is passed on.
		if told := strings.Count(again.Stderr, cloudtest.Recorded); told != 1 {
			t.Errorf("it is said %d times that another process was told: %s", told, again.Stderr)
		}
	}
}

func TestAHiccupOfTheMachinesServicePasses(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cloud.Fault{
		"not there yet": cloud.Refusal{Status: http.StatusNotFound},
		"being updated": cloud.Refusal{Status: http.StatusGone},
		"truncated":     cloud.Truncated,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.Cloud.Faults.First(1, "imds", "GetToken", fault)
			a := n.ask(question{Image: image})
			a.wantCredential(registry, system.ClientID)
			a.WantWithin(cloudtest.Soon)
			n.WantCalls(askIMDS, askIMDS, askExchange)
		})
	}
}

// A machine elsewhere has no such service. What to configure there is said soon.
func TestWithoutTheMachinesServiceTheOperatorIsToldWhatToConfigure(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	n.serve(registry, system.ClientID)
	a := n.ask(question{Image: image})
	a.WantFailure(1, imdsAPI, "--credential")
	a.WantWithin(cloudtest.Soon)
	n.WantCalls()
}
