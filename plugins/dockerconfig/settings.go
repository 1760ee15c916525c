package dockerconfig

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

// Settings are the plugin's own and those that every plugin has.
type Settings struct {
	settings.Common

	// Files are docker configurations to read before those of the usual places.
	// Each has to be there.
	Files []string `json:"files,omitempty"`

	// DefaultFiles lets the usual places be looked at: those of the kubelet, of
	// docker and of podman.
	DefaultFiles bool `json:"defaultFiles"`

	// RootDir is the kubelet's own directory, its --root-dir.
	RootDir string `json:"rootDir,omitempty"`

	// HelperPath are the directories in which credential helpers are looked for,
	// written as $PATH is. Empty means that variable.
	HelperPath string `json:"helperPath,omitempty"`

	// HelperTimeout is how long a credential helper may take.
	HelperTimeout settings.Duration `json:"helperTimeout,omitempty"`
}

const (
	defaultRootDir = "/var/lib/kubelet"

	// defaultHelperTimeout is for a helper that asks a cloud which is slow.
	defaultHelperTimeout = 20 * time.Second

	// maxHelperTimeout leaves time to say that a helper took too long, before
	// the kubelet's minute is over.
	maxHelperTimeout = 40 * time.Second
)

func newSettings() plugin.Settings {
	return &Settings{DefaultFiles: true, RootDir: defaultRootDir, HelperTimeout: settings.Duration(defaultHelperTimeout)}
}

// setDefaults lets the kubelet keep no answer: it would use the old password
// after a file was changed.
func setDefaults(c *settings.Common) { c.MaxKubeletCache = 0 }

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringArrayVar(&s.Files, "file", s.Files, "docker configuration `file` to read before those of the usual places; it has to be there; repeatable")
	settings.Env(fs, "file", "REGISTRY_AUTH_FILE") // podman's
	fs.BoolVar(&s.DefaultFiles, "default-files", s.DefaultFiles, "look for files in the usual places too: the kubelet's, docker's and podman's")
	fs.StringVar(&s.RootDir, "root-dir", s.RootDir, "the kubelet's own `directory`, its --root-dir")
	fs.StringVar(&s.HelperPath, "helper-path", s.HelperPath, "`directories` in which docker-credential programs are looked for, written as $PATH is; without it those of $PATH")
	fs.Var(&s.HelperTimeout, "helper-timeout", "longest `duration` that a docker-credential program may take")
}

// Provider reads the docker configurations.
func (s *Settings) Provider(run plugin.Run) (credential.Provider, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	p := &provider{
		fallback: s.NodeFallback,
		helpers:  newHelpers(s.HelperPath, time.Duration(s.HelperTimeout), run.Getenv),
	}
	for i, path := range s.Files {
		d, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("files[%d]: %w", i, err)
		}
		p.documents = append(p.documents, d)
	}
	if s.DefaultFiles {
		p.readDefaults(s.RootDir, run.Getenv)
	}
	for _, d := range p.documents {
		p.helpers.find(d.config)
	}
	return p, nil
}

var errPath = errors.New("not an absolute path")

func (s *Settings) check() error {
	for i, path := range s.Files {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("files[%d]: %w: %q", i, errPath, path)
		}
	}
	for _, dir := range filepath.SplitList(s.HelperPath) {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("helperPath: %w: %q", errPath, dir)
		}
	}
	switch timeout := time.Duration(s.HelperTimeout); {
	case !filepath.IsAbs(s.RootDir):
		return fmt.Errorf("rootDir: %w: %q", errPath, s.RootDir)
	case timeout <= 0 || timeout > maxHelperTimeout:
		return fmt.Errorf("helperTimeout: not between 0s and %s: %s", maxHelperTimeout, timeout)
	case len(s.Files) == 0 && !s.DefaultFiles:
		return errors.New("files: missing, and defaultFiles is false: there is nothing to read")
	}
	return nil
}
