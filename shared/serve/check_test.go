package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/shared/check"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/plugin"
)

// identified is the cloud with an identity of the node.
type identified struct{ *cloud }

func (i identified) Provider(plugin.Run) (credential.Provider, error) { return i, nil }

func (i identified) NodeIdentity() (credential.TokenSource, error) { return nodeToken(i), nil }

type nodeToken struct{ *cloud }

func (nodeToken) String() string      { return "the metadata service as the node" }
func (nodeToken) Key() credential.Key { return credential.Key{"node"} }
func (n nodeToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	c, err := n.fetch(ctx)
	return credential.Token{Value: c.Password, Expires: c.Expires, Caller: "role node"}, err
}

// reported reads the report of a run, in which there is no password.
func reported(t *testing.T, got result) check.Report {
	t.Helper()
	var report check.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.stderr != "" {
		t.Fatalf("%v: %+v", err, got)
	}
	if strings.Contains(got.stdout, "password") || strings.Contains(got.stdout, claims) {
		t.Errorf("a secret is told: %s", got.stdout)
	}
	return report
}

func TestACheckTellsWhatCameOfIt(t *testing.T) {
	refusal := &credential.Failure{Problem: "the cloud refuses password1", Advice: "grant it", Evidence: "sts, status 403", Permanent: true}
	credential.NewSecret("password1")
	for name, test := range map[string]struct {
		stdin   string
		fetch   func(context.Context) (credential.Credential, error)
		code    int
		want    check.Outcome
		failure *check.Failure
	}{
		"a credential": {request, issue(time.Hour), 0, check.Obtained, nil},
		"anonymous": {request, func(context.Context) (credential.Credential, error) {
			return credential.Anonymous(time.Now().Add(time.Hour)), nil
		}, 0, check.Anonymous, nil},
		"another's host":    {strings.ReplaceAll(request, "registry.cloud", "quay.io"), nil, 0, check.NotMine, nil},
		"nobody's identity": {"", nil, 0, check.NoIdentity, nil},
		"a refusal":         {request, func(context.Context) (credential.Credential, error) { return credential.Credential{}, refusal }, 1, check.Failed, &check.Failure{Problem: "the cloud refuses [redacted]", Advice: "grant it", Evidence: "sts, status 403", Permanent: true}},
		"no failure": {request, func(context.Context) (credential.Credential, error) {
			return credential.Credential{}, errors.New("odd")
		}, 1, check.Failed, &check.Failure{Problem: "odd"}},
		"a broken request":       {"{", nil, 1, check.Failed, &check.Failure{Problem: "request on stdin: not a single JSON object of a CredentialProviderRequest"}},
		"a pod that has no role": {podRequest("none"), nil, 1, check.Failed, &check.Failure{Problem: "service account ns/sa has no role"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := start(t.Context(), test.fetch, test.stdin, "--check", "--cache-dir=/nowhere/cache")
			report := reported(t, got)
			if got.code != test.code || report.Outcome != test.want || !reflect.DeepEqual(report.Failure, test.failure) {
				t.Errorf("exit code %d, %s, %+v; want %d, %s, %+v", got.code, report.Outcome, report.Failure, test.code, test.want, test.failure)
			}
			if report.APIVersion != check.APIVersion || report.Kind != check.Kind || report.Plugin != "cloud-credential-provider" || report.Version == "" || report.CacheDir != "/nowhere/cache" {
				t.Errorf("report %+v", report)
			}
			if (report.Expires != nil) != (test.want == check.Obtained || test.want == check.Anonymous) {
				t.Errorf("expires %v", report.Expires)
			}
		})
	}
}

