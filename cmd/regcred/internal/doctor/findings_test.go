package doctor

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/registry"
	"regcred/shared/version"
)

func TestAHealthyNodeIsWell(t *testing.T) {
	f := newFixture(t)
	report := f.examine()
	for _, r := range report.Results {
		if r.Level != OK {
			t.Errorf("%s", whole(r))
		}
	}
	checks := map[string]bool{}
	for _, r := range report.Results {
		checks[r.Check] = true
	}
	for _, c := range Catalogue()[1:] {
		if !checks[c.Name] {
			t.Errorf("nothing is told of %s", c.Name)
		}
		if _, ok := report.Timings[c.Name]; !ok {
			t.Errorf("no timing of %s", c.Name)
		}
	}
	if report.Level != OK || report.ExitCode() != 0 || report.Kubelet != "process 812" || report.Version != version.Version() || !report.Time.Equal(now) {
		t.Errorf("report %+v", report)
	}
	// The plugin was asked for what the kubelet pulls, as the kubelet asks.
	request, _ := os.ReadFile(f.path("/request"))
	args, _ := os.ReadFile(f.path("/args"))
	if !strings.Contains(string(request), `"image":"`+image+`"`) || string(args) != "--check --role=pull\n" {
		t.Errorf("asked %s with %s", request, args)
	}
}

// finding is one way to come to a finding.
type finding struct {
	finding string
	// make makes it so.
	make func(*fixture)
	// says is what the result has to say, wherever.
	says []string
	// alone means that a second result of the name is a mistake.
	several bool
}

