package plugin_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

// cloud is a plugin's settings with one of its own.
type cloud struct {
	settings.Common
	Role  string          `json:"role,omitempty"`
	Nests map[string]nest `json:"nests,omitempty"`
}

type nest struct {
	Egg string `json:"egg"`
}

func (c *cloud) Flags(fs *pflag.FlagSet) {
	c.Common.Flags(fs)
	fs.StringVar(&c.Role, "role", c.Role, "a `role`")
	settings.Env(fs, "role", "VENDOR_ROLE", "OLD_VENDOR_ROLE")
}

func (c *cloud) Provider(run plugin.Run) (credential.Provider, error) {
	if file := run.Getenv("VENDOR_FILE"); file != "" {
		return nil, fmt.Errorf("%s: for role %s", file, c.Role)
	}
	return provider{c, run.Args}, nil
}

// provider is what the settings are compiled into.
type provider struct {
	settings *cloud
	args     []string
}

func (provider) Answer(credential.Request) (credential.Answer, error) {
	return credential.Answer{}, nil
}

var described = plugin.Plugin{Kind: "CloudConfig", New: func() plugin.Settings { return &cloud{Role: "default"} }}

const header = "apiVersion: regcred/v1\nkind: CloudConfig\n"

func load(t *testing.T, file string, env map[string]string, args ...string) (*cloud, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	got, _, err := described.Load(args, func(name string) string { return env[name] })
	if err != nil {
		return nil, err
	}
	return got.Provider.(provider).settings, nil
}

func TestPrecedence(t *testing.T) {
	file := header + "role: file\n"
	for name, tc := range map[string]struct {
		file string
		env  map[string]string
		args []string
		want string
	}{
		"default":                          {"", nil, nil, "default"},
		"file over default":                {file, nil, nil, "file"},
		"environment over file":            {file, map[string]string{"REGCRED_ROLE": "env"}, nil, "env"},
		"flag over environment":            {file, map[string]string{"REGCRED_ROLE": "env"}, []string{"--role=flag"}, "flag"},
		"an empty flag is a flag":          {file, map[string]string{"REGCRED_ROLE": "env"}, []string{"--role="}, ""},
		"an empty variable is none":        {file, map[string]string{"REGCRED_ROLE": ""}, nil, "file"},
		"the vendor's variable":            {file, map[string]string{"VENDOR_ROLE": "vendor", "OLD_VENDOR_ROLE": "old"}, nil, "vendor"},
		"the vendor's older variable":      {file, map[string]string{"OLD_VENDOR_ROLE": "old"}, nil, "old"},
		"our variable over the vendor's":   {file, map[string]string{"REGCRED_ROLE": "env", "VENDOR_ROLE": "vendor"}, nil, "env"},
		"flags after arguments":            {file, nil, []string{"get-credentials", "--role", "flag"}, "flag"},
		"arguments after a switch":         {file, nil, []string{"--node-fallback", "get-credentials", "--role=flag"}, "flag"},
		"the vendors' logging flags":       {file, nil, []string{"--v=3", "--logtostderr", "-v", "2", "--stderrthreshold=2", "--log_dir=/x"}, "file"},
		"JSON is YAML too":                 {`{"apiVersion":"regcred/v1","kind":"CloudConfig","role":"json"}`, nil, nil, "json"},
		"a document marker at the start":   {"# comment\n---\n" + file, nil, nil, "file"},
		"a document that ends with dashes": {file + "logFile: /a---b\n", nil, nil, "file"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := load(t, tc.file, tc.env, tc.args...); err != nil || got.Role != tc.want {
				t.Errorf("got %+v, %v; want role %s", got, err, tc.want)
			}
		})
	}
}

