package icr

import (
	_ "embed"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/image"
	"regcred/shared/plugin"
)

//go:embed pods.yaml
var podsConfig string

func TestTheSampleConfigurationsCoverTheGrammar(t *testing.T) {
	for _, config := range []string{nodeConfig, podsConfig} {
		sample := plugintest.ParseSample(t, Plugin(), config)
		for _, tc := range hosts {
			r, err := image.ParseRegistry(tc.host)
			if err != nil || !isRegistry(r) || r.Port() != "" || strings.ToLower(tc.host) != tc.host {
				continue
			}
			if !sample.Matches(t, tc.host) {
				t.Errorf("%s is not matched", tc.host)
			}
		}
		for _, host := range []string{"evilicr.io", "us.icr.io.evil.example", "a.private.us.icr.io", "us.icr.io:5000", "bluemix.net", "docker.io"} {
			if sample.Matches(t, host) {
				t.Errorf("%s is matched", host)
			}
		}
	}
}

func TestTheSampleForPodsIsComplete(t *testing.T) {
	attributes := plugintest.ParseSample(t, Plugin(), podsConfig).TokenAttributes
	if attributes.ServiceAccountTokenAudience != podAudience || !slices.Equal(attributes.OptionalServiceAccountAnnotationKeys, []string{profileAnnotation}) {
		t.Errorf("got %+v", attributes)
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	plugintest.ReadPage(t, "icr.md").WantShown(t, Plugin(), nodeConfig, podsConfig)
}

func TestTheDocumentedConfigurationFile(t *testing.T) {
	s := plugintest.ReadPage(t, "icr.md").LoadConfig(t, Plugin()).(*Settings)
	p, err := s.Provider(plugin.Run{Getenv: plugintest.Getenv()})
	if err != nil {
		t.Fatal(err)
	}
	c := &plugin.Cloud{Provider: p, Common: s.Shared()}
	const asNode = "IAM at private.iam.cloud.ibm.com for a token as trusted profile Profile-11111111-2222-3333-4444-555555555555, by way of IAM at private.iam.cloud.ibm.com for a token as the owner of the API key in /etc/kubernetes/icr.apikey"
	for host, want := range map[string]string{
		"us.icr.io":          asNode,
		"private.fr2.icr.io": asNode,
		"fr2.icr.io":         "/etc/kubernetes/fr2.apikey for the password of user iamapikey at fr2.icr.io",
		"private.de.icr.io":  "/etc/kubernetes/partner.apikey for the password of user Profile-33333333-4444-5555-6666-777777777777 at private.de.icr.io",
		"cp.icr.io":          "/etc/kubernetes/icr.entitlement for the password of user cp at cp.icr.io",
	} {
		if got, err := ask(t, c, host+"/app", nil, nil); err != nil || describe(got) != want {
			t.Errorf("%s: got %s, %v; want %s", host, describe(got), err, want)
		}
	}
	if got, err := ask(t, c, "us.icr.io/app", testPod(t), nil); err != nil || !strings.HasSuffix(describe(got), "service account prod/sa as trusted profile Profile-22222222-3333-4444-5555-666666666666") {
		t.Errorf("a pod: got %s, %v", describe(got), err)
	}
}

func TestTheDocumentationNamesEverything(t *testing.T) {
	words := []string{
		profileAnnotation, "`" + vpc + "`", "`" + powerVS + "`", "`" + apiKey + "`", publicHost, vpcAddress, vpcName, tokenUser, keyUser, "`" + podAudience + "`",
		codeNotEligible, codeInvalidToken, codeNoSuchKey, codeExternal, "profile_not_linked",
	}
	for _, stage := range []string{stageFile, stageIdentity, stageMachine, stageKey, stagePod, stageAssume} {
		words = append(words, "`"+stage+"`")
	}
	for _, host := range legacyHosts {
		words = append(words, "`"+host+"`")
	}
	plugintest.ReadPage(t, "icr.md").WantTold(t, words...)
}
