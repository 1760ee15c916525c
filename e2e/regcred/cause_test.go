//go:build linux

package regcred_test

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/fake"
)

// cause is why a pull fails.
type cause struct {
	name string

	// make makes it so, before the kubelet starts, and spoil after that.
	make, spoil func(*machine)
	env         []string // of the kubelet

	// registry means that make places the registry, or does not.
	registry bool

	// finding is what doctor has to find, or one of them where clouds differ, and
	// says what is told of it. Nothing else may be wrong, but for what is allowed.
	finding string
	says    []string
	allowed []string

	// told is says where that depends on the cloud.
	told func(*machine) []string
}

// causes are those that are the same in every cloud.
func causes() []cause {
	return []cause{
		{
			name: "the identity is not attached",
			// Azure has one attached, and its registry knows nothing of it.
			finding: "identity-missing credential-refused",
			told:    func(m *machine) []string { return m.Lose() },
		},
		{
			name: "the identity has no permission",
			make: func(m *machine) {
				service, operation, _ := strings.Cut(m.Machine.Fetch, " ")
				m.Cloud.Faults.Always(service, operation, m.Denied)
			},
			// The metadata services of Google and IBM hand out the token itself.
			finding: "credential-refused identity-missing",
			told:    func(m *machine) []string { return []string{fmt.Sprint(m.Denied.Status)} },
		},
		{
			name: "the metadata service is out of reach",
			make: func(m *machine) {
				for _, service := range m.Local {
					m.Cloud.Faults.Always(service, "", cloud.Reset{})
				}
			},
			finding: "metadata-unreachable", says: []string{"169.254.169.254"}, allowed: []string{"cloud-slow"},
		},
		{
			name:    "the clock is wrong",
			make:    func(m *machine) { m.Clock(2 * time.Hour) },
			finding: "clock-wrong", says: []string{"behind", "timedatectl"},
		},
	}
}

// causesOfTheNode are those that no cloud has a part in.
func causesOfTheNode() []cause {
	return []cause{
		{
			name:     "the registry's name does not resolve",
			registry: true,
			finding:  "registry-unresolvable", says: []string{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "no address in DNS"},
		},
		{
			name:     "the registry is down",
			registry: true,
			make:     func(m *machine) { m.addHost(registryAddress, m.Registry(0)) },
			finding:  "registry-unreachable", says: []string{"nothing listens at 123456789012.dkr.ecr"},
		},
		{
			name:    "the program is missing",
			spoil:   func(m *machine) { m.remove("bin/" + m.Plugin) },
			finding: "binary-missing", says: []string{"bin/ecr-credential-provider"},
		},
		{
			name:    "the program cannot be executed",
			spoil:   func(m *machine) { m.chmod("bin/"+m.Plugin, 0o644) },
			finding: "binary-not-executable", says: []string{"chmod 0755"},
		},
		{
			name:    "others can write the program",
			spoil:   func(m *machine) { m.chmod("bin/"+m.Plugin, 0o666|0o111) },
			finding: "binary-writable", says: []string{"chmod go-w"},
		},
		{
			name:    "the kubelet runs with an older configuration",
			spoil:   func(m *machine) { m.write("providers.json", m.read("providers.json")+"\n") },
			finding: "configuration-old", says: []string{"systemctl restart kubelet"},
		},
		{
			name:    "the configuration is not the kubelet's",
			make:    func(m *machine) { delete(m.provider(), "defaultCacheDuration") },
			finding: "configuration-invalid", says: []string{"providers[0].defaultCacheDuration"},
		},
		{
			name:    "a flag of the plugin is misspelt",
			make:    func(m *machine) { m.provider()["args"] = []string{"--role-arm=x"} },
			finding: "settings-invalid", says: []string{"unknown flag: --role-arm"},
		},
		{
			name: "nodes may not request tokens for the audience",
			make: func(m *machine) {
				m.provider()["tokenAttributes"] = map[string]any{"serviceAccountTokenAudience": "sts.amazonaws.com", "cacheType": "ServiceAccount", "requireServiceAccount": false}
				m.denied["sts.amazonaws.com"] = true
			},
			finding: "audience-forbidden", says: []string{"sts.amazonaws.com", "request-serviceaccounts-token-audience"},
		},
		{
			name: "a saved login has expired",
			make: func(m *machine) {
				password := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"payload":"x","expiration":%d}`, time.Now().Add(-time.Hour).Unix()))
				m.write("kubelet/config.json", `{"auths":{"`+m.Registry(0)+`":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("AWS:"+password))+`"}}}`)
			},
			finding: "login-expired", says: []string{"AWS for 123456789012.dkr.ecr", "kubelet/config.json"},
		},
		{
			name:    "the proxy is not there",
			env:     []string{"HTTPS_PROXY=http://127.0.0.1:3128", "NO_PROXY=169.254.169.254"},
			finding: "proxy-unreachable", says: []string{"127.0.0.1:3128"}, allowed: []string{"credential-refused"},
		},
		{
			name:    "the cache is open to others",
			spoil:   func(m *machine) { m.openCache() },
			finding: "cache-untrusted", says: []string{"chmod 0700 /run/regcred"},
		},
	}
}

func (m *machine) remove(name string) {
	m.t.Helper()
	if err := os.Remove(m.path(name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) chmod(name string, mode os.FileMode) {
	m.t.Helper()
	if err := os.Chmod(m.path(name), mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// addHost gives a name an address, at which nobody may listen.
func (m *machine) addHost(address netip.Addr, name string) {
	m.t.Helper()
	if err := m.Cloud.AddAddress(address); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Cloud.AddHosts(address, name); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) openCache() {
	m.t.Helper()
	dir := m.Cloud.Path("/run/regcred")
	if err := os.Mkdir(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		m.t.Fatal(err)
	}
}

func TestDoctorNamesTheCause(t *testing.T) {
	for _, kind := range clouds.All() {
		for _, c := range causes() {
			t.Run(kind.Name+"/"+c.name, func(t *testing.T) { c.examine(t, kind) })
		}
	}
	for _, c := range causesOfTheNode() {
		t.Run(c.name, func(t *testing.T) { c.examine(t, clouds.All()[0]) })
	}
}

func (c cause) examine(t *testing.T, kind fake.Kind) {
	t.Parallel()
	m := boot(t, kind)
	if !c.registry {
		m.serveRegistry()
	}
	if c.make != nil {
		c.make(m)
	}
	says := c.says
	if c.told != nil {
		says = c.told(m)
	}
	m.start(c.env...)
	if c.spoil != nil {
		c.spoil(m)
	}
	exit, report := m.doctor()
	found, wanted := report.troubles(), strings.Fields(c.finding)
	at := slices.IndexFunc(found, func(name string) bool { return slices.Contains(wanted, name) })
	if exit == 0 || at < 0 {
		t.Fatalf("exit code %d, found %q; identity: %s", exit, found, report.text("identity"))
	}
	told := report.text(found[at])
	for _, name := range found {
		if name != found[at] && !slices.Contains(c.allowed, name) {
			t.Errorf("besides %s: %s", name, report.text(name))
		}
	}
	for _, word := range says {
		if !strings.Contains(told, word) {
			t.Errorf("%s does not say %q: %s", found[at], word, told)
		}
	}
}
