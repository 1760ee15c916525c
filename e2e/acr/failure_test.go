package acr_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
)

// refusal is what makes a run fail, and what its message has to say.
type refusal struct {
	name    string
	prepare func(*node)
	says    []string
}

// passing are answers of a service that is out of order, and what is said of
// them.
func passing(service string) []refusal {
	return []refusal{
		{"throttled", struck(service, cloud.Refusal{Status: http.StatusTooManyRequests}), []string{"status 429"}},
		{"out of order", struck(service, cloud.Refusal{Status: http.StatusInternalServerError}), []string{"status 500"}},
		{"reset", struck(service, cloud.Reset{}), []string{"connection reset"}},
	}
}

// broken are answers of a service that are none, and what is said of them.
func broken(service string) []refusal {
	return []refusal{
		{"no body", struck(service, cloud.Empty), nil},
		{"a page instead of JSON", struck(service, cloud.NotJSON), nil},
		{"truncated", struck(service, cloud.Truncated), nil},
		{"oversized", struck(service, cloud.Oversized), []string{"larger than 1 MiB"}},
	}
}

// useless are shapes of a token that Entra or a machine answers.
func useless(settings func(*azure.Settings) *azure.TokenSettings) []refusal {
	var all []refusal
	for name, test := range map[string]struct {
		shape azure.TokenShape
		says  string
	}{
		"no fields":   {azure.NoFields, "token"},
		"empty token": {azure.EmptyToken, "no token"},
		"no expiry":   {azure.NoExpiry, "life"},
		"expires now": {azure.ExpiresNow, "life"},
		"expired":     {azure.ExpiredLong, "life"},
	} {
		all = append(all, refusal{name, configured(func(s *azure.Settings) { settings(s).Shape = test.shape }), []string{test.says}})
	}
	return all
}

// wantRecorded asks twice: every failure is one line that says where, as whom,
// what came back and what to do, and the next run does not ask again at once but
// repeats what was recorded.
func (n *node) wantRecorded(q question, service string, says ...string) {
	n.t.Helper()
	first := n.ask(q)
	first.wantFailure(1, says...)
	first.WantWithin(50 * time.Second)
	if asked := n.cloud.Calls.Count(service, ""); asked < 1 || asked > 8 {
		n.t.Errorf("asked %d times", asked)
	}
	n.cloud.Calls.Reset()
	n.ask(q).wantFailure(1, append(says, "ago to another process; next attempt in")...)
	n.wantCalls()
}

func TestAFailureOfTheMachinesServiceSaysEverythingAndIsRecorded(t *testing.T) {
	for _, test := range slices.Concat([]refusal{
		{"no identity", func(n *node) { n.assign(azure.InstanceSettings{}) }, []string{"status 400", "invalid_request", "assign"}},
		{"several identities", func(n *node) { n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{pull, other}}) },
			[]string{"status 400", "Multiple user assigned identities", "--client-id"}},
		{"forbidden", struck("imds", cloud.Refusal{Status: http.StatusForbidden}), []string{"status 403"}},
	}, broken("imds"), useless(func(s *azure.Settings) *azure.TokenSettings { return &s.IMDS.Token })) {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			test.prepare(n)
			n.wantRecorded(question{Image: image}, "imds", slices.Concat(test.says, []string{registry + ": ", imdsAPI, "machine's managed identity", azure.ACRAudience})...)
		})
	}
}

func TestAnIdentityThatIsNotAssignedIsNamed(t *testing.T) {
	n := bootNode(t)
	for _, args := range [][]string{{"--client-id", pull.ClientID}, {"--object-id", pull.ObjectID}, {"--resource-id", pull.ResourceID}} {
		n.ask(question{Image: image, Args: args}).wantFailure(1, "status 400", args[1], "assign")
	}
	n.wantCalls(askIMDS, askIMDS, askIMDS)
}

func TestAFailureOfEntraSaysEverythingAndIsRecorded(t *testing.T) {
	for _, test := range slices.Concat(passing("entra"), broken("entra"), useless(func(s *azure.Settings) *azure.TokenSettings { return &s.Entra })) {
		t.Run(test.name, func(t *testing.T) {
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
			n := bootNode(t)
			args := test.args(n)
			q := question{Image: image, Args: args}
			says := slices.Concat(test.says, []string{registry + ": ", entraAPI, "correlation id"})
			n.ask(q).wantFailure(1, says...)
			n.wantCalls(askEntra)
			n.ask(q).wantFailure(1, append(says, "ago to another process")...)
			n.wantCalls()
		})
	}
}

// The identity vouches for an app that does not say so.
func TestAManagedIdentityThatVouchesForNobody(t *testing.T) {
	n := bootNode(t)
	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{pull, other}})
	n.trustIdentity()
	n.ask(question{Image: image, Args: appArgs("federated-managed-identity", "--managed-identity-client-id", other.ClientID)}).
		wantFailure(1, "AADSTS700213", other.ClientID, appID, "federated credential")
	n.wantCalls(askIMDS, askEntra)
}

