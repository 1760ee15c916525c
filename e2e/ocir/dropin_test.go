package ocir_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/cloud/oracle"
)

// Kubelet configurations that were written for credential-provider-oke keep
// working: its file name, its environment, its file.
func TestTheVendorsConfigurationWorks(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "credential-provider-oke")
	if err := os.Symlink(plugin, link); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]cloudtest.Question{
		"its sample": {Env: []string{
			"REGISTRY_TOKEN_PATH=/20180419/docker/token", "DEFAULT_USER=BEARER_TOKEN", "REGISTRY_PROTOCOL=https",
			"OCIR_AUTH_METHOD=INSTANCE_PRINCIPAL", "VERIFY_TOKEN_AUTH=false",
		}},
		"its file": {Args: []string{"-config", cloudtest.File(t,
			"registryTokenPath: /20180419/docker/token\ndefaultUser: BEARER_TOKEN\nregistryProtocol: https\nocirAuthMethod: INSTANCE_PRINCIPAL\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			q.Image = n.machine.Image(0)
			n.wantPull(cloudtest.Ask(t, n.Cloud, link, q, q.Request()), registry, n.oracle.Instance())
			n.WantCalls(n.machine.Machine.Calls)
		})
	}
	t.Run("validation", func(t *testing.T) {
		n := bootNode(t)
		q := n.machine.Question(n.machine.Image(0))
		q.Env = []string{"TOKEN_VALIDATION=enabled"}
		n.Ask(q).WantImageLogin(registry, oracle.TokenUser)
		n.WantCalls(n.machine.Machine.Calls, cloudtest.Calls{"ocir HeadManifest " + registry})
	})
	t.Run("a user", func(t *testing.T) {
		n := bootNode(t)
		const user = "ocid1.user.oc1..aaaaaaaaexampleuser"
		home := t.TempDir()
		n.oracle.AddKey(n.oracle.Realm.Tenancy()+"/"+user+"/aa:bb", user, &userKey().PublicKey)
		n.oracle.Allow(user)
		if err := os.Mkdir(home+"/.oci", 0o700); err != nil {
			t.Fatal(err)
		}
		text := "[DEFAULT]\nuser=" + user + "\nfingerprint=aa:bb\ntenancy=" + n.oracle.Realm.Tenancy() + "\nregion=us-ashburn-1\nkey_file=~/.oci/key.pem\n"
		for name, content := range map[string]string{"config": text, "key.pem": userPEM()} {
			if err := os.WriteFile(filepath.Join(home, ".oci", name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		q := n.machine.Question(n.machine.Image(0))
		q.Env = []string{"OCIR_AUTH_METHOD=USER_PRINCIPAL", "HOME=" + home}
		n.wantPull(n.Ask(q), registry, user)
		n.WantCalls(askToken(registry))
		// And the instance principal is nobody's but the instance's, whatever there
		// is in a home directory.
		q.Env = []string{"HOME=" + home, "TF_VAR_user_ocid=" + user, "TF_VAR_private_key_path=" + home + "/.oci/key.pem"}
		n.wantPull(n.Ask(q), registry, n.oracle.Instance())
	})
}

// The SDK prints the instance's key where its variables ask for that, makes files
// in the working directory, and ends the process where it cannot.
func TestTheSDKsDebugVariablesHaveNoEffect(t *testing.T) {
	t.Parallel()
	for _, env := range [][]string{
		{"OCI_GO_SDK_DEBUG=debug"},
		{"OCI_GO_SDK_DEBUG=v", "OCI_GO_SDK_LOG_OUTPUT_MODE=combine"},
		{"OCI_GO_SDK_DEBUG=1", "OCI_GO_SDK_LOG_OUTPUT_MODE=file", "OCI_GO_SDK_LOG_FILE=/none/such/file"},
	} {
		n, dir := bootNode(t), t.TempDir()
		q := n.machine.Question(n.machine.Image(0))
		q.Env = env
		command := q.Command(t.Context(), plugin)
		command.Dir = dir
		n.wantPull(n.Start(command).Answer(), registry, n.oracle.Instance())
		if made, err := os.ReadDir(dir); err != nil || len(made) != 0 {
			t.Errorf("%s: made %v, %v", env, made, err)
		}
	}
}

// A user's auth token is for its own host.
func TestALoginIsForItsHost(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	config := cloudtest.ConfigFile(t, "OCIRCredentialProviderConfig", "aliases: {mirror.example.com: fra.ocir.io}\nlogins:\n  fra.ocir.io: {username: namespace/jdoe, passwordFile: "+
		cloudtest.File(t, "the-auth-token\n")+"}\n  ocir.us-gov-ashburn-1.oci.oraclegovcloud.com: {username: gov/jdoe, passwordFile: "+cloudtest.File(t, "another\n")+"}\n")
	if password, _ := n.ask("fra.ocir.io/ns/app", "--config", config).WantLogin("fra.ocir.io", "namespace/jdoe"); password != "the-auth-token" {
		t.Errorf("password %q", password)
	}
	const gov = "ocir.us-gov-ashburn-1.oci.oraclegovcloud.com"
	n.ask(gov+"/ns/app", "--config", config).WantLogin(gov, "gov/jdoe")
	n.WantCalls()
	n.ask("mirror.example.com/app", "--config", config).WantFailure(1, "fra.ocir.io in logins is for that host alone")
	n.wantPull(n.ask(n.machine.Image(0), "--config", config), registry, n.oracle.Instance())
}

// The metadata service throttles with a page.
func TestAThrottledMetadataServiceIsTold(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.Cloud.Faults.Always("imds", "", cloud.Refusal{Status: 429, Code: "Too Many Requests", Message: "slow down"})
	a := n.ask(n.machine.Image(0))
	a.WantFailure(1, "the instance metadata service throttles requests", "imds regionInfo at 169.254.169.254: status 429")
	if strings.Contains(a.Stderr, "<") {
		t.Errorf("the page is in the line: %s", a.Stderr)
	}
	if n.Cloud.Calls.Count("imds", "") > 5 {
		t.Errorf("asked\n%s", n.Cloud.Calls)
	}
}

// Each pod's exchange is its own, and the node only vouches for the asking.
func TestPodsExchangeTheirOwnTokens(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	args := []string{"--pod-identity=exchange", "--identity-domain=https://" + oracle.DomainHost, "--resource-type=" + oracle.ResourceType}
	for _, account := range []string{"shop", "jobs"} {
		q, owner := n.podQuestion(account, args...)
		n.oracle.Allow(owner)
		n.wantPull(n.Ask(q), registry, owner)
	}
	if n.Cloud.Calls.Count("federation", "") != 1 || n.Cloud.Calls.Count("exchange", "") != 2 {
		t.Errorf("asked\n%s", n.Cloud.Calls)
	}
	// Who may not ask is told what is missing. The node's own pulls go on.
	n = bootNode(t)
	n.oracle.Match(false)
	q, _ := n.podQuestion("shop", args...)
	n.Ask(q).WantFailure(1, "service account shop/web", "{GET_RPST}", "status 403 unauthorized_client", n.oracle.Instance())
	if asked := cloudtest.Summaries(n.Cloud, "ocir", ""); slices.ContainsFunc(asked, func(s string) bool { return s != "" }) {
		t.Errorf("a registry was asked for %v", asked)
	}
}

// podQuestion is that of a pod, and who its owner is in the identity domain.
func (n *node) podQuestion(account string, args ...string) (q cloudtest.Question, owner string) {
	n.T.Helper()
	who := map[string]oidc.ServiceAccount{"shop": fake.Shop, "jobs": fake.Jobs}[account]
	q, err := n.machine.PodQuestion(n.machine.Image(0), who, fake.Identity{})
	if err != nil {
		n.T.Fatal(err)
	}
	return cloudtest.With(q, args...), oracle.Federated(who)
}
