package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"

	"regcred/shared/settings"
)

// journal is the log: structured lines on stderr, and wherever else the
// operator wants them. A log that can not be written never fails a request.
type journal struct {
	*slog.Logger

	// kept is the log without stderr, where a failure is written by itself.
	kept *slog.Logger
	file *os.File
}

// openJournal opens the log that the settings ask for. Every line passes
// through redact.
func openJournal(name string, s *settings.Common, stderr io.Writer, redact func(string) string) journal {
	level, err := s.Level()
	if err != nil {
		level = slog.LevelWarn
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch value := a.Value.Any().(type) {
		case string:
			a.Value = slog.StringValue(redact(value))
		case error:
			a.Value = slog.StringValue(redact(value.Error()))
		case fmt.Stringer:
			if a.Key != slog.TimeKey {
				a.Value = slog.StringValue(redact(value.String()))
			}
		}
		return a
	}}
	var (
		j        journal
		handlers []slog.Handler
		problems []error
	)
	if s.LogFile != "" {
		if j.file, err = openLogFile(s.LogFile); err == nil {
			handlers = append(handlers, slog.NewTextHandler(j.file, options).WithAttrs([]slog.Attr{slog.Int("pid", os.Getpid())}))
		} else {
			problems = append(problems, err)
		}
	}
	if s.LogJournald {
		if systemd.Enabled() {
			handlers = append(handlers, slog.NewTextHandler(journaldWriter{name, systemd.Send}, options))
		} else {
			problems = append(problems, errors.New("the systemd journal is not there"))
		}
	}
	j.kept = slog.New(slog.NewMultiHandler(handlers...))
	j.Logger = slog.New(slog.NewMultiHandler(append(handlers, slog.NewTextHandler(stderr, options))...))
	for _, problem := range problems {
		j.Warn("the log can not be written as asked for", "error", problem)
	}
	return j
}

// record writes a line to the log but not to stderr. Before the log is open it
// does nothing.
func (j journal) record(level slog.Level, line string) {
	if j.kept != nil {
		j.kept.Log(context.Background(), level, line)
	}
}

func (j journal) close() {
	if j.file != nil {
		_ = j.file.Close()
	}
}

// openLogFile opens a file to append to. What is there must be a file: opening
// a pipe would wait for its reader.
func openLogFile(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file", path)
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// journaldWriter sends lines to the systemd journal.
type journaldWriter struct {
	name string
	send func(text string, priority systemd.Priority, fields map[string]string) error
}

// Write gives the journal a moment: one that is stuck must not hold up a pod.
func (w journaldWriter) Write(line []byte) (int, error) {
	sent := make(chan error, 1)
	text := strings.TrimRight(string(line), "\n")
	go func() {
		priority := systemd.PriInfo
		switch {
		case strings.Contains(text, "level=ERROR"):
			priority = systemd.PriErr
		case strings.Contains(text, "level=WARN"):
			priority = systemd.PriWarning
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