func findings() map[string]finding {
	soon, past := now.Add(time.Hour), now.Add(-time.Hour)
	failed := func(f *fixture, problem string, askedOf ...any) {
		f.exit = 1
		f.check["outcome"] = "failed"
		f.check["asked"] = askedOf
		f.check["failure"] = map[string]any{"problem": problem, "advice": "do it", "evidence": "stage, status"}
	}
	ecrPassword := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"payload":"x","expiration":%d}`, past.Unix()))
	return map[string]finding{
		"no kubelet": {"kubelet-missing", func(f *fixture) { f.flags = nil }, []string{"journalctl", "--config"}, false},
		"no kubelet, known place": {"kubelet-missing", func(f *fixture) {
			f.flags = nil
			f.write("/etc/eks/image-credential-provider/config.json", "{}", 0o644)
		}, []string{"/etc/eks/image-credential-provider/config.json", "EKS"}, false},
		"environment of another's":       {"kubelet-unreadable", func(f *fixture) { f.env = nil }, []string{"environment", "root"}, false},
		"two kubelets":                   {"kubelet-note", func(f *fixture) { f.write("/proc/900/cmdline", "/usr/bin/kubelet\x00", 0o644) }, []string{"812, 900"}, false},
		"no providers":                   {"providers-off", func(f *fixture) { f.flags = f.flags[2:] }, []string{"--image-credential-provider-config"}, false},
		"one flag":                       {"flag-missing", func(f *fixture) { f.flags = f.flags[1:] }, []string{"--image-credential-provider-config"}, false},
		"a field is missing":             {"configuration-invalid", func(f *fixture) { f.edit("  defaultCacheDuration: 10m\n", "") }, []string{"providers[0].defaultCacheDuration", configPath, "write"}, false},
		"an unknown field":               {"configuration-invalid", func(f *fixture) { f.edit("defaultCacheDuration: 10m", "defaultCacheDuration: 10m\n  cache: 1") }, []string{"cache"}, false},
		"a pattern that matches nothing": {"configuration-doubtful", func(f *fixture) { f.edit(`["*.registry.cloud"]`, `["*.registry.cloud", "registry.cloud/*"]`) }, []string{"providers[0].matchImages[1]", "registry.cloud/*"}, false},
		"static pods":                    {"configuration-note", func(f *fixture) { f.edit("requireServiceAccount: false", "requireServiceAccount: true") }, []string{"static pods"}, false},
		"an image for nobody": {"image-unmatched", func(f *fixture) {
			f.options.Images = []string{"a.registry.cloud.example/app:v1", "b.registry.cloud/app"}
		}, []string{"a.registry.cloud.example/app", "providers[0].matchImages[0]", "*.registry.cloud"}, false},
		"no such name":               {"registry-unresolvable", func(f *fixture) { f.registryFails = registry.DNS }, []string{"team.registry.cloud", "is not there"}, false},
		"no such server":             {"registry-unreachable", func(f *fixture) { f.registryFails = registry.Connect }, []string{"team.registry.cloud", "certs.d"}, false},
		"anybody writes it":          {"configuration-writable", func(f *fixture) { f.chmod(configPath, 0o666) }, []string{"chmod go-w " + configPath, "0666"}, false},
		"anybody replaces it":        {"configuration-writable", func(f *fixture) { f.chmod("/etc/kubernetes", 0o777) }, []string{"chmod go-w /etc/kubernetes", "0777"}, false},
		"kept for a day":             {"cache-duration-long", func(f *fixture) { f.edit("10m", "24h") }, []string{"24h0m0s"}, false},
		"two of a pattern":           {"pattern-shared", func(f *fixture) { f.second("second", "") }, []string{"cloud-credential-provider", "second", "*.registry.cloud"}, false},
		"an ancient kubelet":         {"kubelet-too-old", func(f *fixture) { f.version = "v1.25.1" }, []string{"1.26", "v1.25.1"}, false},
		"tokens before they came":    {"token-attributes-off", func(f *fixture) { f.version = "v1.32.0" }, []string{"1.33"}, false},
		"tokens that are off":        {"token-attributes-off", func(f *fixture) { f.version = "v1.33.0" }, []string{"--feature-gates=" + tokenGate}, false},
		"tokens that are turned off": {"token-attributes-off", func(f *fixture) { f.flags = append(f.flags, "--feature-gates="+tokenGate+"=false") }, []string{"featureGates"}, false},
		"cacheType before it came": {"cache-type-unknown", func(f *fixture) {
			f.version = "v1.33.0"
			f.flags = append(f.flags, "--feature-gates="+tokenGate+"=true")
		}, []string{"cacheType"}, false},
		"a directory before they came":  {"directory-unknown", func(f *fixture) { f.version = "v1.33.9"; f.directory() }, []string{"1.34"}, false},
		"no directory of programs":      {"bin-dir-missing", func(f *fixture) { f.remove(binDir) }, []string{"mkdir -p " + binDir}, false},
		"no program":                    {"binary-missing", func(f *fixture) { f.remove(programPath) }, []string{programPath, "install"}, false},
		"no mode":                       {"binary-not-executable", func(f *fixture) { f.chmod(programPath, 0o644) }, []string{"chmod 0755 " + programPath, "0644"}, false},
		"a directory for a program":     {"binary-not-executable", func(f *fixture) { f.remove(programPath); f.write(programPath+"/x", "", 0o644) }, []string{"not a file"}, false},
		"a file system without":         {"binary-not-executable", func(f *fixture) { f.system.NoExec = true }, []string{"noexec"}, false},
		"anybody writes the program":    {"binary-writable", func(f *fixture) { f.chmod(programPath, 0o777) }, []string{"chmod go-w " + programPath}, false},
		"anybody writes above":          {"binary-writable", func(f *fixture) { f.chmod("/opt", 0o777) }, []string{"chmod go-w /opt", "/opt: mode 0777"}, false},
		"a link to what anybody writes": {"binary-writable", func(f *fixture) { f.linked() }, []string{"/data/bin: mode 0777"}, false},
		"another machine's program":     {"binary-broken", func(f *fixture) { f.write(programPath, "\x7fELF", 0o755) }, []string{"exec format error", "uname -m"}, false},
		"somebody else's program":       {"binary-foreign", func(f *fixture) { f.program(programPath, "exit 1") }, []string{programPath}, false},
		"another release": {"binary-other-release", func(f *fixture) {
			f.program(programPath, `echo '{"name":"cloud-credential-provider","version":"v0.1.0","goVersion":"go1","platform":"linux/x"}'`)
		}, []string{"v0.1.0", "regcred: " + version.Version()}, false},
		"settings": {"settings-invalid", func(f *fixture) {
			f.check, f.exit, f.stderr = nil, 2, "cloud-credential-provider: command line: unknown flag: --rolle"
		}, []string{"unknown flag: --rolle", "args"}, false},
		"no metadata service":  {"metadata-unreachable", func(f *fixture) { failed(f, "nothing listens there", asked("169.254.169.254", true, 0, 0)) }, []string{"nothing listens there", "do it", "stage, status", "asked 169.254.169.254: connection refused"}, false},
		"no role":              {"identity-missing", func(f *fixture) { failed(f, "no role is attached", asked("169.254.169.254", true, 404, 0)) }, []string{"no role is attached"}, false},
		"no image and no role": {"identity-missing", func(f *fixture) { f.remove("/var/lib/kubelet/image_manager"); failed(f, "no role is attached") }, []string{"identity", "no role is attached"}, false},
		"no permission": {"credential-refused", func(f *fixture) {
			failed(f, "the cloud refuses", asked("169.254.169.254", true, 200, 0), asked("sts.registry.cloud", false, 403, 0))
		}, []string{image, "status 403"}, false},
		"another's registry": {"image-not-served", func(f *fixture) { f.check["outcome"] = "notMine"; f.program(programPath, notMine(f)) }, []string{image, "matchImages"}, false},
		"a slow cloud":       {"cloud-slow", func(f *fixture) { f.options.Slow = time.Nanosecond }, []string{"asked 169.254.169.254"}, false},
		"a proxy for metadata": {"proxy-metadata", func(f *fixture) {
			f.env = append(f.env, "HTTP_PROXY=http://proxy:3128")
			f.program(programPath, "exit 1")
		}, []string{"NO_PROXY=169.254.169.254", "systemctl edit kubelet", "HTTP_PROXY"}, false},
		"a proxy that spares some": {"proxy-metadata", func(f *fixture) {
			f.env = append(f.env, "http_proxy=proxy:3128", "NO_PROXY=169.254.169.254,.internal")
			f.program(programPath, "exit 1")
		}, []string{"NO_PROXY=169.254.169.254,.internal,fd00:ec2::254,169.254.170.2"}, false},
		"a proxy that nobody minds":  {"proxy-metadata-unused", func(f *fixture) { f.env = append(f.env, "HTTP_PROXY=http://proxy:3128") }, []string{"directly"}, false},
		"a variable without a proxy": {"proxy-invalid", func(f *fixture) { f.env = append(f.env, "HTTPS_PROXY=://") }, []string{"HTTPS_PROXY"}, false},
		"a proxy that is not there": {"proxy-unreachable", func(f *fixture) {
			f.env = append(f.env, "HTTPS_PROXY=http://proxy")
			f.dialErr = errors.New("connection refused")
		}, []string{"proxy:80", "connection refused"}, false},
		"a provider's own proxy": {"proxy-used", func(f *fixture) {
			f.edit("{name: CLOUD_REGION, value: here}", "{name: HTTPS_PROXY, value: 'https://user:hunter2hunter2@proxy'}")
		}, []string{"proxy:443", "cloud-credential-provider"}, false},
		"a clock alone":                 {"clock-unsynchronised", func(f *fixture) { f.synced = false }, []string{"timedatectl"}, false},
		"a clock that is off":           {"clock-off", func(f *fixture) { f.check["asked"] = []any{asked("sts.registry.cloud", false, 200, time.Minute)} }, []string{"1m0s behind", "sts.registry.cloud"}, false},
		"a clock that is wrong":         {"clock-wrong", func(f *fixture) { f.check["asked"] = []any{asked("sts.registry.cloud", false, 403, -time.Hour)} }, []string{"1h0m0s ahead"}, false},
		"the API server's clock":        {"clock-wrong", func(f *fixture) { f.apiClock = time.Hour }, []string{"the API server", "behind"}, false},
		"a cache for all":               {"cache-untrusted", func(f *fixture) { f.chmod("/run/regcred", 0o755) }, []string{"chmod 0700 /run/regcred", "0755"}, false},
		"a file for a cache":            {"cache-untrusted", func(f *fixture) { f.remove("/run/regcred"); f.write("/run/regcred", "", 0o600) }, []string{"rm /run/regcred"}, false},
		"a cache that all can replace":  {"cache-untrusted", func(f *fixture) { f.chmod("/run", 0o777) }, []string{"chmod go-w /run"}, false},
		"a cache on a disk":             {"cache-on-disk", func(f *fixture) { f.system.Memory, f.system.Kind = false, "xfs" }, []string{"xfs", "tmpfs"}, false},
		"a full cache":                  {"cache-full", func(f *fixture) { f.system.Free = 1 << 10 }, []string{"df"}, false},
		"a cache without files":         {"cache-full", func(f *fixture) { f.system.Files = 3 }, []string{"3 files"}, false},
		"a read-only cache":             {"cache-full", func(f *fixture) { f.system.ReadOnly = true }, []string{"read-only"}, false},
		"no cache":                      {"cache-off", func(f *fixture) { f.check["cacheDir"] = "" }, []string{"--cache-dir"}, false},
		"no permission for an audience": {"audience-forbidden", func(f *fixture) { f.denied["registry.cloud"] = true }, []string{"kubectl apply", "resources:\n  - registry.cloud\n", cluster.AudienceVerb, "system:nodes"}, false},
		"nor for one of two": {"audience-forbidden", func(f *fixture) {
			f.second("other", "")
			f.edit("Audience: registry", "Audience: other")
			f.denied["registry.cloud"] = true
		}, []string{"resources:\n  - other.cloud\n  - registry.cloud\n"}, false},
		"with somebody else's kubeconfig": {"audience-forbidden", func(f *fixture) { f.denied["registry.cloud"] = true; f.user = "admin" }, []string{"SubjectAccessReview as system:node:node1 by admin"}, false},
		"for some":                        {"audience-for-some", func(f *fixture) { f.denied["registry.cloud"] = true; f.some = "shop/web" }, []string{"1 of the 2", "allowed: shop/web"}, false},
		"no API server":                   {"api-server-unreachable", func(f *fixture) { f.write("/etc/kubernetes/kubelet.conf", deadCluster, 0o600) }, []string{"127.0.0.1:1"}, false},
		"failed runs": {"plugin-errors", func(f *fixture) {
			f.metrics = `kubelet_credential_provider_plugin_errors_total{plugin_name="cloud-credential-provider"} 3`
		}, []string{"3 runs"}, false},
		"slow runs":            {"plugin-slow", func(f *fixture) { f.metrics = slowMetrics }, []string{"2 of the 9 runs"}, false},
		"an old configuration": {"configuration-old", func(f *fixture) { f.metrics = `kubelet_credential_provider_config_info{hash="sha256:00"} 1` }, []string{"systemctl restart kubelet", "sha256:00"}, false},
		"a login that has ended": {"login-expired", func(f *fixture) {
			f.write("/var/lib/kubelet/config.json", dockerConfig("ghcr.io", "bot", jwtUntil(past)), 0o600)
		}, []string{"bot for ghcr.io", "1h0m0s ago", "/var/lib/kubelet/config.json"}, false},
		"a login of ECR's": {"login-expired", func(f *fixture) {
			f.write("/.docker/config.json", dockerConfig("1.dkr.ecr.us-east-1.amazonaws.com", "AWS", ecrPassword), 0o600)
		}, []string{"AWS for 1.dkr.ecr"}, false},
		"a login that ends": {"login-ends-soon", func(f *fixture) {
			f.write("/root/.docker/config.json", dockerConfig("ghcr.io", "bot", jwtUntil(soon)), 0o600)
		}, []string{"ends in 1h0m0s"}, false},
		"a login of a plugin's own": {"login-expired", func(f *fixture) { f.named("files.0.pathFile", dockerConfig("ghcr.io", "bot", jwtUntil(past)), 0o600) }, []string{"bot for ghcr.io", "/etc/named"}, false},
		"a token in a file": {"login-expired", func(f *fixture) {
			f.edit("{name: CLOUD_REGION, value: here}", "{name: CLOUD_TOKEN_FILE, value: /var/token}")
			f.write("/var/token", jwtUntil(past), 0o600)
		}, []string{"CLOUD_TOKEN_FILE", "/var/token"}, false},
		"the kubelet's certificate": {"certificate-expired", func(f *fixture) { f.kubeletCertificate(past) }, []string{"system:node:node1", "kubectl get csr", "/var/lib/kubelet/pki/current.pem"}, false},
		"a certificate that ends":   {"certificate-ends-soon", func(f *fixture) { f.named("clientCertificateFile", certificateUntil(f.t, soon), 0o600) }, []string{"clientCertificateFile", "/etc/named"}, false},
		"a key for all":             {"secret-file-open", func(f *fixture) { f.named("clientCertificateFile", certificateUntil(f.t, now.AddDate(1, 0, 0)), 0o644) }, []string{"chmod 0600 /etc/named", "0644"}, false},
		"a file that is not there":  {"file-unreadable", func(f *fixture) { f.named("apiKeyFile", "", 0o600); f.remove("/etc/named") }, []string{"/etc/named", "apiKeyFile"}, false},
		"a complaint":               {"journal-errors", func(f *fixture) { f.journal = journalLines }, []string{"2 times", "no role is attached", "2026-11-26T11:59:00"}, true},
		"in-tree clouds":            {"flag-obsolete", func(f *fixture) { f.flags = append(f.flags, "--cloud-provider", "aws") }, []string{"--cloud-provider=aws", "1.31"}, false},
		"two docker configurations": {"docker-config-ends-search", func(f *fixture) {
			f.write("/var/lib/kubelet/config.json", `{"credsStore":"x"}`, 0o600)
			f.write("/root/.docker/config.json", dockerConfig("a.io", "u", "p"), 0o600)
		}, []string{"/root/.docker/config.json", "rm /var/lib/kubelet/config.json"}, false},
		"helpers": {"docker-config-unused", func(f *fixture) { f.write("/var/lib/kubelet/config.json", `{"credHelpers":{"a.io":"x"}}`, 0o600) }, []string{"credHelpers", "dockerconfig-credential-provider"}, false},
		"an identity token": {"docker-config-unused", func(f *fixture) {
			f.write("/var/lib/kubelet/config.json", `{"auths":{"a.io":{"identitytoken":"hunter2hunter2"}}}`, 0o600)
		}, []string{"a.io", "identity token"}, false},
		"a login before a provider": {"docker-config-first", func(f *fixture) {
			f.write("/var/lib/kubelet/config.json", dockerConfig("https://team.registry.cloud/v1/", "u", "p"), 0o600)
		}, []string{"team.registry.cloud", "cloud-credential-provider"}, false},
		"a broken docker configuration": {"docker-config-broken", func(f *fixture) { f.write("/var/lib/kubelet/config.json", `{"auths":`, 0o600) }, []string{"/var/lib/kubelet/config.json"}, false},
	}
}

const (
	deadCluster = `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"users":[{"name":"u","user":{}}]}`

	slowMetrics = `kubelet_credential_provider_plugin_duration_bucket{plugin_name="x",le="10"} 7
