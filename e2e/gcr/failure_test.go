package gcr_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
)

// configured is a change of the fake's settings.
func configured(change func(*gcp.Settings)) func(*node) {
	return func(n *node) { n.gcp.Configure(change) }
}

// struck is a fault of every call of a service.
func struck(service string, fault cloud.Fault) func(*node) {
	return func(n *node) { n.Cloud.Faults.Always(service, "", fault) }
}

// Every failure is one line that says where, what came back and what to do.
// The next run does not ask again at once: it repeats what was recorded. There
// is never an empty password: with one, not even a public image can be pulled.
func TestAFailureOfTheMetadataServerSaysEverythingAndIsRecorded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(*node)
		says    []string
	}{
		{"no service account", configured(func(s *gcp.Settings) { s.Metadata.ServiceAccount = "" }),
			[]string{"status 404", "service account", "attach"}},
		{"no scope for registries", configured(func(s *gcp.Settings) { s.Metadata.Scopes = []string{gcp.LoggingWrite} }),
			[]string{"scope", "devstorage.read_only", "cloud-platform"}},
		{"endpoint turned off", configured(func(s *gcp.Settings) { s.Metadata.Disabled = true }),
			[]string{"status 403", "disabled"}},
		{"another server", configured(func(s *gcp.Settings) { s.Metadata.Impostor = true }),
			[]string{"not Google's"}},

		{"no fields", tokens(fake.NoFields), []string{"no token"}},
		{"empty token", tokens(fake.EmptyToken), []string{"no token"}},
		{"no expiry", tokens(fake.NoExpiry), []string{"without an expiry"}},
		{"expires now", tokens(fake.ExpiresNow), []string{"expir"}},
		{"expired", tokens(fake.ExpiredLong), []string{"expir"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			test.prepare(n)
			q := question{Image: registry + "/p/r/app"}
			says := slices.Concat(test.says, []string{registry + ": ", "metadata", metadataAPI})

			first := n.ask(q)
			first.WantFailure(1, says...)
			first.WantWithin(cloudtest.Soon)
			if asked := n.Cloud.Calls.Count("metadata", "GetToken"); asked < 1 || asked > 8 {
				t.Errorf("the token was asked for %d times", asked)
			}
			n.WantRecorded(cloudtest.Question(q), says...)
		})
	}
}

func tokens(shape fake.TokenShape) func(*node) {
	return configured(func(s *gcp.Settings) { s.Metadata.Token.Shape = shape })
}

// A machine elsewhere has no metadata server. What to configure there is said
// soon: nothing is waited for.
func TestWithoutAMetadataServerTheOperatorIsToldWhatToConfigure(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	a := n.ask(question{Image: registry + "/p/r/app"})
	a.WantFailure(1, metadataAPI, "GOOGLE_APPLICATION_CREDENTIALS")
	a.WantWithin(cloudtest.Soon)
	n.WantCalls()
}

// What there is nothing to hope for is asked for once.
func TestARefusalIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*node){
		"no service account": configured(func(s *gcp.Settings) { s.Metadata.ServiceAccount = "" }),
		"turned off":         configured(func(s *gcp.Settings) { s.Metadata.Disabled = true }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			prepare(n)
			begin := time.Now()
			for range 5 {
				n.ask(question{Image: registry + "/p/r/app"}).WantFailure(1)
			}
			// A refusal is believed for five seconds. All three are asked at the
			// same time.
			attempts := 1 + int(time.Since(begin)/(4*time.Second))
			n.WantAtMost(attempts, "metadata", "GetToken")
			n.WantAtMost(3*attempts, "metadata", "")
		})
	}
}

// What may pass by itself is tried again before it is a failure.
func TestAHiccupOfTheMetadataServerPasses(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cloud.Fault{
		"truncated": cloud.Truncated,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.Cloud.Faults.First(1, "metadata", "GetToken", fault)
			a := n.ask(question{Image: registry + "/p/r/app"})
			a.wantCredential(registry, gcp.Account(nodeAccount))
			a.WantWithin(cloudtest.Soon)
			if asked := n.Cloud.Calls.Count("metadata", "GetToken"); asked != 2 {
				t.Errorf("asked %d times, want 2", asked)
			}
		})
	}
}

// GKE's metadata server takes seconds on a node that has just started.
func TestASlowMetadataServerIsWaitedFor(t *testing.T) {
	t.Parallel()
	t.Run("listens a second late", func(t *testing.T) {
		t.Parallel()
		n := bootOutside(t)
		if err := n.Cloud.AddAddress(metadataAddress); err != nil { // refuses connections
			t.Fatal(err)
		}
		n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = nodeAccount })
		placed := make(chan error, 1)
		go func() {
			time.Sleep(time.Second)
			placed <- n.gcp.PlaceMetadata(n.Cloud)
		}()
		n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
		if err := <-placed; err != nil {
			t.Fatal(err)
		}
	})
}

// That the scopes cannot be found out is no reason to refuse a token.
func TestATokenOfUnknownScopesIsUsed(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.Cloud.Faults.Always("metadata", "GetScopes", cloud.Refusal{Status: http.StatusNotFound})
	n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
}

// Nor is a metadata server that does not mark its answers as Google's.
func TestAnUnmarkedTokenIsUsed(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	configured(func(s *gcp.Settings) { s.Metadata.Unmarked = true })(n)
	n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
}

func TestEveryScopeThatReadsRegistriesIsEnough(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{
		gcp.CloudPlatform, "https://www.googleapis.com/auth/cloud-platform.read-only", gcp.StorageReadOnly,
		"https://www.googleapis.com/auth/devstorage.full_control",
	} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Scopes = []string{gcp.LoggingWrite, scope} })
			n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
		})
	}
}

// The library of all Google's programs reads where metadata is from this
// variable.
func TestTheMetadataServerOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]string{
		"address and port": "169.254.169.254:80",
		"name":             "metadata.google.internal",
		"absolute name":    "metadata.google.internal.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.ask(question{Image: registry + "/p/r/app", Env: []string{"GCE_METADATA_HOST=" + host}}).wantCredential(registry, gcp.Account(nodeAccount))
			if asked := n.Cloud.Calls.Of("metadata", "GetToken"); len(asked) != 1 || n.Cloud.Calls.Count("dns", "") != 0 {
				t.Errorf("asked\n%s", n.Cloud.Calls)
			}
		})
	}
	t.Run("with a scheme", func(t *testing.T) {
		t.Parallel()
		n := bootNode(t)
		n.ask(question{Image: registry + "/p/r/app", Env: []string{"GCE_METADATA_HOST=http://169.254.169.254"}}).
			WantFailure(1, "GCE_METADATA_HOST", "scheme")
		n.WantCalls()
	})
}
