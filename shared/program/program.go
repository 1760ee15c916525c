// Package program runs a program that prints a credential: AWS's
// credential_process, the executable of a Google external account, a Docker
// credential helper.
//
// Such a program is somebody else's, and the kubelet waits for it. Whatever it
// does, a run ends in time, takes a bounded amount of memory, leaves no process
// of the program behind, and says why it failed.
package program

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

const (
	// DefaultLimit is how long a program may take: less than the kubelet gives
	// a plugin, by enough to use what it printed.
	DefaultLimit = 30 * time.Second

	// maxStdout bounds what a program may print.
	maxStdout = 1 << 20

	// maxStderr bounds the line of stderr that is kept, and maxShown what is
	// shown of it.
	maxStderr = 8 << 10
	maxShown  = 300

	// lateOutput is for how long stdout is waited for once the program itself
	// has ended: a process that it started may have it still.
	lateOutput = time.Second
)

// Command is a program to run.
type Command struct {
	// argv is the program and its arguments. Nil means that a shell has to
	// read the line.
	argv []string

	// line is a command line, and shell what reads it. An empty line means
	// that argv is all there is.
	line, shell string

	// Env is the program's environment, as name=value. Nil is this process's.
	Env []string

	// Stdin is what the program reads. Nil is nothing.
	Stdin []byte

	// Limit is how long the program may take. Zero is DefaultLimit.
	Limit time.Duration
}

// New is a program with its arguments. A name without a slash is looked for in
// $PATH.
func New(name string, args ...string) Command {
	return Command{argv: append([]string{name}, args...)}
}

// Line is a command line, such as that of a credential_process. A shell reads
// it, as with AWS's own tools, unless it is an absolute path with plain
// arguments: then there need not be a shell.
func Line(line string) Command {
	c := Command{line: line, shell: systemShell()}
	words := strings.Fields(line)
	if len(words) > 0 && filepath.IsAbs(words[0]) && !strings.ContainsFunc(line, special) {
		c.argv = words
	}
	return c
}

// special reports whether a character may mean something to a shell.
func special(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune(plain, r)
}

// String names the program. It leaves out the arguments, which may be secrets.
func (c Command) String() string {
	switch words := strings.Fields(c.line); {
	case c.argv != nil:
		return c.argv[0]
	case len(words) > 0 && !strings.ContainsFunc(words[0], special) && !strings.Contains(words[0], "="):
		return words[0]
	default:
		return "the command line"
	}
}

var (
	errLimit   = errors.New("time limit")
	errTooMuch = errors.New("more than 1 MiB on stdout")
)

// Run returns what the program printed on stdout. If the program exited with
// another status than 0, what it printed comes with the error: some programs
// say there what went wrong. All processes of the program are killed when it
// has exited, and when its time or the context is over; on Linux the program
// is killed with this process, and on Windows all of them are.
//
// Errors are one line without secrets, with the last line that the program
// printed on stderr.
func (c Command) Run(ctx context.Context) ([]byte, error) {
	limit := c.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	ctx, end := context.WithTimeoutCause(ctx, limit, errLimit)
	defer end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	// Linux kills a program not with the process but with the thread that
	// started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	p, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	stdout, stderr, err := p.wait(ctx, cancel)
	cause := context.Cause(ctx)
	if err == nil && !errors.Is(cause, errTooMuch) {
		return stdout, nil
	}
	printed := ""
	if stderr != "" {
		printed = ", which printed: " + shorten(redact.Line(stderr, credential.Known()...))
	}
	switch {
	case errors.Is(cause, errTooMuch):
		return nil, fmt.Errorf("%w from %s%s", cause, c, printed)
	case errors.Is(cause, errLimit):
		return nil, fmt.Errorf("no result within %s from %s%s", limit, c, printed)
	case cause != nil:
		return nil, fmt.Errorf("%w while %s ran%s", cause, c, printed)
	case p.cmd.ProcessState.ExitCode() < 0:
		signal := strings.TrimPrefix(p.cmd.ProcessState.String(), "signal: ")
		return nil, fmt.Errorf("end by signal (%s) of %s%s", signal, c, printed)
	default:
		return stdout, fmt.Errorf("%w of %s%s", err, c, printed)
	}
}

// shorten keeps a line to what an operator reads.
func shorten(line string) string {
	if len(line) <= maxShown {
		return line
	}
	return strings.ToValidUTF8(line[:maxShown], "") + "..."
}

