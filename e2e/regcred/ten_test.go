//go:build linux

package regcred_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
)

// failing is a pull that fails, and what the tool says of it: each verb names
// the cause as far as it can know it, and doctor names all.
type failing struct {
	name string

	// make makes it so, before the kubelet starts, and spoil after that.
	make, spoil func(*machine)
	env         []string // of the kubelet

	// noRegistry means that make places the registry, or does not.
	noRegistry bool

	// args are more arguments of get and explain, in the place of none.
	args []string

	get     []string // nil: get finds nothing wrong
	explain []string // nil: explain, which asks nobody, says who would be asked
	doctor  string   // the finding
	says    []string // of doctor
}

func failures() []failing {
	const registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	past := time.Now().Add(-time.Hour)
	expired := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"payload":"x","expiration":%d}`, past.Unix()))
	return []failing{
		{
			name: "the registry's name does not resolve", noRegistry: true,
			get:    []string{registry + " has no address in DNS"},
			doctor: "registry-unresolvable", says: []string{registry + " has no address in DNS"},
		},
		{
			name: "the registry is down", noRegistry: true,
			make:   func(m *machine) { m.addHost(registryAddress, m.Registry(0)) },
			get:    []string{"nothing listens at " + registry},
			doctor: "registry-unreachable", says: []string{"nothing listens at " + registry},
		},
		{
			name:   "something else answers for the metadata service",
			make:   func(m *machine) { m.Cloud.Faults.Always("imds", "", cloud.Redirect{To: "http://portal.example.com/"}) },
			get:    []string{"169.254.169.254", "redirects elsewhere"},
			doctor: "identity-missing", says: []string{"169.254.169.254", "redirects elsewhere"},
		},
		{
			name:   "the proxy is not there",
			env:    []string{"HTTPS_PROXY=http://127.0.0.1:3128", "NO_PROXY=169.254.169.254,127.0.0.1"},
			get:    []string{"the proxy cannot be reached", "HTTPS_PROXY"},
			doctor: "proxy-unreachable", says: []string{"127.0.0.1:3128", "HTTPS_PROXY"},
		},
		{
			name:   "no identity is attached",
			make:   func(m *machine) { m.Lose() },
			get:    []string{"attach an instance profile"},
			doctor: "identity-missing", says: []string{"attach an instance profile"},
		},
		{
			name: "the role lacks the permission",
			make: func(m *machine) {
				m.Cloud.Faults.Always("ecr", "GetAuthorizationToken", m.Denied)
			},
			get:    []string{"ecr:GetAuthorizationToken", "AccessDenied"},
			doctor: "credential-refused", says: []string{"ecr:GetAuthorizationToken", "AccessDenied"},
		},
		{
			name:    "the pattern does not match",
			make:    func(m *machine) { m.provider()["matchImages"] = []string{"*.amazonaws.com"} },
			get:     []string{"ecr-credential-provider: not for it", "*.amazonaws.com"},
			explain: []string{"ecr-credential-provider is not asked", "*.amazonaws.com"},
			doctor:  "image-unmatched", says: []string{"*.amazonaws.com", "providers[0].matchImages[0]"},
		},
		{
			name:    "the program cannot be executed",
			spoil:   func(m *machine) { m.chmod("bin/"+m.Plugin, 0o644) },
			get:     []string{"permission denied"},
			explain: []string{"permission denied"},
			doctor:  "binary-not-executable", says: []string{"chmod 0755"},
		},
		{
			name: "the kubelet runs with an older configuration",
			// Somebody has corrected the pattern, and not restarted the kubelet.
			make: func(m *machine) { m.provider()["matchImages"] = []string{"*.amazonaws.com"} },
			spoil: func(m *machine) {
				m.write("providers.json", strings.Replace(m.read("providers.json"), "*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com", 1))
			},
			doctor: "configuration-old", says: []string{"systemctl restart kubelet"},
		},
		{
			name:   "the clock is wrong",
			make:   func(m *machine) { m.Clock(2 * time.Hour) },
			doctor: "clock-wrong", says: []string{"2h0m", "behind"},
		},
		{
			name: "a saved login has expired",
			make: func(m *machine) {
				m.write("kubelet/config.json", `{"auths":{"`+m.Registry(0)+`":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("AWS:"+expired))+`"}}}`)
				m.provider()["matchImages"] = []string{"registry.example.com"}
			},
			get:     []string{"kubelet/config.json", "does not take"},
			explain: []string{"kubelet/config.json"},
			doctor:  "login-expired", says: []string{"AWS for " + registry, "kubelet/config.json"},
		},
		{
			name: "nodes may not request tokens for the audience",
			make: func(m *machine) {
				m.provider()["tokenAttributes"] = map[string]any{"serviceAccountTokenAudience": "sts.amazonaws.com", "cacheType": "ServiceAccount", "requireServiceAccount": true}
				m.denied["sts.amazonaws.com"] = true
			},
			args:    []string{"--service-account=shop/web"},
			explain: []string{"not authorized to request tokens for this audience"},
			get:     []string{"not authorized to request tokens for this audience", "request-serviceaccounts-token-audience"},
			doctor:  "audience-forbidden", says: []string{"sts.amazonaws.com", "request-serviceaccounts-token-audience"},
		},
	}
}

func TestEachCauseIsNamed(t *testing.T) {
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, clouds.All()[0])
			if !f.noRegistry {
				m.serveRegistry()
			}
			if f.make != nil {
				f.make(m)
			}
			m.start(f.env...)
			if f.spoil != nil {
				f.spoil(m)
			}
			named := func(verb string, exit int, text string, words []string) {
				t.Helper()
				m.noSecret(text)
				for _, word := range words {
					if !strings.Contains(text, word) {
						t.Errorf("%s does not say %q, exit code %d:\n%s", verb, word, exit, text)
					}
				}
			}
			exit, stdout, stderr := m.run(append([]string{"get", "--pull", "--fresh", m.kubeletFlag(), m.Image(0)}, f.args...)...)
			named("get", exit, stdout+stderr, f.get)
			if (exit != 0) != (f.get != nil) {
				t.Errorf("get: exit code %d:\n%s%s", exit, stdout, stderr)
			}
			exit, stdout, stderr = m.run(append([]string{"explain", m.kubeletFlag(), m.Image(0)}, f.args...)...)
			if f.explain == nil {
				f.explain = []string{"ECR for registry 123456789012 in us-east-1 as the node's identity"}
			}
			named("explain", exit, stdout+stderr, f.explain)
			exit, report := m.doctor("--image=" + m.Image(0))
			if exit == 0 || report.text(f.doctor) == "" {
				t.Errorf("doctor: exit code %d, found %q", exit, report.troubles())
			}
			named("doctor", exit, report.text(f.doctor), f.says)
		})
	}
}