kubelet_credential_provider_plugin_duration_bucket{plugin_name="x",le="+Inf"} 9
kubelet_credential_provider_plugin_duration_count{plugin_name="x"} 9
`
	journalLines = `2026-11-26T11:58:00+0000 node1 kubelet[812]: E1126 11:58:00.1 812 plugin.go:1] "Failed to provide credentials for image" err="error execing credential provider plugin cloud-credential-provider for image team.registry.cloud/app: exit status 1: cloud-credential-provider: team.registry.cloud: no role is attached [imds, request id 1-2]"
2026-11-26T11:59:00+0000 node1 kubelet[812]: E1126 11:59:00.1 812 plugin.go:1] "Failed to provide credentials for image" err="error execing credential provider plugin cloud-credential-provider for image team.registry.cloud/app: exit status 1: cloud-credential-provider: team.registry.cloud: no role is attached [imds, request id 3-4]"
2026-11-26T11:57:00+0000 node1 kubelet[812]: E1126 11:57:00.1 812 server.go:1] "Failed to register CRI auth plugins" err="x"
2026-11-26T11:59:30+0000 node1 sshd[1]: credential provider plugin of somebody else
`
)

// second adds a provider with the same pattern, and with fields of its own.
func (f *fixture) second(name, fields string) {
	f.program(binDir+"/"+name, "")
	f.edit("providers:\n", "providers:\n- {name: "+name+", apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ['*.registry.cloud'], defaultCacheDuration: 0s, tokenAttributes: {serviceAccountTokenAudience: registry.cloud, cacheType: Token, requireServiceAccount: true}"+fields+"}\n")
}

// directory makes a directory of the configuration.
func (f *fixture) directory() {
	text, err := os.ReadFile(f.path(configPath))
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("/etc/providers.d/10.yaml", string(text), 0o644)
	f.flags[0] = "--image-credential-provider-config=/etc/providers.d"
}

// linked puts the programs where anybody can write.
func (f *fixture) linked() {
	f.program("/data/bin/cloud-credential-provider", "")
	f.chmod("/data/bin", 0o777)
	f.remove(programPath)
	if err := os.Symlink("/data/bin/cloud-credential-provider", f.path(programPath)); err != nil {
		f.t.Fatal(err)
	}
}

// notMine is a plugin whose registry an image is not of.
func notMine(f *fixture) string {
	return fmt.Sprintf(`case "$1" in