func TestAFailureOfTheRegistrySaysEverythingAndIsRecorded(t *testing.T) {
	shape := func(shape azure.TokenShape) func(*node) {
		return configured(func(s *azure.Settings) { s.ACR.Refresh.Shape = shape })
	}
	for _, test := range slices.Concat([]refusal{
		{"no role", func(n *node) { n.serve(registry) },
			[]string{"status 401", "UNAUTHORIZED", "AcrPull", "Container Registry Repository Reader", "correlation id"}},
		{"a role of the other kind", func(n *node) {
			n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: pullers(tenant, system.ClientID)})
		}, []string{"status 401", "Container Registry Repository Reader"}},
		{"another tenant's", func(n *node) { n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, Tenant: abroad}) },
			[]string{"status 401", "tenant"}},
		{"network rules", func(n *node) { n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, Blocked: true}) },
			[]string{"status 403", "DENIED", "192.0.2.77", "network"}},
		{"no fields", shape(azure.NoFields), []string{"no token"}},
		{"empty token", shape(azure.EmptyToken), []string{"no token"}},
		{"expired", shape(azure.ExpiredLong), nil},
		{"not found", struck("acr", cloud.Refusal{Status: http.StatusNotFound}), []string{"status 404"}},
	}, passing("acr"), broken("acr")) {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			test.prepare(n)
			n.wantRecorded(question{Image: image}, "acr", slices.Concat(test.says, []string{registry + ": ", "exchange", "machine's managed identity", azure.ACRAudience})...)
		})
	}
}

// There is no such name, or the zone of its private endpoint is not the node's.
func TestARegistryThatDoesNotExistIsNamed(t *testing.T) {
	n := bootNode(t)
	a := n.ask(question{Image: "nobody.azurecr.io/app"})
	a.wantFailure(1, "nobody.azurecr.io", "no such host", "DNS")
	a.WantWithin(20 * time.Second)
}

// The failure of a registry says nothing of another's, and nothing of the
// machine's identity.
func TestAFailureIsItsRegistrysOwn(t *testing.T) {
	n := bootNode(t)
	n.serve("other.azurecr.io")
	n.ask(question{Image: "other.azurecr.io/app"}).wantFailure(1, "401", "other.azurecr.io")
	n.wantCalls(askIMDS, askExchangeAt("other.azurecr.io"))
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.wantCalls(askExchange)
}

// A failure of the machine's service is every registry's: nobody asks it again
// at once for another one.
func TestAFailureOfTheMachinesServiceIsSharedByRegistries(t *testing.T) {
	n := bootNode(t)
	n.assign(azure.InstanceSettings{})
	n.ask(question{Image: image}).wantFailure(1, registry, "400")
	n.wantCalls(askIMDS)
	n.ask(question{Image: "other.azurecr.io/app"}).wantFailure(1, "other.azurecr.io", "400", "ago to another process")
	// It is told of once, however often it is passed on.
	again := n.ask(question{Image: "other.azurecr.io/app"})
	again.wantFailure(1, "other.azurecr.io", "400", "ago to another process")
	if told := strings.Count(again.Stderr, "ago to another process"); told != 1 {
		t.Errorf("it is said %d times that another process was told: %s", told, again.Stderr)
	}
	n.wantCalls()
}

func TestAHiccupOfTheMachinesServicePasses(t *testing.T) {
	for name, fault := range map[string]cloud.Fault{
		"throttled":     cloud.Refusal{Status: http.StatusTooManyRequests},
		"not there yet": cloud.Refusal{Status: http.StatusNotFound},
		"being updated": cloud.Refusal{Status: http.StatusGone},
		"server error":  cloud.Refusal{Status: http.StatusInternalServerError},
		"reset":         cloud.Reset{},
		"truncated":     cloud.Truncated,
	} {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			n.cloud.Faults.First(1, "imds", "GetToken", fault)
			a := n.ask(question{Image: image})
			a.wantCredential(registry, system.ClientID)
			a.WantWithin(10 * time.Second)
			n.wantCalls(askIMDS, askIMDS, askExchange)
		})
	}
}

func TestASlowServiceIsWaitedFor(t *testing.T) {
	for _, service := range []string{"imds", "acr"} {
		t.Run(service, func(t *testing.T) {
			n := bootNode(t)
			n.cloud.Faults.Always(service, "", cloud.Slow{Delay: 2500 * time.Millisecond})
			n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
		})
	}
	t.Run("entra", func(t *testing.T) {
		n := bootNode(t)
		n.serve(registry, appID)
		n.cloud.Faults.Always("entra", "", cloud.Slow{Delay: 2500 * time.Millisecond})
		n.ask(question{Image: image, Args: n.asApp()}).wantCredential(registry, appID)
	})
}

// A machine elsewhere has no such service. What to configure there is said soon.
func TestWithoutTheMachinesServiceTheOperatorIsToldWhatToConfigure(t *testing.T) {
	n := bootOutside(t)
	n.serve(registry, system.ClientID)
	a := n.ask(question{Image: image})
	a.wantFailure(1, imdsAPI, "--credential")
	a.WantWithin(20 * time.Second)
	n.wantCalls()
}

// What comes from outside is one line and bounded, whatever it is.
func TestAMessageFromOutsideIsOneBoundedLine(t *testing.T) {
	n := bootNode(t)
	n.cloud.Faults.Always("acr", "", cloud.Refusal{Status: http.StatusForbidden, Code: "DENIED", Message: "no\nno\x1b[31m " + strings.Repeat("no ", 10000)})
	a := n.ask(question{Image: image})
	a.wantFailure(1, "status 403", "DENIED")
	if len(a.Stderr) > 2000 || strings.Contains(a.Stderr, "\x1b") {
		t.Errorf("%d characters, or one that terminals obey", len(a.Stderr))
	}
}
