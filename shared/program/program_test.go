//go:build !windows

package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/shared/credential"
)

// The test binary is the plugin that is killed while a program runs.
func TestMain(m *testing.M) {
	if line := os.Getenv("RUN_PROGRAM"); line != "" {
		_, err := Line(line).Run(context.Background())
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// script makes a program of a shell's text.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "helper")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunReturnsWhatIsPrinted(t *testing.T) {
	helper := script(t, "#!/bin/sh\necho \"$#: $*, $VARIABLE\"\ncat\necho progress >&2\n")
	t.Setenv("VARIABLE", "inherited")
	for name, tc := range map[string]struct {
		command Command
		want    string
	}{
		"program and arguments":          {New(helper, "a b", "$x"), "2: a b $x, inherited\n"},
		"from PATH":                      {New("echo", "a"), "a\n"},
		"plain line":                     {Line(" " + helper + "  --role=a/b:c,d \t e "), "2: --role=a/b:c,d e, inherited\n"},
		"line for a shell":               {Line(helper + ` "a b" $VARIABLE | tr a-z A-Z`), "2: A B INHERITED, INHERITED\n"},
		"line with a variable":           {Line("VARIABLE=x " + helper), "0: , x\n"},
		"name in a line":                 {Line("echo a"), "a\n"},
		"script that says nothing of sh": {Line(script(t, "echo \"$1\"\n") + " a"), "a\n"},
		"stdin":                          {Command{argv: []string{"/bin/cat"}, Stdin: []byte("https://host\n")}, "https://host\n"},
		"stdin that nobody reads":        {Command{argv: []string{"/bin/echo"}, Stdin: make([]byte, 1<<20)}, "\n"},
		"environment":                    {Command{argv: []string{helper}, Env: []string{"VARIABLE=other"}}, "0: , other\n"},
		"no output":                      {New("true"), ""},
		"as much as there may be":        {Line("head -c 1048576 /dev/zero | tr '\\0' x"), strings.Repeat("x", 1<<20)},
		"late output of a child":         {Line("(sleep 0.2; echo late) &"), "late\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.command.Run(t.Context())
			if err != nil || string(got) != tc.want {
				t.Errorf("got %.80q, %v; want %.80q", got, err, tc.want)
			}
		})
	}
}

func TestErrorsOfAProgram(t *testing.T) {
	credential.NewSecret("hunter2hunter2")
	absent := filepath.Join(t.TempDir(), "absent")
	failing := script(t, "#!/bin/sh\necho out; echo one >&2; echo two >&2; exit 3\n")
	leaking := script(t, "#!/bin/sh\necho '{\"SecretAccessKey\":\"wJalrXUtn\"} hunter2hunter2' >&2; exit 3\n")
	lost := script(t, "#!/absent/interpreter\n")
	closed := script(t, "")
	if err := os.Chmod(closed, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		command Command
		stdout  string
		want    string
	}{
		"status":                 {New(failing), "out\n", "exit status 3 of " + failing + ", which printed: two"},
		"status, in silence":     {Line("exit 3"), "", "exit status 3 of exit"},
		"secrets on stderr":      {New(leaking), "", "exit status 3 of " + leaking + `, which printed: {"SecretAccessKey":"[redacted]"} [redacted]`},
		"arguments":              {Line("false --token hunter3"), "", "exit status 1 of false"},
		"variables":              {Line("TOKEN=hunter3 false"), "", "exit status 1 of the command line"},
		"a key on stderr":        {Line("echo why >&2; printf -- '-----BEGIN K-----\\nMIIE\\n' >&2; exit 1"), "", "exit status 1 of echo, which printed: why"},
		"a long line":            {Line("head -c 100000 /dev/zero | tr '\\0' ' ' >&2; exit 1"), "", "exit status 1 of head"},
		"a long word":            {Line("yes word | head -n 50000 | tr '\\n' ' ' >&2; exit 1"), "", "exit status 1 of yes, which printed: " + strings.Repeat("word ", 60) + "..."},
		"a signal":               {Line("kill -SEGV $$"), "", "end by signal (segmentation fault) of kill"},
		"absent":                 {New(absent), "", "start the program: no such file or directory: " + absent},
		"absent, from PATH":      {New("absent-helper"), "", "start the program: executable file not found in $PATH: absent-helper"},
		"absent, plain line":     {Line(absent + " a"), "", "start the program: no such file or directory: " + absent},
		"not executable":         {New(closed), "", "start the program: permission denied: " + closed},
		"no interpreter":         {New(lost), "", "start the program: no interpreter or loader for it (no such file or directory): " + lost},
		"an empty line":          {Line(" \t"), "", "empty command line"},
		"no command":             {Command{}, "", "empty command line"},
		"more than there may be": {Line("cat /dev/zero"), "", "more than 1 MiB on stdout from cat"},
		"a little more":          {Line("head -c 1048577 /dev/zero"), "", "more than 1 MiB on stdout from head"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.command.Run(t.Context())
			if err == nil || err.Error() != tc.want || string(got) != tc.stdout {
				t.Errorf("got %.80q, %v\nwant %s", got, err, tc.want)
			}
		})
	}
	if _, err := New(absent).Run(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// Nodes without a shell exist.
func TestAPlainLineNeedsNoShell(t *testing.T) {
	echo, err := exec.LookPath("echo")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		echo + " a":    "",
		echo + " 'a'":  "no shell /absent/sh for the command line: write an absolute path, and arguments without quotes",
		echo + " $a":   "no shell /absent/sh",
		echo + " a\nb": "no shell /absent/sh",
		echo + " ~":    "no shell /absent/sh",
		"echo a":       "no shell /absent/sh",
		"A=b " + echo:  "no shell /absent/sh",
		"./echo a":     "no shell /absent/sh",
	} {
		command := Line(line)
		command.shell = "/absent/sh"
		got, err := command.Run(t.Context())
		if want == "" && (err != nil || string(got) != "a\n") || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got %q, %v", line, got, err)
		}
	}
}