--version=json) echo '{"name":"c","version":"%s","goVersion":"go1","platform":"linux/x"}';;
--check) if grep -q image; then cat %[2]s/report; else sed s/notMine/obtained/ %[2]s/report; fi;;
esac`, version.Version(), f.root)
}

// named lets the plugin's settings name a file.
func (f *fixture) named(setting, text string, mode os.FileMode) {
	f.write("/etc/named", text, mode)
	f.check["files"] = []any{map[string]any{"setting": setting, "path": "/etc/named"}}
}

// kubeletCertificate lets the kubelet prove itself with a certificate that ends.
func (f *fixture) kubeletCertificate(at time.Time) {
	f.write("/var/lib/kubelet/pki/current.pem", certificateUntil(f.t, at), 0o600)
	f.write("/etc/kubernetes/kubelet.conf", strings.Replace(deadCluster, `"user":{}`, `"user":{"client-certificate":"/var/lib/kubelet/pki/current.pem","client-key":"/var/lib/kubelet/pki/current.pem"}`, 1), 0o600)
}

func TestFindings(t *testing.T) {
	found := map[string]bool{"check-broken": true, "check-unfinished": true}
	for name, test := range findings() {
		found[test.finding] = true
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			test.make(f)
			report := f.examine()
			results := of(report, test.finding)
			if len(results) == 0 || len(results) > 1 && !test.several {
				var all []string
				for _, r := range report.Results {
					if r.Level != OK {
						all = append(all, whole(r))
					}
				}
				t.Fatalf("%d results %s; others are\n%s", len(results), test.finding, strings.Join(all, "\n\n"))
			}
			text := ""
			for _, r := range results {
				text += whole(r) + "\n"
			}
			for _, says := range test.says {
				if !strings.Contains(text, says) {
					t.Errorf("does not say %q:\n%s", says, text)
				}
			}
			// Whatever it is, all other checks are made.
			for _, c := range Catalogue()[1:] {
				if _, ok := report.Timings[c.Name]; !ok {
					t.Errorf("%s was not looked at", c.Name)
				}
			}
			if len(of(report, "check-broken")) > 0 {
				t.Errorf("broken: %+v", of(report, "check-broken"))
			}
		})
	}
	for _, c := range Catalogue() {
		for _, f := range c.Findings {
			if !found[f.Name] {
				t.Errorf("no test comes to %s", f.Name)
			}
		}
	}
}
