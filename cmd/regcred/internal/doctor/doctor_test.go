package doctor

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regcred/cmd/regcred/internal/term"
)

func TestTheCatalogueIsInOrder(t *testing.T) {
	codes, names := map[string]bool{}, map[string]bool{}
	code, name := regexp.MustCompile(`^RC[0-9]{2}$`), regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for _, c := range Catalogue() {
		if !code.MatchString(c.Code) || codes[c.Code] || !name.MatchString(c.Name) || names[c.Name] || c.About == "" {
			t.Errorf("check %s %s", c.Code, c.Name)
		}
		codes[c.Code], names[c.Name] = true, true
		for _, f := range c.Findings {
			if !strings.HasPrefix(f.Code, c.Code) || len(f.Code) != 6 || f.Code == c.Code+"00" || codes[f.Code] || !name.MatchString(f.Name) || names[f.Name] || f.About == "" {
				t.Errorf("finding %s %s", f.Code, f.Name)
			}
			if f.Level != Info && f.Level != Warning && f.Level != Error {
				t.Errorf("%s has level %s", f.Code, f.Level)
			}
			codes[f.Code], names[f.Name] = true, true
		}
	}
}

// Every finding that is taken down anywhere is in the catalogue.
func TestTheCodeTakesDownWhatTheCatalogueHas(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range Catalogue() {
		for _, f := range c.Findings {
			known[f.Name] = true
		}
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || method.Sel.Name != "find" || len(call.Args) < 4 {
				return true
			}
			if literal, ok := call.Args[0].(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(literal.Value)
				if seen++; !known[name] {
					t.Errorf("%s: %s is not in the catalogue", file, name)
				}
			}
			return true
		})
	}
	if seen < 40 {
		t.Errorf("saw %d findings", seen)
	}
}

// docs/doctor.md has a row for each code, with its name and level, and for no
// other.
func TestTheDocumentationHasEveryCode(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) >= 6 && strings.HasPrefix(strings.TrimSpace(cells[1]), "RC") {
			code := strings.TrimSpace(cells[1])
			if rows[code] != "" {
				t.Errorf("%s has two rows", code)
			}
			rows[code] = strings.TrimSpace(cells[2]) + " " + strings.TrimSpace(cells[3])
			for i, cell := range cells[4 : len(cells)-1] {
				if len(strings.TrimSpace(cell)) < 10 {
					t.Errorf("%s says nothing in column %d", code, i+4)
				}
			}
		}
	}
	for _, c := range Catalogue() {
		if !strings.Contains(string(text), "`"+c.Name+"`") {
			t.Errorf("the check %s is not there", c.Name)
		}
		for _, f := range c.Findings {
			if want := "`" + f.Name + "` " + string(f.Level); rows[f.Code] != want {
				t.Errorf("%s: %q, want %q", f.Code, rows[f.Code], want)
			}
			delete(rows, f.Code)
		}
	}
	for code := range rows {
		t.Errorf("%s is documented and does not exist", code)
	}
}

// A check that breaks or hangs is a result, and the others are made.
func TestACheckStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := Options{Limit: time.Minute}
		s := &subject{Options: o, ctx: ctx}
		hold := make(chan struct{})
		defer close(hold)
		for name, test := range map[string]struct {
			run  func(*subject, *recorder)
			want string
		}{
			"well":   {func(_ *subject, r *recorder) { r.ok("", "well") }, "well"},
			"broken": {func(_ *subject, r *recorder) { r.ok("", "first"); panic("hunter2-secret") }, "first check-broken"},
			"stuck":  {func(_ *subject, _ *recorder) { <-hold }, "check-unfinished"},
			"wrong":  {func(_ *subject, r *recorder) { r.find("no-such", "", "", "") }, "check-broken"},
		} {
			begin := time.Now()
			var got []string
			for _, r := range o.run(Check{Code: "RC99", Name: "test", run: test.run}, s) {
				if strings.Contains(whole(r), "hunter2") {
					t.Errorf("%s: what it panicked with is told: %s", name, whole(r))
				}
				if r.Level == OK {
					got = append(got, r.Message)
				} else {
					got = append(got, r.Name)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s: got %q, want %s", name, got, test.want)
			}
			if time.Since(begin) > time.Minute {
				t.Errorf("%s: took %s", name, time.Since(begin))
			}
		}
		cancel()
		if got := o.run(Check{Name: "test", run: func(_ *subject, _ *recorder) { <-hold }}, s); len(got) != 1 || got[0].Name != "check-unfinished" {
			t.Errorf("when it is stopped: %+v", got)
		}
	})
}