// Whatever a program does, it ends with its time, and with the context.
func TestAProgramEndsInTime(t *testing.T) {
	stopped := errors.New("stopped")
	for name, line := range map[string]string{
		"sleeps":                  "exec sleep 100",
		"has a child that sleeps": "sleep 100; true",
		"does not hear SIGTERM":   "trap '' TERM HUP INT; while :; do sleep 1; done",
		"closes its output":       "exec >&- 2>&-; sleep 100",
		"floods stderr":           "yes >&2",
		"stops itself":            "kill -STOP $$",
		"stops everybody":         "sleep 100 & kill -STOP 0",
		"reads a terminal":        "read x </dev/tty; sleep 100",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			command := Line(line)
			command.Limit = 200 * time.Millisecond
			_, err := command.Run(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "no result within 200ms from ") || len(err.Error()) > 400 {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(200*time.Millisecond, func() { cancel(stopped) })
			_, err = Line(line).Run(ctx)
			if !errors.Is(err, stopped) || !strings.HasPrefix(err.Error(), "stopped while ") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("two runs of 200 ms took %s", took)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := New("true").Run(ctx); !errors.Is(err, stopped) || err.Error() != "stopped before true was started" {
		t.Errorf("got %v", err)
	}
}

// A program that has left its group is not killed, and not waited for.
func TestADaemonKeepsNobodyWaiting(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip(err)
	}
	for line, stdin := range map[string][]byte{
		"setsid sleep 30 & echo a":                nil,
		"exec 3<&0; setsid sleep 30 <&3 & echo a": make([]byte, 1<<20),
		"setsid yes >&2 & echo a; sleep 0.1":      nil,
	} {
		start := time.Now()
		command := Line(line)
		command.Stdin = stdin
		got, err := command.Run(t.Context())
		if err != nil || string(got) != "a\n" {
			t.Errorf("%s: got %q, %v", line, got, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %s", line, took)
		}
	}
}

// sleeper returns a file, and shell text that starts a process of which the
// file has the number.
func sleeper(t *testing.T) (file, text string) {
	file = filepath.Join(t.TempDir(), "pid")
	return file, "sleep 100 >/dev/null 2>&1 & echo $! >" + file + "; "
}

// gone waits for the end of the process that a file has the number of.
func gone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if syscall.Kill(pid, 0) != nil || err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestNoProcessStaysBehind(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want string
	}{
		"after success":       {"echo a", ""},
		"after a failure":     {"exit 3", "exit status 3"},
		"after its time":      {"sleep 100", "no result within"},
		"after too much":      {"yes", "more than 1 MiB"},
		"after its own death": {"kill -KILL $$", "end by signal"},
	} {
		t.Run(name, func(t *testing.T) {
			file, child := sleeper(t)
			command := Line(child + tc.line)
			command.Limit = time.Second
			if _, err := command.Run(t.Context()); (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
			gone(t, file)
		})
	}
}

func TestAProgramEndsWithThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("only Linux can tell")
	}
	file := filepath.Join(t.TempDir(), "pid")
	plugin := exec.Command(os.Args[0])
	plugin.Env = append(os.Environ(), "RUN_PROGRAM=echo $$ >"+file+"; echo started >&2; exec sleep 100 >/dev/null 2>"+file+".stderr")
	if err := plugin.Start(); err != nil {
		t.Fatal(err)
	}
	for range 250 {
		if text, err := os.ReadFile(file + ".stderr"); err == nil && len(text) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := plugin.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = plugin.Wait()
	gone(t, file)
}

// Nobody is there to answer a program that asks at a terminal.
func TestAProgramHasNoTerminal(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("only Linux can tell")
	}
	got, err := Line("cut -d ' ' -f 6 /proc/self/stat; echo $$").Run(t.Context())
	lines := strings.Fields(string(got))
	if err != nil || len(lines) != 2 || lines[0] != lines[1] {
		t.Errorf("session and process are %q, %v", lines, err)
	}
}

