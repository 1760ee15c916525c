package acr

import (
	_ "embed"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/plugin"
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
			// That they are no login servers the patterns cannot say.
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
	for audience, config := range map[string]string{clouds[0].assertionAudience: podsConfig, bindingAudience: bindingsConfig} {
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
		if got := compiled(load(t, nil, args...)).bindings; (got != nil) != (audience == bindingAudience) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	plugintest.ReadPage(t, "acr.md").WantShown(t, Plugin(), nodeConfig, podsConfig, bindingsConfig)
}

func TestTheDocumentedConfigurationFile(t *testing.T) {
	s := plugintest.ReadPage(t, "acr.md").LoadConfig(t, Plugin()).(*Settings)
	p, err := s.Provider(plugin.Run{Getenv: plugintest.Getenv()})
	if err != nil {
		t.Fatal(err)
	}
	const (
		partner  = "77777777-8888-9999-0000-111111111111"
		shanghai = "88888888-9999-0000-1111-222222222222"
	)
	ours := imds("managed identity " + s.ClientID)
	for name, want := range map[string]string{
		"a.azurecr.io":        exchanged("a.azurecr.io", s.TenantID, ours),
		"mcr.microsoft.com":   exchanged("mirror.azurecr.io", s.TenantID, ours),
		"partner.azurecr.io":  exchanged("partner.azurecr.io", partner, entra(login, app("22222222-3333-4444-5555-666666666666", partner, "by managed identity "+s.ClientID))),
		"shanghai.azurecr.cn": exchanged("shanghai.azurecr.cn", shanghai, entra("login.chinacloudapi.cn", app("33333333-4444-5555-6666-777777777777", shanghai, "with the certificate in /etc/kubernetes/shanghai.pem"))),
		"legacy.azurecr.io":   "/etc/kubernetes/legacy.password for the password of user legacy at legacy.azurecr.io",
	} {
		if got, err := ask(t, &plugin.Cloud{Provider: p, Common: s.Shared()}, name+"/app", nil, nil); err != nil || describe(got) != want {
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
	plugintest.ReadPage(t, "acr.md").WantTold(t, words...)
}