func TestChecksAreChosen(t *testing.T) {
	broken := func(f *fixture) {
		f.chmod(programPath, 0o777)
		f.synced = false
		f.chmod(configPath, 0o666)
	}
	for name, test := range map[string]struct {
		only, skip []string
		checks     []string
		findings   []string
	}{
		"one":                     {[]string{"clock"}, nil, []string{"clock"}, []string{"clock-unsynchronised"}},
		"by its code":             {[]string{"rc08", "RC0200"}, nil, []string{"clock", "configuration"}, []string{"configuration-writable", "clock-unsynchronised"}},
		"a finding":               {[]string{"binary-writable"}, nil, []string{"binaries"}, []string{"binary-writable"}},
		"a finding by its code":   {[]string{"RC0802"}, nil, []string{"clock"}, nil},
		"but one":                 {[]string{"clock", "binaries"}, []string{"clock"}, []string{"binaries"}, []string{"binary-writable"}},
		"but a finding":           {[]string{"clock", "binaries"}, []string{"RC0404"}, []string{"binaries", "clock"}, []string{"clock-unsynchronised"}},
		"a check and its finding": {[]string{"clock", "clock-off"}, nil, []string{"clock"}, []string{"clock-unsynchronised"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			broken(f)
			f.options.Skip = test.skip
			report := f.examine(test.only...)
			var made, found []string
			for check := range report.Timings {
				made = append(made, check)
			}
			slices.Sort(made)
			for _, r := range report.Results {
				if r.Level.rank() > 0 {
					found = append(found, r.Name)
				}
			}
			if !slices.Equal(made, test.checks) || !slices.Equal(found, test.findings) {
				t.Errorf("made %q and found %q, want %q and %q", made, found, test.checks, test.findings)
			}
		})
	}
	if err := Names("clock", "RC0404", "binary-writable", "rc01"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"clocks", "RC9999", "", "RC"} {
		if Names(name) == nil {
			t.Errorf("%q is the name of something", name)
		}
	}
}

// What the exit code says does not depend on how it is told.
func TestTheLevelOfTheWhole(t *testing.T) {
	for _, test := range []struct {
		levels []Level
		want   Level
		exit   int
	}{
		{nil, OK, 0},
		{[]Level{OK, Info, Skipped}, OK, 0},
		{[]Level{OK, Warning, Info}, Warning, 1},
		{[]Level{Warning, Error, OK}, Error, 2},
	} {
		var r Report
		for _, level := range test.levels {
			r.Results = append(r.Results, Result{Level: level})
		}
		if r.finish(); r.Level != test.want || r.ExitCode() != test.exit {
			t.Errorf("%v: level %s, exit code %d", test.levels, r.Level, r.ExitCode())
		}
	}
}

func TestTheReportIsPrinted(t *testing.T) {
	r := Report{Results: []Result{
		{Code: "RC0100", Name: "kubelet", Check: "kubelet", Level: OK, Message: "the kubelet runs", Evidence: []string{"not shown"}},
		{Code: "RC0404", Name: "binary-writable", Check: "binaries", Level: Error, Subject: "x", Message: "x is open", Evidence: []string{"/opt: mode 0777"}, Fix: "chmod go-w /opt\nchmod go-w /opt/x"},
		{Code: "RC0900", Name: "cache", Check: "cache", Level: Skipped, Message: "nothing to look at"},
	}}
	for short, want := range map[bool]string{
		false: `kubelet
  ok      the kubelet runs

binaries
  error   x: x is open  [RC0404 binary-writable]
          seen: /opt: mode 0777
          fix:  chmod go-w /opt
                chmod go-w /opt/x

cache
  skipped nothing to look at

1 error, 1 ok, 1 skipped
`,
		true: `binaries
  error   x: x is open  [RC0404 binary-writable]
          seen: /opt: mode 0777
          fix:  chmod go-w /opt
                chmod go-w /opt/x

1 error, 1 ok, 1 skipped
`,
	} {
		var out bytes.Buffer
		r.Print(term.New(&out, func(string) string { return "" }), short)
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	}
	var decoded map[string]any
	if err := json.Unmarshal(r.JSON(), &decoded); err != nil || decoded["results"] == nil {
		t.Errorf("%v: %s", err, r.JSON())
	}
}

