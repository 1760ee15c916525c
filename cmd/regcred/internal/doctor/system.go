package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"time"

	"regcred/cmd/regcred/internal/registry"
	"regcred/shared/program"
)

// System is what the operating system is asked. A field that is nil is this
// machine's.
type System struct {
	Now func() time.Time

	// Synchronised reports whether something keeps the clock right.
	Synchronised func() (bool, error)

	// FileSystem describes where a directory is.
	FileSystem func(path string) (FileSystem, error)

	// Journal returns the newest lines of the systemd journal that match a
	// pattern. Directory is where the journal's files are; empty is its own.
	Journal func(ctx context.Context, directory, pattern string) ([]byte, error)

	// Dial connects to a TCP address.
	Dial func(ctx context.Context, address string) error

	// Registry asks a registry for an image without a login. Nil asks the
	// registry.
	Registry func(ctx context.Context, image string) ([]registry.Result, error)

	// Get gets a page of a server on this machine, without proving anything to
	// it.
	Get func(ctx context.Context, url string) ([]byte, error)
}

// FileSystem is what a directory is on.
type FileSystem struct {
	// Kind is what the kernel calls it, as far as it is known.
	Kind string

	// Memory means that it is on no disk.
	Memory bool

	ReadOnly, NoExec bool

	// Free is in bytes, and Files how many may still be made.
	Free, Files uint64
}

// errNoJournal is the error of a machine without a systemd journal.
var errNoJournal = errors.New("there is no journalctl here")

// orThis fills in what this machine has.
func (s System) orThis() System {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Synchronised == nil {
		s.Synchronised = synchronised
	}
	if s.FileSystem == nil {
		s.FileSystem = fileSystem
	}
	if s.Journal == nil {
		s.Journal = journal
	}
	if s.Dial == nil {
		s.Dial = dial
	}
	if s.Get == nil {
		s.Get = get
	}
	return s
}

// journal asks journalctl.
func journal(ctx context.Context, directory, pattern string) ([]byte, error) {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, errNoJournal
	}
	args := []string{"--no-pager", "--quiet", "--since=-1h", "--output=short-iso", "--lines=500", "--grep=" + pattern}
	if directory != "" {
		args = append(args, "--directory="+directory)
	}
	command := program.New(path, args...)
	command.Limit = 10 * time.Second
	result := command.Report(ctx)
	// 1 is that no line matches.
	if result.Err != nil && (!result.Exited || result.ExitCode != 1 || result.LastLine != "") {
		if result.LastLine != "" {
			return nil, fmt.Errorf("%w: %s", result.Err, result.LastLine)
		}
		return nil, result.Err
	}
	return result.Stdout, nil
}

const dialTimeout = 3 * time.Second

func dial(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: dialTimeout}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

// maxPage bounds a page. A kubelet's metrics have some hundred kilobytes.
const maxPage = 16 << 20

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSClientConfig: unverified()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxPage))
}
