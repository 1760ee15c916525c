//go:build linux

package install_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
)

// output is what a program has written so far.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// start starts the tool in the background. stop ends it as the kubelet does,
// which is to take no time.
func start(t *testing.T, args ...string) (said *output, pid int, stop func()) {
	t.Helper()
	said = &output{}
	command := exec.Command(regcred, args...)
	command.Env = []string{"PATH=/usr/bin:/bin"}
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	return said, command.Process.Pid, func() {
		t.Helper()
		begin := time.Now()
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := command.Wait(); err != nil {
			t.Errorf("regcred %q: %v: %s", args, err, said)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("regcred %q took %s to end", args, took)
		}
	}
}

// threads is what the kernel tells of a process's threads, and whether all of
// them sleep.
func threads(pid int) (told string, asleep bool) {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	asleep = len(names) > 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		_, state, _ := strings.Cut(string(text), ") ")
		asleep = asleep && err == nil && strings.HasPrefix(state, "S")
		told += string(text)
	}
	return told, asleep
}

func TestWaitUntilStopped(t *testing.T) {
	said, pid, stop := start(t, "wait")
	// A program that has still to begin runs, or would if it could.
	last := ""
	cloudtest.Eventually(t, "it waits", func() bool {
		told, asleep := threads(pid)
		waits := asleep && told == last
		last = told
		return waits
	})
	stop()
	if said.String() != "" {
		t.Errorf("it says %q", said)
	}
}

func TestStatusAgainAndAgain(t *testing.T) {
	root := t.TempDir()
	image(t, root)
	textfile := filepath.Join(t.TempDir(), "regcred.prom")
	said, _, stop := start(t, "status", "--root", root, "--every", "20ms", "--textfile", textfile)
	// It speaks after it has written.
	both := func(metrics, words string, times int) func() bool {
		return func() bool {
			text, err := os.ReadFile(textfile)
			return err == nil && strings.Contains(string(text), metrics) && strings.Count(said.String(), words) == times
		}
	}
	cloudtest.Eventually(t, "nothing is installed", both(" 0\n# HELP regcred_installed_files_changed", "nothing is installed", 1))
	run(t, "install", "--root", root).want(t, 0)
	cloudtest.Eventually(t, "something is", both(" 1\n# HELP regcred_installed_files_changed", "all is well", 1))
	if err := os.RemoveAll(filepath.Join(root, "var/lib/regcred")); err != nil {
		t.Fatal(err)
	}
	cloudtest.Eventually(t, "nothing is again", both(" 0\n# HELP regcred_installed_files_changed", "nothing is installed", 2))
	// What keeps it from writing passes.
	if err := os.Rename(filepath.Dir(textfile), filepath.Dir(textfile)+".away"); err != nil {
		t.Fatal(err)
	}
	cloudtest.Eventually(t, "it complains", func() bool { return strings.Contains(said.String(), "textfile:") })
	if err := os.Rename(filepath.Dir(textfile)+".away", filepath.Dir(textfile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(textfile); err != nil {
		t.Fatal(err)
	}
	cloudtest.Eventually(t, "it goes on", both(" 0\n# HELP regcred_installed_files_changed", "nothing is installed", 3))
	stop()
	// It spoke when something had changed, and not every time that it looked.
	for words, want := range map[string]int{"nothing is installed": 3, "all is well": 1, "textfile:": 1} {
		if got := strings.Count(said.String(), words); got != want {
			t.Errorf("it says %q %d times, want %d:\n%s", words, got, want, said)
		}
	}
}

func TestWaitForADaemonSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers []string // one after the other, the last for good
		timeout string
		code    int
		words   []string
	}{
		{"nodes are done one after the other", []string{
			`{"metadata":{"generation":2},"status":{"observedGeneration":1,"desiredNumberScheduled":2,"updatedNumberScheduled":2,"numberReady":2}}`,
			`{"metadata":{"generation":2},"status":{"observedGeneration":2,"desiredNumberScheduled":2,"updatedNumberScheduled":2,"numberReady":1}}`,
			`{"metadata":{"generation":2},"status":{"observedGeneration":2,"desiredNumberScheduled":2,"updatedNumberScheduled":2,"numberReady":2}}`,
		}, "1m", 0, []string{"its controller has not seen it yet", "1 of 2 nodes are done", "2 nodes are done"}},
		{"a node is never done", []string{
			`{"metadata":{"generation":1},"status":{"observedGeneration":1,"desiredNumberScheduled":3,"updatedNumberScheduled":3,"numberReady":2}}`,
		}, "1s", 1, []string{"not within 1s", "2 of 3 nodes are done"}},
		{"a node has an old pod", []string{
			`{"metadata":{"generation":1},"status":{"observedGeneration":1,"desiredNumberScheduled":3,"updatedNumberScheduled":1,"numberReady":3}}`,
		}, "1s", 1, []string{"1 of 3 nodes are done"}},
		{"the server is away for a while", []string{
			"503", `{"metadata":{"generation":1},"status":{"observedGeneration":1,"desiredNumberScheduled":1,"updatedNumberScheduled":1,"numberReady":1}}`,
		}, "1m", 0, []string{"refused with 503", "1 nodes are done"}},
		{"there is none", []string{"404"}, "1m", 1, []string{"refused with 404"}},
		{"it may not", []string{"403"}, "1m", 1, []string{"refused with 403"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/apis/apps/v1/namespaces/kube-system/daemonsets/regcred-uninstall" {
					t.Errorf("asked for %s %s", r.Method, r.URL)
				}
				answer := c.answers[min(asked, len(c.answers)-1)]
				asked++
				var code int
				if n, _ := fmt.Sscanf(answer, "%d", &code); n == 1 {
					w.WriteHeader(code)
					answer = fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"refused with %d","code":%d}`, code, code)
				}
				_, _ = fmt.Fprint(w, answer)
			}))
			defer server.Close()
			authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
			content := fmt.Sprintf(`{"clusters":[{"name":"a","cluster":{"server":%q,"certificate-authority-data":%q}}],
"users":[{"name":"a","user":{"token":"t"}}],"contexts":[{"name":"a","context":{"cluster":"a","user":"a"}}],"current-context":"a"}`,
				server.URL, base64.StdEncoding.EncodeToString(authority))
			if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), regcred, "wait", "--daemonset", "kube-system/regcred-uninstall", "--timeout", c.timeout)
			command.Env = []string{"KUBECONFIG=" + kubeconfig}
			finish(t, command).want(t, c.code, c.words...)
		})
	}
}