func TestProgressIsTold(t *testing.T) {
	f := newFixture(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	last := -1
	f.options.Progress = func(running []string) {
		mu.Lock()
		defer mu.Unlock()
		last = len(running)
		for _, name := range running {
			seen[name] = true
		}
	}
	f.examine()
	if len(seen) != len(Catalogue())-1 || last != 0 {
		t.Errorf("saw %v, and %d at the end", seen, last)
	}
}

// secrets puts a secret into everything that doctor reads.
func secrets(f *fixture) []string {
	private := base64.StdEncoding.EncodeToString([]byte("a private key, of which nobody is to see anything at all"))
	token, kubeToken, saved := jwtUntil(now.Add(time.Hour)), jwtUntil(now.Add(2*time.Hour)), jwtUntil(now.Add(-time.Minute))
	f.env = append(f.env, "HTTPS_PROXY=http://user:proxy-pw-1@proxy:3128", "CLOUD_API_TOKEN=kubelet-env-1", "AWS_SECRET_ACCESS_KEY=kubelet-env-2")
	f.edit("{name: CLOUD_REGION, value: here}", "{name: CLOUD_CLIENT_SECRET, value: provider-env-1}\n  - {name: PLAIN, value: 'password=provider-env-2'}\n  - {name: CLOUD_TOKEN_FILE, value: /var/token}")
	f.edit(`args: ["--role=pull"]`, `args: ["--role=pull", "--client-secret=provider-arg-1"]`)
	f.write("/var/token", token, 0o644)
	f.write("/var/lib/kubelet/config.json", strings.Replace(dockerConfig("team.registry.cloud", "bot", saved), `"auths"`, `"credsStore":"x","auths"`, 1), 0o600)
	f.write("/etc/kubernetes/kubelet.conf", strings.Replace(deadCluster, `"user":{}`, `"user":{"token":"`+kubeToken+`"}`, 1), 0o600)
	f.pulled("d", "2026-11-26T00:00:00Z", `"team.registry.cloud/x":{"kubernetesSecrets":[{"uid":"1","namespace":"a","name":"b","credentialHash":"credential-hash-1"}]}`)
	f.named("clientCertificateFile", certificateUntil(f.t, now.Add(time.Hour))+"-----BEGIN PRIVATE KEY-----\n"+private+"\n-----END PRIVATE KEY-----\n", 0o644)
	f.journal = `2026-11-26T11:59:00+0000 node1 kubelet[1]: "Failed to provide credentials for image" err="error execing credential provider plugin cloud-credential-provider for image x: exit status 1: password: journal-pw-1 ` + token + `"`
	f.metrics = `kubelet_credential_provider_plugin_errors_total{plugin_name="x",token="` + token + `"} 1`
	f.exit = 1
	f.check["outcome"] = "failed"
	f.check["failure"] = map[string]any{"problem": "client_secret=plugin-pw-1 " + token, "advice": "Authorization: Bearer plugin-pw-2", "evidence": "access_token=plugin-pw-3"}
	f.stderr = "plugin: password=plugin-pw-4"
	return []string{
		"proxy-pw-1", "kubelet-env-1", "kubelet-env-2", "provider-env-1", "provider-env-2", "provider-arg-1", "journal-pw-1",
		"plugin-pw-1", "plugin-pw-2", "plugin-pw-3", "plugin-pw-4", "credential-hash-1", private[:40],
		token, kubeToken, saved, strings.Split(token, ".")[1], strings.Split(kubeToken, ".")[1], strings.Split(saved, ".")[1],
	}
}

func TestNothingSecretIsToldOrBundled(t *testing.T) {
	f := newFixture(t)
	hidden := secrets(f)
	report := f.examine()
	var text bytes.Buffer
	report.Print(term.New(&text, func(string) string { return "" }), false)
	path := filepath.Join(t.TempDir(), "doctor.tgz")
	if err := Bundle(t.Context(), f.options, report, path); err != nil {
		t.Fatal(err)
	}
	told := map[string]string{"text": text.String(), "JSON": string(report.JSON())}
	for name, data := range unpack(t, path) {
		told[name] = data
	}
	for name, text := range told {
		for _, secret := range hidden {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("bot:" + secret)), url.QueryEscape(secret)} {
				if strings.Contains(text, form) {
					t.Errorf("%s tells %.20s...:\n%s", name, secret, around(text, form))
				}
			}
		}
	}
	// The inputs were looked at all the same.
	for _, name := range []string{"credential-refused", "login-expired", "login-ends-soon", "certificate-ends-soon", "secret-file-open", "journal-errors", "plugin-errors", "proxy-used", "docker-config-first", "api-server-unreachable"} {
		if len(of(report, name)) == 0 {
			t.Errorf("%s was not found", name)
		}
	}
}

func around(text, part string) string {
	at := strings.Index(text, part)
	return text[max(0, at-60):min(len(text), at+len(part)+20)]
}

