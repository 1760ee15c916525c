// Package program runs a program that prints a credential: AWS's
// credential_process, the executable of a Google external account, a Docker
// credential helper.
//
// Such a program is somebody else's, and the kubelet waits for it. Whatever it
// does, a run ends in time, takes a bounded amount of memory, leaves no process
// of the program behind but a daemon, which has a session of its own, and says
// why it failed.
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
	// shown of it. maxHead bounds what is kept of stderr as a whole.
	maxStderr = 8 << 10
	maxShown  = 300
	maxHead   = 32 << 10

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

	// Dir is the program's working directory. Empty is this process's.
	Dir string

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
	result := c.Report(ctx)
	if result.Err == nil || result.LastLine == "" {
		return result.Stdout, result.Err
	}
	return result.Stdout, fmt.Errorf("%w, which printed: %s", result.Err, shorten(result.LastLine))
}

// Result is what a run came to.
type Result struct {
	// Stdout is what the program printed there, if it exited.
	Stdout []byte

	// Stderr is how what it printed there begins, and LastLine the last line of
	// it that is not empty. Either is one line without secrets that are known by
	// then.
	Stderr, LastLine string

	// Exited says that the program ended by itself, and ExitCode how. A program
	// that a signal ended has -1.
	Exited   bool
	ExitCode int

	// TimedOut says that it was killed because its time was over.
	TimedOut bool

	// Held says that a process which the program left behind still had its
	// stdout or stderr.
	Held bool

	// Err is one line without secrets, and nil if the program exited with status
	// 0 in time.
	Err error

	stderr, last string
}

// Redact is Stderr and LastLine without what has become known as a secret
// since the run.
func (r *Result) Redact() {
	r.Stderr = redact.Line(r.stderr, credential.Known()...)
	r.LastLine = redact.Line(r.last, credential.Known()...)
}

// Report is Run for a caller who tells about the program. Err has nothing of
// stderr.
func (c Command) Report(ctx context.Context) Result {
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
		return Result{ExitCode: -1, Err: err}
	}
	result := p.wait(ctx, cancel)
	result.Redact()
	cause := context.Cause(ctx)
	if result.Err == nil && !errors.Is(cause, errTooMuch) {
		result.Exited, result.ExitCode = true, 0
		return result
	}
	result.ExitCode = p.cmd.ProcessState.ExitCode()
	switch {
	case errors.Is(cause, errTooMuch):
		result.Err = fmt.Errorf("%w from %s", cause, c)
	case errors.Is(cause, errLimit):
		result.TimedOut, result.Err = true, fmt.Errorf("no result within %s from %s", limit, c)
	case cause != nil:
		result.Err = fmt.Errorf("%w while %s ran", cause, c)
	case result.ExitCode < 0:
		signal := strings.TrimPrefix(p.cmd.ProcessState.String(), "signal: ")
		result.Exited, result.Err = true, fmt.Errorf("end by signal (%s) of %s", signal, c)
	default:
		result.Exited, result.Err = true, fmt.Errorf("%w of %s", result.Err, c)
		return result
	}
	result.Stdout = nil
	return result
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
	cmd.Env, cmd.Dir = c.Env, c.Dir
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
func (p *process) wait(ctx context.Context, cancel context.CancelCauseFunc) (result Result) {
	var readers sync.WaitGroup
	stdoutRead, stderrRead := make(chan struct{}), make(chan struct{})
	readers.Go(func() {
		defer close(stdoutRead)
		result.Stdout, _ = io.ReadAll(io.LimitReader(p.stdout, maxStdout+1))
		if len(result.Stdout) > maxStdout {
			cancel(errTooMuch)
		}
	})
	var beginning head
	readers.Go(func() {
		defer close(stderrRead)
		result.last = lastLine(io.TeeReader(p.stderr, &beginning))
	})

	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	held := false
	err := wait(p.cmd, func() {
		select {
		case <-stdoutRead:
		case <-ctx.Done():
		case <-time.After(lateOutput):
			held = true
		}
		select {
		case <-stderrRead:
		case <-ctx.Done():
		case <-time.After(lateOutput / 10):
			held = true
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
	result.stderr, result.Held, result.Err = string(beginning), held, err
	return result
}

// head keeps the beginning of what is written to it.
type head []byte

func (h *head) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), maxHead-len(*h))]...)
	return len(p), nil
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