func TestLastLine(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	for text, want := range map[string]string{
		"":                          "",
		"\n \n":                     "",
		"a\nb":                      "b",
		"a\r\nb\r\n\r\n":            "b",
		long + "\n":                 long[:8<<10],
		"a\n" + long + "b\nc\n":     "c",
		"a\n-----BEGIN X-----\nb\n": "a",
		"a\n-----BEGIN X-----\nb\n-----END X-----\nc": "c",
		"b\n-----END X-----\n":                        "b",
	} {
		if got := lastLine(bufio.NewReader(strings.NewReader(text))); got != want {
			t.Errorf("%.40q: got %.40q, want %.40q", text, got, want)
		}
	}
}

// Who tells about a program learns how it ended, and what it left behind.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	known := credential.NewSecret("report-swordfish")
	for name, tc := range map[string]struct {
		text     string
		limit    time.Duration
		want     Result
		wantErr  string
		wantHead string
	}{
		"success":       {"pwd; echo one >&2; echo two >&2", 0, Result{Stdout: []byte(dir + "\n"), LastLine: "two", Exited: true}, "", "one two"},
		"exit code":     {"echo said; exit 7", 0, Result{Stdout: []byte("said\n"), Exited: true, ExitCode: 7}, "exit status 7 of ", ""},
		"signal":        {"echo said; kill -TERM $$", 0, Result{Exited: true, ExitCode: -1}, "end by signal (terminated) of ", ""},
		"time":          {"exec sleep 60", 200 * time.Millisecond, Result{TimedOut: true, ExitCode: -1}, "no result within 200ms from ", ""},
		"left behind":   {"echo said; sleep 60 &", 0, Result{Stdout: []byte("said\n"), Exited: true, Held: true}, "", ""},
		"stderr alone":  {"echo said; sleep 60 >/dev/null &", 0, Result{Stdout: []byte("said\n"), Exited: true, Held: true}, "", ""},
		"left in peace": {"echo said; sleep 60 >/dev/null 2>&1 &", 0, Result{Stdout: []byte("said\n"), Exited: true}, "", ""},
		"secret":        {"echo first >&2; echo with " + known.Reveal() + " >&2; exit 1", 0, Result{LastLine: "with [redacted]", Exited: true, ExitCode: 1}, "exit status 1 of ", "first with [redacted]"},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(script(t, "#!/bin/sh\n"+tc.text+"\n"))
			c.Dir, c.Limit = dir, tc.limit
			got := c.Report(t.Context())
			if string(got.Stdout) != string(tc.want.Stdout) || got.Stderr != tc.wantHead || got.Exited != tc.want.Exited || got.ExitCode != tc.want.ExitCode ||
				got.TimedOut != tc.want.TimedOut || got.Held != tc.want.Held || tc.want.LastLine != "" && got.LastLine != tc.want.LastLine {
				t.Errorf("got %+v", got)
			}
			if (got.Err == nil) != (tc.wantErr == "") || got.Err != nil && !strings.HasPrefix(got.Err.Error(), tc.wantErr) {
				t.Errorf("got %v, want %q", got.Err, tc.wantErr)
			}
		})
	}
	if got := New(filepath.Join(dir, "nowhere")).Report(t.Context()); got.Err == nil || got.Exited || got.ExitCode != -1 {
		t.Errorf("got %+v", got)
	}
}

// What becomes known as a secret after a run is taken out of what it printed.
func TestRedactAgain(t *testing.T) {
	result := New(script(t, "#!/bin/sh\necho later-swordfish >&2\n")).Report(t.Context())
	if result.Stderr != "later-swordfish" {
		t.Fatalf("got %+v", result)
	}
	credential.NewSecret("later-swordfish")
	if result.Redact(); result.Stderr != "[redacted]" || result.LastLine != "[redacted]" {
		t.Errorf("got %+v", result)
	}
}