// unpack reads a bundle.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	compressed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil || header.Mode != 0o600 {
			t.Errorf("%s: mode %#o, %v", header.Name, header.Mode, err)
		}
		files[header.Name] = string(data)
	}
}

func TestTheBundle(t *testing.T) {
	f := newFixture(t)
	f.edit("value: here", "value: not-for-others")
	f.write("/etc/os-release", "PRETTY_NAME=\"An OS\"\nOTHER=x\n", 0o644)
	report := f.examine()
	path := filepath.Join(t.TempDir(), "doctor.tgz")
	if err := Bundle(t.Context(), f.options, report, path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	files := unpack(t, path)
	for name, says := range map[string][]string{
		"report.json":                         {`"kind": "DoctorReport"`, `"timings"`},
		"report.txt":                          {"kubelet\n", "ok"},
		"versions.txt":                        {"regcred ", "kubelet v1.37.2", "An OS", "cloud-credential-provider: cloud-credential-provider devel"},
		"kubelet.json":                        {configPath, `"PATH"`, `"ReadOnlyPort"`[:5]},
		"pulls.json":                          {`"` + image + `": "credentials of the node, or none"`, `"private.registry.cloud/app": "secret team/login"`, "NeverVerifyPreloadedImages"},
		"metrics.txt":                         {"kubelet_credential_provider_config_info", "http://127.0.0.1:10255/metrics"},
		"configuration/0-providers.yaml.yaml": {configPath, "matchImages", "CLOUD_REGION", "[redacted]"},
	} {
		text, ok := files["regcred-doctor/"+name]
		if !ok {
			t.Errorf("no %s in it", name)
		}
		for _, say := range says {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(say)) {
				t.Errorf("%s does not say %q:\n%s", name, say, text)
			}
		}
		if strings.Contains(text, "not-for-others") || name == "metrics.txt" && strings.Contains(text, "other_metric") {
			t.Errorf("%s says too much:\n%s", name, text)
		}
	}
	// Nothing is written over.
	if err := Bundle(t.Context(), f.options, report, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
}

func TestTooManyResultsAreCounted(t *testing.T) {
	r := &recorder{check: Catalogue()[8]} // clock
	for range 300 {
		r.find("clock-off", "", "off", "")
	}
	r.find("clock-wrong", "", "wrong", "")
	all := r.all()
	if len(all) != maxResults+2 || all[maxResults].Name != "clock-wrong" || all[maxResults+1].Message != "100 more results of this check are left out" {
		t.Errorf("%d results, the last are %+v", len(all), all[len(all)-2:])
	}
}

// What is to be pasted into a shell does what it says, whatever is in a
// configuration.
func TestFixesAreSafeToPaste(t *testing.T) {
	for text, want := range map[string]string{"/opt/bin/a-b_c.1": "/opt/bin/a-b_c.1", "/a b": "'/a b'", "/a'; rm -rf /": `'/a'\''; rm -rf /'`, "$(x)": "'$(x)'", "": "''"} {
		if got := quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if text := grant([]string{"a\nEOF\nrm -rf /"}); strings.Count(text, "\nEOF") != 1 {
		t.Errorf("the audience ends the document:\n%s", text)
	}
}

func TestMetricsAreRead(t *testing.T) {
	m := parseMetrics([]byte(`# TYPE x counter
kubelet_credential_provider_plugin_errors_total{plugin_name="a \"b\""} 2
kubelet_credential_provider_plugin_errors{plugin_name="c"} 1e0 1700000000
kubelet_credential_provider_plugin_duration_bucket{plugin_name="c",le="10"} 5
kubelet_credential_provider_plugin_duration_bucket{plugin_name="c",le="5"} 4
kubelet_credential_provider_plugin_duration_count{plugin_name="c"} 6
kubelet_credential_provider_config_info{hash="sha256:ab"} 1
kubelet_credential_provider_broken{plugin_name="c
kubelet_credential_provider_bare
`))
	if m.errors[`a "b"`] != 2 || m.errors["c"] != 1 || m.runs["c"] != 6 || m.slow["c"] != 1 || m.hash != "sha256:ab" || len(m.lines) != 8 {
		t.Errorf("got %+v", m)
	}
}

func TestProxiesAreFoundByTheirVariables(t *testing.T) {
	for value, want := range map[string]string{
		"http://proxy:3128": "proxy:3128", "proxy": "proxy:80", "proxy:8080": "proxy:8080", "https://u:p@proxy": "proxy:443",
		"socks5://proxy": "proxy:1080", "http://[fd00::1]:1": "[fd00::1]:1", "://": "", "http://": "", ":3128": "",
	} {
		if got, ok := proxyAddress(value); got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}
