package oracle

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/common/auth"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// placed is a fake at its production names, and a client that trusts it. It skips
// where there is no namespace.
func placed(t *testing.T) (*Fake, *fake.Node, *http.Client) {
	t.Helper()
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "OCI_METADATA_BASE_URL"} {
		t.Setenv(name, "")
	}
	c, err := cloud.New()
	if err != nil {
		t.Skip(err)
	}
	f, node, err := Boot(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, violation := range c.Calls.Violations() {
			t.Errorf("violation: %s", violation)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, node, &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: c.Authority.Pool()},
	}}
}

// login asks a registry for a token with a key of Oracle's SDK.
func login(t *testing.T, client *http.Client, provider common.KeyProvider) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+bootRegistries[0]+TokenPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if err := common.DefaultRequestSigner(provider).Sign(request); err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, status %d", err, response.StatusCode)
	}
	return answer.Token
}

// Oracle's own SDK is another reading of the same documents.
func TestTheSDKsInstancePrincipalIsAnswered(t *testing.T) {
	f, _, client := placed(t)
	provider, err := auth.InstancePrincipalConfigurationProviderWithCustomClient(func(common.HTTPRequestDispatcher) (common.HTTPRequestDispatcher, error) {
		return client, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if owner, err := f.Pull(bootRegistries[0], TokenUser, login(t, client, provider)); err != nil || owner != f.Instance() {
		t.Errorf("the token of %q, %v", owner, err)
	}
}

func TestTheSDKsWorkloadIdentityIsAnswered(t *testing.T) {
	f, node, client := placed(t)
	identity := node.Workload(fake.Shop)
	question, err := node.PodQuestion(node.Image(0), fake.Shop, identity)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile("/run/cloud/cluster-ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
	t.Setenv("OCI_RESOURCE_PRINCIPAL_REGION", "us-ashburn-1")
	t.Setenv("KUBERNETES_SERVICE_HOST", ClusterHost)
	t.Setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH", file)
	provider, err := auth.OkeWorkloadIdentityConfigurationProviderWithServiceAccountTokenProvider(auth.NewSuppliedServiceAccountTokenProvider(question.Token))
	if err != nil {
		t.Fatal(err)
	}
	if owner, err := f.Pull(bootRegistries[0], TokenUser, login(t, client, provider)); err != nil || owner != identity.Owner {
		t.Errorf("the token of %q, %v; want %q", owner, err, identity.Owner)
	}
}
