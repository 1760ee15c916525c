//go:build unix && !race

package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/shared/kubelet"
)

// The race detector makes these tests take minutes, and finds nothing in them.

// used is the processor time that this process has had. The machine may be busy
// with others.
func used(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// wantLinear fails the test if four times as much takes much more than four
// times as long.
func wantLinear(t *testing.T, n int, run func(n int)) {
	t.Helper()
	cost := func(n int) time.Duration {
		best := time.Hour
		for range 2 {
			began := used(t)
			run(n)
			best = min(best, used(t)-began)
		}
		return best
	}
	cost(n / 4)
	small, large := cost(n), cost(4*n)
	if large > 7*small && large > 500*time.Millisecond {
		t.Errorf("%d take %s, and %d take %s", n, small, 4*n, large)
	}
}

// A file of any size has a verdict in time, and problems that can be read.
func TestLargeConfigs(t *testing.T) {
	for name, text := range map[string]func(list []string) string{
		"patterns": func(list []string) string {
			return strings.Replace(configuration("a"), "[a.example.com]", "["+strings.Join(list, ", ")+"]", 1)
		},
		"annotations": func(list []string) string {
			return configuration("a") + "  tokenAttributes: {optionalServiceAccountAnnotationKeys: [" + strings.Join(list, ", ") + "]}\n"
		},
		"documents": func(list []string) string { return configuration("a") + strings.Repeat("---\nx: 1\n", len(list)) },
		"providers": func(list []string) string {
			names := list[:len(list)/16]
			return configuration(names...) + configuration(names...)[len(configuration()):]
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantLinear(t, 10_000, func(n int) {
				list := make([]string, n)
				for i := range list {
					list[i] = fmt.Sprintf("Registry-%d.example.com", i)
				}
				config, _ := kubelet.Parse("c.yaml", []byte(text(list)))
				if len(config.Problems) > 501 {
					t.Errorf("%d problems", len(config.Problems))
				}
				for _, m := range config.Match("registry.example.com/app") {
					if m.Matched || m.Reason == "" {
						t.Errorf("%+v", m)
					}
				}
				if last := config.Problems[len(config.Problems)-1]; name == "patterns" && n > 500 && last.Message != fmt.Sprintf("%d more problems", n-500) {
					t.Errorf("%d: %s", n, last)
				}
			})
		})
	}
}

// An answer as large as any is read, or refused, in time, and in brief.
func TestLargeAnswers(t *testing.T) {
	const head = `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Image","auth":{`
	dir := t.TempDir()
	provider := &kubelet.Provider{}
	provider.Name, provider.APIVersion = "answer", "credentialprovider.kubelet.k8s.io/v1"
	entries := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"r%d.example.com":{"username":"u","password":"swordfish-%d"}`, i, i)
		}
		return b.String()[1:]
	}
	for name, text := range map[string]func(n int) string{
		"good":    func(n int) string { return head + entries(n) + "}}" },
		"unknown": func(n int) string { return head + strings.ReplaceAll(entries(n), "username", "user name") + "}}" },
		"types":   func(n int) string { return head + strings.ReplaceAll(entries(n), `"u"`, "1") + "}}" },
		"empty":   func(n int) string { return head + strings.ReplaceAll(entries(n), `"u"`, `""`) + "}}" },
		"deep":    func(n int) string { return strings.Repeat("[", 100*n) },
		"nested":  func(n int) string { return head + strings.Repeat(`"x":{`, 20*n) },
	} {
		t.Run(name, func(t *testing.T) {
			wantLinear(t, 500, func(n int) {
				if err := os.WriteFile(filepath.Join(dir, "text"), []byte(text(n)), 0o600); err != nil {
					t.Fatal(err)
				}
				script(t, filepath.Join(dir, "answer"), "cat >/dev/null; echo swordfish-77 >&2; cat '"+dir+"/text'")
				o := kubelet.Runner{BinDir: dir}.Ask(t.Context(), provider, "r.example.com/app", kubelet.Pod{})
				if refused := name != "good" && name != "empty"; refused != (o.Err != nil) {
					t.Errorf("%.300v", o.Err)
				}
				if len(o.Problems) > 102 || len(fmt.Sprint(o.Err)) > 8<<10 {
					t.Errorf("%d problems, %d bytes", len(o.Problems), len(fmt.Sprint(o.Err)))
				}
				if name == "good" && strings.Contains(fmt.Sprintf("%+v", o), "swordfish-") {
					t.Error("a secret is told")
				}
			})
		})
	}
}
