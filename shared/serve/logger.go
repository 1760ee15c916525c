package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"regcred/shared/settings"
)

// logger is the log: structured lines on stderr, in the systemd journal and in
// a file. It is opened when something is first logged, so that a hit does not
// pay for it. A log that cannot be written never fails a request.
//
// The kubelet copies the stderr of a run that fails into its own log, as one
// line if it is one, and drops that of a run that succeeds. So unless somebody
// asked for more than warnings or sits at a terminal, what is logged goes to
// stderr only at the end of a run that succeeds.
type logger struct {
	*slog.Logger
	handler *lazyHandler
}

// newLogger returns the log that the settings ask for. Every line passes
// through redact.
func newLogger(name string, s *settings.Common, stderr io.Writer, redact func(string) string) logger {
	h := &lazyHandler{level: s.Level(), outlets: &outlets{name: name, settings: s, stderr: stderr, redact: redact}}
	if s.LogFile != "" || s.LogJournald == settings.On {
		// Whoever asked for it is told at once where it cannot be.
		h.outlets.all()
	}
	return logger{slog.New(h), h}
}

// record writes a line to the log but not to stderr, where a failure is written
// by itself.
func (l logger) record(level slog.Level, line string) {
	record := slog.NewRecord(time.Now(), level, line, 0)
	_ = l.handler.outlets.kept().Handle(context.Background(), record)
}

// flush writes to stderr what was held back for the end of a run that succeeds.
func (l logger) flush() { l.handler.outlets.flush() }

func (l logger) close() { l.handler.outlets.close() }

// lazyHandler passes records on to outlets that are opened for the first.
type lazyHandler struct {
	level   slog.Level
	outlets *outlets
	with    func(slog.Handler) slog.Handler // nil adds nothing
}

// Enabled compares levels and opens nothing.
func (h *lazyHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle writes a record to all outlets.
func (h *lazyHandler) Handle(ctx context.Context, record slog.Record) error {
	target := h.outlets.all()
	if h.with != nil {
		target = h.with(target)
	}
	return target.Handle(ctx, record)
}

// WithAttrs returns a handler that adds attributes.
func (h *lazyHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.derive(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

// WithGroup returns a handler that opens a group.
func (h *lazyHandler) WithGroup(name string) slog.Handler {
	return h.derive(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *lazyHandler) derive(add func(slog.Handler) slog.Handler) slog.Handler {
	derived := *h
	derived.with = add
	if h.with != nil {
		derived.with = func(next slog.Handler) slog.Handler { return add(h.with(next)) }
	}
	return &derived
}

// outlets are where log lines go.
type outlets struct {
	name     string
	settings *settings.Common
	stderr   io.Writer
	redact   func(string) string

	open   sync.Once
	file   *os.File
	held   bytes.Buffer // for stderr
	mu     sync.Mutex   // of held
	files  slog.Handler // all but stderr
	stream slog.Handler // all
}

func (o *outlets) all() slog.Handler {
	o.open.Do(o.start)
	return o.stream
}

func (o *outlets) kept() slog.Handler {
	o.open.Do(o.start)
	return o.files
}

// start opens the file and the journal, and says on the others what cannot be
// opened.
func (o *outlets) start() {
	options := &slog.HandlerOptions{Level: o.settings.Level(), ReplaceAttr: o.replace}
	var (
		handlers []slog.Handler
		problems []error
		err      error
	)
	if o.settings.LogFile != "" {
		if o.file, err = openLogFile(o.settings.LogFile); err == nil {
			handlers = append(handlers, slog.NewTextHandler(o.file, options).WithAttrs([]slog.Attr{slog.Int("pid", os.Getpid())}))
		} else {
			problems = append(problems, err)
		}
	}
	switch wanted := o.settings.LogJournald; {
	case wanted == settings.Off || wanted == settings.Auto && isTerminal(o.stderr):
	case journal.Enabled():
		handlers = append(handlers, slog.NewTextHandler(journaldWriter{o.name, journal.Send}, options))
	case wanted == settings.On:
		problems = append(problems, errors.New("there is no systemd journal here"))
	}
	o.files = slog.NewMultiHandler(handlers...)
	var stderr io.Writer = heldBack{o}
	if isTerminal(o.stderr) || o.settings.Level() < slog.LevelWarn {
		stderr = o.stderr
	}
	o.stream = slog.NewMultiHandler(append(handlers, slog.NewTextHandler(stderr, options))...)
	for _, problem := range problems {
		slog.New(o.stream).Warn("the log cannot be written as asked for", "error", problem)
	}
}

// replace redacts whatever text an attribute holds.
func (o *outlets) replace(_ []string, a slog.Attr) slog.Attr {
	if kind := a.Value.Kind(); kind == slog.KindString || kind == slog.KindAny {
		a.Value = slog.StringValue(o.redact(fmt.Sprint(a.Value.Any())))
	}
	return a
}

// heldBack holds back what is for stderr.
type heldBack struct{ *outlets }

// maxHeld bounds what is held back.
const maxHeld = 64 << 10

func (h heldBack) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held.Len() < maxHeld {
		h.held.Write(line)
	}
	return len(line), nil
}

func (o *outlets) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.held.WriteTo(o.stderr)
}

func (o *outlets) close() {
	if o.file != nil {
		_ = o.file.Close()
	}
}

// isTerminal reports whether a person sees what is written: it goes to a
// character device that is not /dev/null.
func isTerminal(w any) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// openLogFile opens a file to append to. What is there must be a file: opening
// a pipe would wait for its reader.
func openLogFile(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// journaldWriter sends lines to the systemd journal.
type journaldWriter struct {
	name string
	send func(text string, priority journal.Priority, fields map[string]string) error
}

// Write gives the journal a moment: one that is stuck must not hold up a pod.
func (w journaldWriter) Write(line []byte) (int, error) {
	sent := make(chan error, 1)
	text := strings.TrimRight(string(line), "\n")
	go func() {
		priority := journal.PriInfo
		switch {
		case strings.Contains(text, "level=ERROR"):
			priority = journal.PriErr
		case strings.Contains(text, "level=WARN"):
			priority = journal.PriWarning
		case strings.Contains(text, "level=DEBUG"):
			priority = journal.PriDebug
		}
		sent <- w.send(text, priority, map[string]string{"SYSLOG_IDENTIFIER": w.name})
	}()
	select {
	case err := <-sent:
		return len(line), err
	case <-time.After(100 * time.Millisecond):
		return len(line), errors.New("the systemd journal does not answer")
	}
}
