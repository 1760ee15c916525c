package gcr_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

// Kubelet configurations that were written for the plugin of
// kubernetes/cloud-provider-gcp, on GKE and OpenShift, keep working.
func TestTheVendorsCommandLineIsAccepted(t *testing.T) {
	for _, args := range [][]string{
		{"get-credentials"},
		{"get-credentials", "--v=3"},
		{"get-credentials", "--authFlow=gcr"},
		{"get-credentials", "-a", "gcr", "--v=3", "--logtostderr"},
		{"--v=4", "get-credentials", "--logtostderr=true", "--stderrthreshold=2", "--vmodule=a=1"},
		append([]string{"get-credentials", "--v=3"}, gkeArgs...),
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			n := bootNode(t)
			a := n.ask(question{Image: registry + "/p/r/app", Args: args})
			a.Stderr = "" // the log that was asked for
			a.wantCredential(registry, gcp.Account(nodeAccount))
			n.wantCalls(askMetadata)
		})
	}
}

// There, the variable is how long the kubelet keeps an answer, whether its
// token lives that long or not. Here, it is the longest.
func TestTheVendorsVariableCapsHowLongTheKubeletKeepsAnAnswer(t *testing.T) {
	for _, test := range []struct {
		duration    string
		life        time.Duration
		least, most time.Duration
	}{
		{"5m", time.Hour, 5 * time.Minute, 5 * time.Minute},
		{"0s", time.Hour, 0, 0},
		{"24h", time.Hour, 20 * time.Minute, time.Hour},
		{"24h", 4 * time.Minute, time.Minute, 3 * time.Minute},
	} {
		t.Run(test.duration+" of "+test.life.String(), func(t *testing.T) {
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.Metadata.RenewBefore = test.life, time.Second })
			token := n.ask(question{Image: registry + "/p/r/app", Env: []string{"KUBE_SIDECAR_CACHE_DURATION=" + test.duration}}).
				wantCredential(registry, gcp.Account(nodeAccount))
			if token.keep < test.least || token.keep > test.most {
				t.Errorf("the kubelet keeps it for %s, want %s to %s", token.keep, test.least, test.most)
			}
		})
	}
}

// An answer names one registry, so the kubelet can use it for that one alone
// even where it was told to use it for all.
func TestTheVendorsVariableSaysWhatTheKubeletKeepsAnAnswerFor(t *testing.T) {
	for value, want := range map[string]credentialprovider.PluginCacheKeyType{
		"image":    credentialprovider.ImagePluginCacheKeyType,
		"registry": credentialprovider.RegistryPluginCacheKeyType,
		"global":   credentialprovider.RegistryPluginCacheKeyType,
	} {
		t.Run(value, func(t *testing.T) {
			n := bootNode(t)
			response, _ := n.ask(question{Image: registry + "/p/r/app", Env: []string{"KUBE_SIDECAR_CACHE_TYPE=" + value}}).Response()
			if response.CacheKeyType != want || len(response.Auth) != 1 {
				t.Errorf("cacheKeyType %q for %d registries, want %q for 1", response.CacheKeyType, len(response.Auth), want)
			}
		})
	}
}

// What the operator got wrong is found before anything is asked.
func TestAMistakeOfTheOperatorIsExitCode2(t *testing.T) {
	for _, test := range []struct {
		name string
		question
		says string
	}{
		{"unknown flag", question{Args: []string{"--auth-flo=x"}}, "unknown flag"},
		{"unknown flow", question{Args: []string{"--authFlow=gcloud"}}, "authFlow"},
		{"cache type of the kubelet's spelling", question{Env: []string{"KUBE_SIDECAR_CACHE_TYPE=Image"}}, "cacheType"},
		{"duration that is none", question{Env: []string{"KUBE_SIDECAR_CACHE_DURATION=ten"}}, "KUBE_SIDECAR_CACHE_DURATION"},
		{"duration below zero", question{Env: []string{"KUBE_SIDECAR_CACHE_DURATION=-10s"}}, "maxKubeletCache"},
		{"not ours", question{Args: []string{"--config", cloudtest.File(t, "apiVersion: regcred/v1\nkind: ECRCredentialProviderConfig\n")}}, "GCRCredentialProviderConfig"},
		{"unknown field", question{Args: []string{"--config", configFile(t, "projectId: x\n")}}, "projectId"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			test.Image = registry + "/p/r/app"
			n.ask(test.question).wantFailure(2, test.says)
			n.wantCalls()
		})
	}
}

// A request is answered in its own version.
func TestEveryVersionOfTheProtocolIsAnsweredInKind(t *testing.T) {
	for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
		t.Run(version, func(t *testing.T) {
			n := bootNode(t)
			q := question{APIVersion: "credentialprovider.kubelet.k8s.io/" + version, Image: registry + "/p/r/app"}
			n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
			q.Image = "registry.k8s.io/pause"
			n.ask(q).wantNothing()
		})
	}
}

func TestHelpShowsAConfigurationOfTheKubelet(t *testing.T) {
	n := bootNode(t)
	a := n.write(question{Args: []string{"--help"}}, nil)
	if a.Exit != 0 || a.Stderr != "" {
		t.Errorf("exit code %d, %s", a.Exit, a.Stderr)
	}
	for _, want := range []string{
		"kind: CredentialProviderConfig", "- name: gcr-credential-provider", `"docker.*.rep.pkg.dev"`,
		"--authFlow", "--identity-provider", "--project-id", "--workload-identity-provider", "--service-account",
		"--credentials-file", "$GOOGLE_APPLICATION_CREDENTIALS", "$KUBE_SIDECAR_CACHE_DURATION", "$KUBE_SIDECAR_CACHE_TYPE",
	} {
		if !strings.Contains(a.Stdout, want) {
			t.Errorf("help does not show %s", want)
		}
	}
	n.wantCalls()
}

func TestTheVersionNamesThePlugin(t *testing.T) {
	n := bootNode(t)
	var version struct{ Name, Version string }
	a := n.write(question{Args: []string{"--version=json"}}, nil)
	if err := json.Unmarshal([]byte(a.Stdout), &version); err != nil || version.Name != "gcr-credential-provider" || version.Version == "" {
		t.Errorf("%q, %v", a.Stdout, err)
	}
}