// start starts the program itself, or a shell for it.
func (c Command) start(ctx context.Context) (*process, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w before %s was started", context.Cause(ctx), c)
	}
	if c.argv != nil {
		p, err := c.startProcess(c.argv)
		if c.line == "" || !isScript(err) {
			return p, c.explain(err)
		}
		// It does not say what runs it. A shell does.
	}
	if strings.TrimSpace(c.line) == "" {
		return nil, errors.New("empty command line")
	}
	p, err := c.startProcess(shellArgs(c.shell, c.line))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no shell %s for the command line: write an absolute path, and arguments without quotes", c.shell)
	}
	return p, c.explain(err)
}

// explain puts what the system said in front of the name.
func (c Command) explain(err error) error {
	if err == nil {
		return nil
	}
	if path, ok := errors.AsType[*os.PathError](err); ok {
		err = path.Err
	} else if lookup, ok := errors.AsType[*exec.Error](err); ok {
		err = lookup.Err
	}
	if _, found := os.Stat(c.String()); found == nil && errors.Is(err, fs.ErrNotExist) { //nolint:gosec // As the operator wrote it.
		return fmt.Errorf("start the program: no interpreter or loader for it (%w): %s", err, c)
	}
	return fmt.Errorf("start the program: %w: %s", err, c)
}

// process is a program that runs, and whatever it has started.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *os.File

	mu    sync.Mutex
	group group
	ended bool
}

// startProcess starts a program in a group of its own.
func (c Command) startProcess(argv []string) (*process, error) {
	// Its end is not left to exec's context: that would kill one process.
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx
	cmd.Env = c.Env
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.WaitDelay = lateOutput
	cmd.SysProcAttr = attributes(argv)

	stdout, toStdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = toStdout.Close() }()
	stderr, toStderr, err := os.Pipe()
	if err != nil {
		_ = stdout.Close()
		return nil, err
	}
	defer func() { _ = toStderr.Close() }()
	cmd.Stdout, cmd.Stderr = toStdout, toStderr

	p := &process{cmd: cmd, stdout: stdout, stderr: stderr}
	if err := cmd.Start(); err != nil {
		_, _ = stdout.Close(), stderr.Close()
		return nil, err
	}
	p.group = newGroup(cmd.Process)
	return p, nil
}

// wait waits until the program has exited or the context is over, and returns
// what it printed. If that is too much, it cancels the context.
func (p *process) wait(ctx context.Context, cancel context.CancelCauseFunc) (stdout []byte, stderr string, err error) {
	var readers sync.WaitGroup
	stdoutRead := make(chan struct{})
	readers.Go(func() {
		defer close(stdoutRead)
		stdout, _ = io.ReadAll(io.LimitReader(p.stdout, maxStdout+1))
		if len(stdout) > maxStdout {
			cancel(errTooMuch)
		}
	})
	readers.Go(func() { stderr = lastLine(p.stderr) })

	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	err = wait(p.cmd, func() {
		select {
		case <-stdoutRead:
		case <-ctx.Done():
		case <-time.After(lateOutput):
		}
		p.end()
	})
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // It exited without an error; somebody has its stdin still.
	}
	// Whoever has left the group may have the pipes still. What is in them by
	// now is read.
	soon := time.Now().Add(lateOutput / 10)
	_, _ = p.stdout.SetReadDeadline(soon), p.stderr.SetReadDeadline(soon)
	readers.Wait()
	_, _ = p.stdout.Close(), p.stderr.Close()
	return stdout, stderr, err
}

// kill kills all processes of the program, unless they have ended.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.group.kill()
	}
}

// end kills what the program has left behind. From then on its group may be
// somebody else's.
func (p *process) end() {
	p.kill()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.group.close()
}

// lastLine returns the last line that is not empty, up to a bound. Lines of a
// PEM block do not count: one of them looks like any word.
func lastLine(r io.Reader) string {
	lines := bufio.NewReaderSize(r, maxStderr)
	var last string
	inBlock, inLine := false, false
	for {
		line, more, err := lines.ReadLine()
		if err != nil {
			return last
		}
		switch {
		case inLine:
		case bytes.Contains(line, []byte("-----END")):
			inBlock = false
		case bytes.Contains(line, []byte("-----BEGIN")):
			inBlock = true
		case !inBlock && len(bytes.TrimSpace(line)) > 0:
			last = string(line)
		}
		inLine = more
	}
}