// Without a request it is the node's identity that is checked.
func TestACheckOfTheNodesIdentity(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	for name, fetch := range map[string]func(context.Context) (credential.Credential, error){
		"there": issue(time.Hour),
		"not there": func(context.Context) (credential.Credential, error) {
			return credential.Credential{}, &credential.Failure{Problem: "no role is attached"}
		},
	} {
		var stdout, stderr bytes.Buffer
		p := process{
			plugin: plugin.Plugin{Name: "cloud-credential-provider", Kind: "CloudConfig", New: func() plugin.Settings { return identified{&cloud{fetch: fetch}} }},
			args:   []string{"--check", "--cache-dir="}, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
		}
		code := p.run(t.Context())
		report := reported(t, result{code, stdout.String(), stderr.String()})
		if report.Source != "the metadata service as the node" || report.Image != "" {
			t.Errorf("%s: report %+v", name, report)
		}
		switch name {
		case "there":
			if code != 0 || report.Outcome != check.Obtained || report.Caller != "role node" || report.Expires.Sub(expires).Abs() > time.Minute {
				t.Errorf("exit code %d, %+v", code, report)
			}
		default:
			if code != 1 || report.Outcome != check.Failed || report.Failure.Problem != "no role is attached" {
				t.Errorf("exit code %d, %+v", code, report)
			}
		}
	}
}

// What a check obtains is not what is in the cache, and does not get there.
func TestACheckIsMadePastTheCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	asked := 0
	fetch := func(ctx context.Context) (credential.Credential, error) {
		asked++
		return issue(time.Hour)(ctx)
	}
	for i, args := range [][]string{{"--check"}, nil, nil, {"--check"}} {
		if got := start(t.Context(), fetch, request, append(args, "--cache-dir="+dir)...); got.code != 0 {
			t.Fatalf("run %d: %+v", i, got)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times, want 3: by each check, and once for the cache", asked)
	}
}

func TestACheckTellsWhoWasAsked(t *testing.T) {
	date, received := time.Now().Add(-time.Hour).UTC().Truncate(time.Second), time.Now().UTC()
	p := process{}
	var report check.Report
	for _, a := range []cloudhttp.Attempt{
		{Host: "169.254.169.254", Metadata: true, Number: 1, Took: 1500 * time.Microsecond, Err: errors.New("refused\nby nobody"), Received: received},
		{Host: "sts.example.com", Number: 1, Status: 403, Date: date, Received: received},
		{Host: "169.254.169.254", Metadata: true, Number: 2, Status: 200, Received: received},
		{Host: "169.254.169.254", Metadata: true, Number: 1, Err: fmt.Errorf("given up: %w", context.Canceled), Received: received},
	} {
		p.asked(&report, a)
	}
	want := []check.Asked{
		{Host: "169.254.169.254", Times: 3, Metadata: true, Status: 200, Received: received},
		{Host: "sts.example.com", Times: 1, Status: 403, Date: &date, Received: received},
	}
	if !reflect.DeepEqual(report.Asked, want) {
		t.Errorf("got %+v, want %+v", report.Asked, want)
	}
	if skew, ok := report.Asked[1].Skew(); !ok || skew.Round(time.Minute) != -time.Hour {
		t.Errorf("skew %s, %t", skew, ok)
	}
	if _, ok := report.Asked[0].Skew(); ok {
		t.Error("a skew from nothing")
	}
}

func TestACheckTellsTheFilesOfTheSettings(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("apiVersion: regcred/v1\nkind: CloudConfig\ncaFile: /a/ca.pem\nlogFile: /a/log\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := start(t.Context(), nil, "", "--check", "--cache-dir=", "--config="+config)
	report := reported(t, got)
	want := []check.File{{Setting: "config", Path: config}, {Setting: "caFile", Path: "/a/ca.pem"}}
	if !reflect.DeepEqual(report.Files, want) {
		t.Errorf("got %+v, want %+v", report.Files, want)
	}
	nested := map[string]any{"registries": map[string]any{"a.io": map[string]any{"clientSecretFile": "/s", "clientID": "x"}}}
	several := map[string]any{"files": []any{"/a", "/b"}, "others": []any{"/c"}}
	if files := filesIn("", several); !slices.Equal(files, []check.File{{Setting: "files[0]", Path: "/a"}, {Setting: "files[1]", Path: "/b"}}) {
		t.Errorf("got %+v", files)
	}
	if files := filesIn("", nested); len(files) != 1 || files[0] != (check.File{Setting: "registries.a.io.clientSecretFile", Path: "/s"}) {
		t.Errorf("got %+v", files)
	}
}
