package dockerconfig

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/dockerconfig"
)

func TestTheSampleMatchesWhatItSays(t *testing.T) {
	sample := plugintest.ParseSample(t, Plugin(), nodeConfig)
	for host, want := range map[string]bool{
		"registry.example.com": true, "a.registry.example.com": true, "docker.io": true,
		"registry.example.com:5000": false, "a.b.registry.example.com": false, "index.docker.io": false, "quay.io": false,
	} {
		if got := sample.Matches(t, host); got != want {
			t.Errorf("%s: got %t", host, got)
		}
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	plugintest.ReadPage(t, "dockerconfig.md").WantShown(t, Plugin(), nodeConfig)
}

func TestTheDocumentedConfigurationFile(t *testing.T) {
	page := plugintest.ReadPage(t, "dockerconfig.md")
	first, second := write(t, `{"credHelpers": {"reg.example.com": "none"}}`), write(t, auths("two.example.com"))
	// The files that it names are not on this machine.
	page.Text = strings.NewReplacer("- /etc/kubernetes/docker/config.json\n", "- "+first+"\n", "- /etc/kubernetes/docker/team.json\n", "- "+second+"\n").Replace(page.Text)
	s := page.LoadConfig(t, Plugin()).(*Settings)
	if s.DefaultFiles || !slices.Equal(s.Files, []string{first, second}) || s.HelperPath != "/opt/helpers:/usr/local/bin" ||
		time.Duration(s.HelperTimeout) != 10*time.Second || time.Duration(s.MaxKubeletCache) != 30*time.Second {
		t.Errorf("got %+v", s)
	}
}

// The page's figures, places, variables and messages are the plugin's.
func TestTheDocumentationNamesEverything(t *testing.T) {
	words := []string{
		"`" + stageFile + "`", "`" + stageHelper + "`", "`" + dockerconfig.InsideHelper + "`", "`" + tokenUser + "`", "`" + hubServer + "`",
		"kept for 30 seconds", "for 10 seconds", "| `20s` |", "40s at most", "`" + defaultRootDir + "`",
		"`/var/lib/kubelet/config.json`", "`$HOME/.docker/config.json`", "`/.docker/config.json`", "`/var/lib/kubelet/.dockercfg`", "`$HOME/.dockercfg`", "`/.dockercfg`",
		"`$DOCKER_CONFIG/config.json`", "`$XDG_RUNTIME_DIR/containers/auth.json`", "`/run/containers/UID/auth.json`", "`$XDG_CONFIG_HOME/containers/auth.json`",
		"`$HOME/.config/containers/auth.json`", "`/etc/containers/auth.json`",
	}
	if helperLife != 30*time.Second || unknownLife != 10*time.Second || defaultHelperTimeout != 20*time.Second || maxHelperTimeout != 40*time.Second {
		t.Error("a figure has changed")
	}
	c := candidate{file: "FILE", key: "KEY", helper: "test", server: "HOST"}
	for want, failure := range map[string]error{
		"has a token in place of a password": c.identityToken("PATH"), "it is in none of": c.absent(nil), "would run this plugin in a circle": c.circle("it would run this plugin in a circle"),
		"has no user name and password": c.useless(nil), "a login with control characters, or not in UTF-8": c.useless(errNoText), "has failed: ": c.failed("PATH", c.useless(nil)),
	} {
		if !strings.Contains(failure.Error(), want) {
			t.Errorf("%q does not say %q", failure, want)
		}
		words = append(words, want)
	}
	plugintest.ReadPage(t, "dockerconfig.md").WantTold(t, words...)
}