func TestTheFileIsNamedByTheEnvironmentToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(header+"role: file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := load(t, "", map[string]string{"REGCRED_CONFIG": path}); err != nil || got.Role != "file" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCommonSettings(t *testing.T) {
	file := header + `cacheDir: /run/file
maxKubeletCache: 90s
aliases: {mirror.example.com: gcr.io, "Mirror.example.com:5000": quay.io}
identityScope: pod
nodeFallback: [ingress]
caFile: /ca.pem
logLevel: info
logFile: /log
logJournald: true
`
	got, err := load(t, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := got.Common
	if c.CacheDir != "/run/file" || time.Duration(c.MaxKubeletCache) != 90*time.Second || c.IdentityScope != "pod" ||
		c.NodeFallback.String() != "ingress" || c.CAFile != "/ca.pem" || c.LogFile != "/log" || c.LogJournald != settings.On || len(c.Aliases) != 2 {
		t.Errorf("from the file: %+v", c)
	}
	got, err = load(t, file, nil, "--cache-dir=", "--max-kubelet-cache=5m", "--alias=a.b=c.d", "--alias", "e.f:1=g.h", "--identity-scope=serviceaccount", "--node-fallback")
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Common; c.CacheDir != "" || time.Duration(c.MaxKubeletCache) != 5*time.Minute || c.IdentityScope != "serviceaccount" || !c.NodeFallback.All() || len(c.Aliases) != 2 || c.Aliases["a.b"] != "c.d" {
		t.Errorf("from flags: %+v", c)
	}
}

func TestDefaults(t *testing.T) {
	got, err := load(t, "", map[string]string{"XDG_RUNTIME_DIR": "/run/user/7", "ProgramData": `C:\ProgramData`})
	if err != nil {
		t.Fatal(err)
	}
	want := "/run/user/7/regcred"
	if os.Geteuid() == 0 {
		want = "/run/regcred"
	}
	if c := got.Common; c.CacheDir != want || time.Duration(c.MaxKubeletCache) != 10*time.Minute || c.NodeFallback.String() != "kube-system" || c.LogLevel != "warn" || c.LogJournald != settings.Auto {
		t.Errorf("got %+v", c)
	}
}

// A broken file is an error that names the field, never a silent default.
func TestBrokenFiles(t *testing.T) {
	for want, file := range map[string]string{
		`apiVersion "" and kind ""; want "regcred/v1" and "CloudConfig"`: "role: x\n",
		`apiVersion "regcred/v2" and kind "CloudConfig"; want`:           "apiVersion: regcred/v2\nkind: CloudConfig\n",
		`and kind "OtherConfig"; want`:                                   "apiVersion: regcred/v1\nkind: OtherConfig\n",
		`unknown field "rolle"`:                                          header + "rolle: x\n",
		`unknown field "Role"`:                                           header + "Role: x\n",
		`unknown field "nests.a.eg"`:                                     header + "nests: {a: {eg: x}}\n",
		`nests.egg: a list; want a string`:                               header + "nests: {a: {egg: [1]}}\n",
		`line 4, column 1: a key that was there already`:                 header + "role: a\nrole: b\n",
		`"soon" is not a duration such as 10m or 90s`:                    header + "maxKubeletCache: soon\n",
		`maxKubeletCache: negative`:                                      header + "maxKubeletCache: -1s\n",
		`cacheDir: not an absolute path: "tmp"`:                          header + "cacheDir: tmp\n",
		`identityScope: "node" is neither`:                               header + "identityScope: node\n",
		`logLevel: "loud" is none of`:                                    header + "logLevel: loud\n",
		`aliases["a/b"]: invalid registry host`:                          header + "aliases: {a/b: c.d}\n",
		`aliases["a.b"]: "*": invalid registry host`:                     header + "aliases: {a.b: '*'}\n",
		`aliases: "a.b" is there twice, in another spelling`:             header + "aliases: {a.b: c.d, A.b: e.f}\n",
		`line 4, column 1: a second document`:                            header + "---\nrole: x\n",
		`not a YAML or JSON object`:                                      "[1, 2]\n",
		`yaml: `:                                                         header + "role: [\n",
		`role: a number; want a string, in quotes`:                       header + "role: 0123456789\n",
		`line 4, column 1: `:                                             header + "...\nrole: x\n",
		`larger than 1 MiB`:                                              header + "role: " + strings.Repeat("x", 1<<20),
	} {
		t.Run(want, func(t *testing.T) {
			_, err := load(t, file, nil)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUntrustedFiles(t *testing.T) {
	dir := t.TempDir()
	writable := filepath.Join(dir, "writable.yaml")
	if err := os.WriteFile(writable, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(writable, 0o666); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.yaml")
	if err := os.WriteFile(foreign, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	wantForeign := "owned by user 65534"
	if os.Chown(foreign, 65534, 65534) != nil {
		wantForeign = "" // only root can give a file away
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"): "no such file",
		dir:                          "not a regular file",
		writable:                     "writable by others",
		foreign:                      wantForeign,
	} {
		if want == "" {
			continue
		}
		_, err := load(t, "", nil, "--config="+path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "configuration file "+path+": ") {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

func TestBrokenCommandLines(t *testing.T) {
	for want, args := range map[string][]string{
		"command line: unknown flag: --rolle (see --help)": {"--rolle=x"},
		"--version=xml: want text or json":                 {"--version=xml"},
		"command line: invalid argument":                   {"--max-kubelet-cache=soon"},
		"command line: flag needs an argument":             {"--cache-dir"},
		"write --node-fallback=kube-system":                {"--node-fallback", "kube-system"},
		"write --node-fallback=none":                       {"get-credentials", "--node_fallback", "none", "--v=2"},
	} {
		if _, err := load(t, "", nil, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", args, err)
		}
	}
	if _, err := load(t, "", map[string]string{"REGCRED_MAX_KUBELET_CACHE": "soon"}); err == nil || !strings.HasPrefix(err.Error(), "environment variable REGCRED_MAX_KUBELET_CACHE: ") {
		t.Errorf("a broken variable: %v", err)
	}
}

// A plugin's own files come after everything that is said of them.
func TestProviderComesLast(t *testing.T) {
	file := header + "role: file\n"
	got, _, err := described.Load([]string{"get-credentials", "--role=flag", "again"}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Provider.(provider); p.settings.Role != "flag" || !slices.Equal(p.args, []string{"get-credentials", "again"}) {
		t.Errorf("got %+v", p)
	}
	_, err = load(t, file, map[string]string{"VENDOR_FILE": "/etc/vendor.json"})
	if err == nil || err.Error() != "settings: /etc/vendor.json: for role file" {
		t.Errorf("got %v", err)
	}
}

func TestLevel(t *testing.T) {
	for args, want := range map[string]slog.Level{
		"":                        slog.LevelWarn,
		"--v=0":                   slog.LevelWarn,
		"--v=2":                   slog.LevelInfo,
		"--v=5":                   slog.LevelDebug,
		"--log-level=error":       slog.LevelError,
		"--log-level=error --v=1": slog.LevelInfo,
		"--log-level=debug --v=1": slog.LevelDebug,
	} {
		got, err := load(t, "", nil, strings.Fields(args)...)
		if err != nil {
			t.Fatal(err)
		}
		if level := got.Level(); level != want {
			t.Errorf("%s: got %s", args, level)
		}
	}
}

// An installer's REGCRED_VERSION must not turn answers into version text.
func TestQuestionsOfAPersonAreNoSettings(t *testing.T) {
	_, invocation, err := described.Load(nil, func(name string) string {
		return map[string]string{"REGCRED_VERSION": "text", "REGCRED_HELP": "true", "REGCRED_EXPLAIN": "json", "REGCRED_CHECK": "true"}[name]
	})
	if err != nil || invocation.Help || invocation.Version != "" || invocation.Explain != "" || invocation.Check {
		t.Errorf("got %+v, %v", invocation, err)
	}
}

// A plugin may have other defaults, which everything else wins over.
func TestAPluginsOwnDefaults(t *testing.T) {
	own := described
	own.Defaults = func(c *settings.Common) { c.MaxKubeletCache = 0 }
	for want, args := range map[time.Duration][]string{0: nil, time.Minute: {"--max-kubelet-cache=1m"}} {
		got, _, err := own.Load(args, func(string) string { return "" })
		if err != nil || time.Duration(got.Common.MaxKubeletCache) != want {
			t.Errorf("%q: got %+v, %v", args, got, err)
		}
	}
	if usage := own.Usage(func(string) string { return "" }); strings.Contains(usage, "default 10m0s") {
		t.Errorf("the default of others is in\n%s", usage)
	}
}

func TestUsageNamesEveryVariable(t *testing.T) {
	usage := described.Usage(func(string) string { return "" })
	for _, want := range []string{"--cache-dir directory", "$REGCRED_CACHE_DIR", "$REGCRED_ROLE, $VENDOR_ROLE, $OLD_VENDOR_ROLE", "$REGCRED_CONFIG", "--version", `(default "default")`} {
		if !strings.Contains(strings.Join(strings.Fields(usage), " "), want) {
			t.Errorf("%q is not in\n%s", want, usage)
		}
	}
	for _, noise := range []string{"(default [])", "--help[", `"none"`} {
		if strings.Contains(usage, noise) {
			t.Errorf("%q says nothing in\n%s", noise, usage)
		}
	}
	if strings.Contains(usage, "logtostderr") {
		t.Errorf("the vendors' logging flags are shown:\n%s", usage)
	}
}

func FuzzFile(f *testing.F) {
	f.Add(header + "role: x\naliases: {a.b: c.d}\nnests: {a: {egg: b}}\n")
	f.Add(header + "---\n&a [*a]\n")
	f.Fuzz(func(t *testing.T, file string) {
		path := filepath.Join(t.TempDir(), "c")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		got, _, err := described.Load([]string{"--config", path}, func(string) string { return "" })
		if err != nil {
			return
		}
		c := got.Common
		if c.MaxKubeletCache < 0 || c.CacheDir != "" && !filepath.IsAbs(c.CacheDir) || c.IdentityScope != "pod" && c.IdentityScope != "serviceaccount" {
			t.Errorf("accepted %q as %+v", file, *c)
		}
	})
}

func TestOneHyphenIsAsGoodAsTwoWhereTheVendorSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(header+"role: filed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	likeGo := described
	likeGo.GoFlags = true
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"-config", file}, "filed"},
		{[]string{"-config=" + file, "-v=4"}, "filed"},
		{[]string{"-role", "given", "-v", "4"}, "given"},
		{[]string{"-role=-given"}, "-given"},
		{[]string{"--", "-role=argument"}, "default"},
	} {
		s, _, err := likeGo.Read(tc.args, func(string) string { return "" })
		if err != nil || s.(*cloud).Role != tc.want {
			t.Errorf("%q: got %+v, %v", tc.args, s, err)
		}
	}
	if _, _, err := described.Read([]string{"-config", file}, func(string) string { return "" }); err == nil {
		t.Error("one hyphen is taken for two elsewhere")
	}
}

// foreign is also told by the file of another tool.
type foreign struct{ cloud }

func (f *foreign) DecodeForeign(json []byte) error { f.Role = string(json); return nil }

func TestTheFileOfTheVendorsToolHasNoHeader(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	for text, want := range map[string]string{"vendorRole: x\n": `{"vendorRole":"x"}`, header + "role: ours\n": "ours", "kind: Other\n": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		into := new(foreign)
		err := settings.DecodeFile(file, "CloudConfig", into)
		if into.Role != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %+v, %v", text, into, err)
		}
	}
}
