package cloudtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"regcred/e2e/cloud"
)

// What proves an identity is for the cloud alone. What the cloud issues is in
// the answer and in the cache, and nowhere else, whatever comes of a run and
// however much the log is to tell.
func (s Suite[F]) secrecy(t *testing.T) {
	for outcome, fault := range map[string]cloud.Fault{
		"answered": nil,
		"refused":  cloud.Refusal{Status: 400, Code: "invalid_grant", Message: "no"},
		"broken":   cloud.NotJSON,
	} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			s.eachService(t, func(n *Node[F], e Errand, service, _ string) {
				if fault != nil {
					n.Cloud.Faults.Always(service, "", fault)
				}
				log := filepath.Join(n.T.TempDir(), "log")
				q := With(e.Question, "--v=9", "--log-level=debug", "--log-file", log)
				first, second := n.Ask(q), n.Ask(q)
				if succeeded := first.Exit == 0 && second.Exit == 0; succeeded != (fault == nil) {
					n.T.Fatalf("exit codes %d and %d: %s", first.Exit, second.Exit, first.Stderr)
				}
				written := Written(n.T, n.Cloud, log, first, second)
				if written[log] == "" {
					n.T.Error("there is no log")
				}
				n.wantNowhere(written, e.Secrets)
				for where := range written {
					if where != log && !strings.HasPrefix(where, "stderr") {
						delete(written, where)
					}
				}
				n.wantNowhere(written, n.Secrets())
				for where, text := range written {
					if secret := Secret(text); secret != "" {
						n.T.Errorf("%.20q… in %s may be a secret", secret, where)
					}
				}
			})
		})
	}
}

// wantNowhere fails the test if a secret is in what was written.
func (n *Node[F]) wantNowhere(written map[string]string, secrets []string) {
	n.T.Helper()
	for where, content := range written {
		for i, secret := range secrets {
			if strings.Contains(content, secret) {
				n.T.Errorf("secret %d is in %s", i, where)
			}
		}
	}
}

// Go prints the headers of HTTP/2 when the environment says so, tokens too.
func (s Suite[F]) debugging(t *testing.T) {
	for _, debug := range []string{"http2debug=2", "http2debug=1,netdns=2,gctrace=0"} {
		t.Run(debug, func(t *testing.T) {
			t.Parallel()
			s.waysIn(t, (*cloud.Cloud).SpeakHTTP2, func(n *Node[F], _ Way[F], e Errand) {
				log := filepath.Join(n.T.TempDir(), "log")
				q := With(e.Question, "--log-level=debug", "--log-file", log)
				q.Env = append(slices.Clone(q.Env), "GODEBUG="+debug)
				a := n.Ask(q)
				for _, call := range n.Cloud.Calls.All() {
					if !slices.Contains(n.Local, call.Service) && call.Protocol != "HTTP/2.0" {
						n.T.Errorf("%s was asked by %s: nothing is printed of that", call.Service, call.Protocol)
					}
				}
				written := map[string]string{"stderr": a.Stderr, "the log": read(n.T, log)}
				n.wantNowhere(written, e.Secrets)
				n.wantNowhere(written, n.Secrets())
				a.Stderr = "" // the log that was asked for
				n.WantLogin(a, e.Image, e.Owner)
			})
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The limits allow a core file, the runtime wants one, and there is none: it
// would hold the token. What the runtime prints instead holds none either.
func (s Suite[F]) coreDumps(t *testing.T) {
	const unlimited = `cd "$1" && shift && ulimit -c unlimited && exec "$@"`
	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGSEGV} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			control := exec.Command("sh", "-c", unlimited, "sh", t.TempDir(), "sleep", "60")
			if err := control.Start(); err != nil {
				t.Fatal(err)
			}
			Eventually(t, "sleep", func() bool { return strings.Contains(executable(control), "sleep") })
			_ = control.Process.Signal(signal)
			_ = control.Wait()
			if status, ok := control.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.CoreDump() {
				t.Skipf("nothing dumps its core here: %s", control.ProcessState)
			}
			s.ways(t, func(n *Node[F], way Way[F], e Errand) {
				q := e.Question
				q.Env = append(slices.Clone(q.Env), "GOTRACEBACK=crash")
				hanging := n.startHanging(q, way, "sh", "-c", unlimited, "sh", n.T.TempDir(), n.Plugin)
				if err := hanging.Process.Signal(signal); err != nil {
					n.T.Fatal(err)
				}
				a := hanging.Answer()
				if status, ok := hanging.ProcessState.Sys().(syscall.WaitStatus); !ok || status.CoreDump() {
					n.T.Errorf("ended with %s", hanging.ProcessState)
				}
				if a.Exit == 0 || a.Stdout != "" {
					n.T.Errorf("exit code %d and %d bytes on stdout", a.Exit, len(a.Stdout))
				}
				written := map[string]string{"stderr": a.Stderr}
				n.wantNowhere(written, e.Secrets)
				n.wantNowhere(written, n.Secrets())
				if secret := Secret(a.Stderr); secret != "" {
					n.T.Errorf("%.20q… on stderr may be a secret", secret)
				}
			})
		})
	}
}

func executable(command *exec.Cmd) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", command.Process.Pid))
	return path
}

// Other processes of the same user cannot look into a run: they would find the
// token in its memory. Root's capabilities are taken from both sides here.
func (s Suite[F]) closed(t *testing.T) {
	unprivileged := []string{"--inh-caps=-all", "--bounding-set=-all"}
	look := func(pid int) error {
		return exec.Command("setpriv", append(unprivileged, "cat", fmt.Sprintf("/proc/%d/environ", pid))...).Run()
	}
	open := exec.Command("setpriv", append(unprivileged, "sleep", "60")...)
	if err := open.Start(); err != nil {
		t.Skipf("no setpriv: %v", err)
	}
	defer func() { _ = open.Process.Kill(); _ = open.Wait() }()
	Eventually(t, "sleep", func() bool { return strings.Contains(executable(open), "sleep") })
	if err := look(open.Process.Pid); err != nil {
		t.Skipf("here every process is closed: %v", err)
	}

	n := s.boot(t)
	way := Way[F]{Fetch: n.Machine.Fetch}
	hanging := n.startHanging(n.Own(), way, "setpriv", append(unprivileged, n.Plugin)...)
	if err := look(hanging.Process.Pid); err == nil {
		t.Error("its environment can be read, and so can its memory")
	}
	_ = hanging.Process.Kill()
	hanging.Answer()
}
