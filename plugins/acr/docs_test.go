package acr

import (
	_ "embed"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
)

var (
	//go:embed pods.yaml
	podsConfig string

	//go:embed bindings.yaml
	bindingsConfig string
)

func TestTheSampleConfigurationsCoverTheGrammar(t *testing.T) {
	for _, config := range []string{nodeConfig, podsConfig, bindingsConfig} {
		sample := plugintest.ParseSample(t, Plugin(), config)
		for _, tc := range hosts {
			want := tc.cloud == publicCloud && strings.HasSuffix(tc.host, ".azurecr.io")
			// That they are no login servers the patterns can not say.
			if got := sample.Matches(t, tc.host); got != want && !strings.HasSuffix(tc.host, ".geo.azurecr.io") && len(tc.host) < 64 {
				t.Errorf("%s: matched %t, want %t", tc.host, got, want)
			}
		}
		for _, host := range []string{"a.azurecr.io", "a.eastus.geo.azurecr.io"} {
			if !sample.Matches(t, host) {
				t.Errorf("%s is not matched", host)
			}
		}
	}
}

func TestTheSamplesForPodsAreComplete(t *testing.T) {
	for audience, config := range map[string]string{clouds[0].federation: podsConfig, bindingAudience: bindingsConfig} {
		sample := plugintest.ParseSample(t, Plugin(), config)
		attributes := sample.TokenAttributes
		if attributes.ServiceAccountTokenAudience != audience {
			t.Errorf("audience %s, want %s", attributes.ServiceAccountTokenAudience, audience)
		}
		if want := []string{clientAnnotation, tenantAnnotation}; !slices.Equal(attributes.OptionalServiceAccountAnnotationKeys, want) {
			t.Errorf("annotations %q", attributes.OptionalServiceAccountAnnotationKeys)
		}
		azure := write(t, "azure.json", `{"useManagedIdentityExtension":true}`)
		args := slices.Clone(sample.Args)
		if i := slices.Index(args, "/etc/kubernetes/azure.json"); i >= 0 {
			args[i] = azure
		}
		s := load(t, nil, args...)
		if s.bound() != (audience == bindingAudience) {
			t.Errorf("got %+v", s.IdentityBindings)
		}
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	plugintest.ReadPage(t, "acr.md").WantShown(t, nodeConfig, podsConfig, bindingsConfig)
	if !strings.HasSuffix(Plugin().Guide, nodeConfig) {
		t.Error("--help does not show the sample")
	}
}

func TestTheDocumentedConfigurationFile(t *testing.T) {
	s := plugintest.ReadPage(t, "acr.md").LoadConfig(t, Plugin()).(*Settings)
	for name, want := range map[string]string{
		"a.azurecr.io":        "a.azurecr.io by imds client_id " + s.ClientID + ", tenant " + s.TenantID,
		"mcr.microsoft.com":   "mirror.azurecr.io by imds client_id " + s.ClientID + ", tenant " + s.TenantID,
		"partner.azurecr.io":  "partner.azurecr.io by 22222222-3333-4444-5555-666666666666 of 77777777-8888-9999-0000-111111111111 at login.microsoftonline.com: federated-managed-identity imds client_id " + s.ClientID + " api://AzureADTokenExchange, tenant 77777777-8888-9999-0000-111111111111",
		"shanghai.azurecr.cn": "shanghai.azurecr.cn by 33333333-4444-5555-6666-777777777777 of 88888888-9999-0000-1111-222222222222 at login.chinacloudapi.cn: client-certificate /etc/kubernetes/shanghai.pem, tenant 88888888-9999-0000-1111-222222222222",
		"legacy.azurecr.io":   "legacy.azurecr.io with the password of legacy in /etc/kubernetes/legacy.password",
	} {
		if got, err := ask(t, s, name+"/app", nil, nil); err != nil || describe(got) != want {
			t.Errorf("%s: got %s, %v; want %s", name, describe(got), err, want)
		}
	}
}

func TestTheDocumentationNamesEverything(t *testing.T) {
	words := []string{clientAnnotation, "acr-tenant-id", environmentVariable, managed, arc, clientSecret, clientCertificate, workload, federatedManaged}
	for _, c := range clouds {
		words = append(append(words, c.name, c.registries), c.others...)
	}
	for _, stage := range []string{stageFile, stageMetadata, stageArc, stageEntra, stageBinding, stageExchange, stageToken} {
		words = append(words, "`"+stage+"`")
	}
	page := plugintest.ReadPage(t, "acr.md")
	page.Text = strings.Join(strings.Fields(page.Text), " ")
	page.WantTold(t, words...)
}
