package install

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/tree"
)

// Status is what is installed and whether it is as it was left.
type Status struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Installed is false if nothing is; all that follows is empty then.
	Installed bool `json:"installed"`

	Release   string             `json:"release,omitempty"`
	Since     time.Time          `json:"since,omitzero"`
	Platform  string             `json:"platform,omitempty"`
	BinDir    string             `json:"binDir,omitempty"`
	Config    string             `json:"config,omitempty"`
	Providers []RecordedProvider `json:"providers,omitempty"`
	Files     []FileStatus       `json:"files,omitempty"`

	// ConfigHash is that of the configuration as it is, and as the kubelet
	// computes it. Empty means that it cannot be read.
	ConfigHash string `json:"configHash,omitempty"`

	Kubelet KubeletStatus `json:"kubelet"`

	// Problems are sentences. None means that all is well.
	Problems []string `json:"problems"`
}

// FileStatus is a file, and whether it is as it was left.
type FileStatus struct {
	Path  string `json:"path"`
	Role  Role   `json:"role"`
	State string `json:"state"`

	// Release is what a plugin says of itself. Empty means that it was not
	// asked, or did not answer.
	Release string `json:"release,omitempty"`
}

// States of a file.
const (
	Unchanged = "unchanged"
	Changed   = "changed"
	Missing   = "missing"
)

// KubeletStatus is what is known of the kubelet that runs.
type KubeletStatus struct {
	Running bool `json:"running"`
	PID     int  `json:"pid,omitempty"`

	// Told is whether it is told of the installation.
	Told bool `json:"told"`

	// ConfigHash is that of the configuration that it runs with, if it says so.
	ConfigHash string `json:"configHash,omitempty"`

	// RestartPending means that it runs with another configuration than there
	// is.
	RestartPending bool `json:"restartPending"`
}

// Kubelet is what Examine is told of the kubelet that runs, or nil.
type Kubelet struct {
	Running
	Started    time.Time // zero if it is not known
	ConfigHash string    // empty if it does not say
}

// Examine finds out what is installed. It changes nothing.
func Examine(t *tree.Tree, kubelet *Kubelet) (*Status, error) {
	s := &Status{APIVersion: "regcred/v1", Kind: "InstallStatus", Problems: []string{}}
	interrupted, err := change.Pending(t, StateDir)
	if err != nil {
		return nil, err
	}
	if interrupted != nil {
		s.problem("a run of %s was stopped on %s before its end: run regcred install or uninstall, which begins by recovering from it", interrupted.Verb, interrupted.Begun.Format(time.RFC3339))
	}
	record, err := ReadRecord(t)
	if err != nil {
		return nil, err
	}
	if kubelet != nil {
		s.Kubelet.Running, s.Kubelet.PID, s.Kubelet.ConfigHash = true, kubelet.PID, kubelet.ConfigHash
	}
	if record == nil {
		if interrupted == nil {
			s.problem("nothing is installed by regcred here")
		}
		return s, nil
	}
	s.Installed, s.Release, s.Since, s.Platform = true, record.Release, record.Installed, record.Platform
	s.BinDir, s.Config, s.Providers = record.BinDir, record.Config, record.Providers
	if err := s.examineFiles(t, record); err != nil {
		return nil, err
	}
	v := view{tree: t, files: map[string]planned{}}
	// The platform writes it when it sets the node up.
	comes := !slices.ContainsFunc(record.Providers, func(p RecordedProvider) bool { return p.Added })
	if err := v.check(record.Config, record.BinDir); err != nil && (!comes || !errors.Is(err, fs.ErrNotExist)) {
		s.problem("%s", oneLine(err))
	}
	s.ConfigHash = v.hash(record.Config)
	s.examineKubelet(t, record, kubelet)
	return s, nil
}

func (s *Status) problem(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

func (s *Status) examineFiles(t *tree.Tree, record *Record) error {
	for i := range record.Files {
		file := &record.Files[i]
		current, err := t.State(file.Path)
		if err != nil {
			return err
		}
		state := Unchanged
		switch {
		case current.Kind == tree.Absent:
			state = Missing
			s.problem("%s is gone: run regcred install", file.Path)
		case !current.Same(file.After):
			state = Changed
			s.problem("%s was changed by somebody else", file.Path)
		case current.Mode != file.After.Mode || current.UID != file.After.UID || current.GID != file.After.GID:
			state = Changed
			s.problem("%s has another owner or mode than it was given: %d:%d %#o", file.Path, current.UID, current.GID, current.Mode)
		}
		s.Files = append(s.Files, FileStatus{Path: file.Path, Role: file.Role, State: state})
	}
	return nil
}

func (s *Status) examineKubelet(t *tree.Tree, record *Record, kubelet *Kubelet) {
	platform, err := findPlatform(t, record.Platform)
	if err != nil {
		platform = Platform{}
	}
	told, err := toldWiring(t, platform, nil)
	if err != nil {
		s.problem("%s", oneLine(err))
	}
	platform = platform.withPlaces(record)
	inFiles := told.Config == record.Config && told.BinDir == record.BinDir
	runs := kubelet != nil && kubelet.Config == record.Config && kubelet.BinDir == record.BinDir
	s.Kubelet.Told = inFiles || runs || platform.Given && kubelet == nil
	switch {
	case kubelet == nil && !s.Kubelet.Told, kubelet != nil && !inFiles && !runs:
		advice := record.Advice
		if advice == "" {
			advice = strings.Join(flagsFor(record.BinDir, record.Config), " ") + " are missing"
		}
		s.problem("the kubelet is not told of it: %s", advice)
	case kubelet != nil && !runs:
		s.pending("it was not started with the flags yet")
	case kubelet == nil:
	case kubelet.ConfigHash != "" && s.ConfigHash != "":
		if kubelet.ConfigHash != s.ConfigHash {
			s.pending("it runs with another configuration")
		}
	case kubelet.Started.IsZero():
	default:
		for i := range record.Files {
			if file := &record.Files[i]; file.Role != RolePlugin && file.Changed.After(kubelet.Started) {
				s.pending(file.Path + " is newer than it")
				break
			}
		}
	}
}

func (s *Status) pending(why string) {
	s.Kubelet.RestartPending = true
	s.problem("the kubelet has to be restarted: %s", why)
}

// hash is the hash of a configuration as the kubelet computes it, or "".
func (v *view) hash(config string) string {
	files, err := v.configFiles(config)
	if err != nil || len(files) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, name := range files {
		text, err := v.read(name)
		if err != nil {
			return ""
		}
		_ = binary.Write(sum, binary.BigEndian, uint64(len(text))) // a hash takes everything
		_, _ = sum.Write(text)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// Metrics are the status as text for Prometheus' node exporter.
func (s *Status) Metrics(now time.Time) string {
	var b strings.Builder
	gauge := func(name, help, labels string, value int64) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s%s %d\n", name, help, name, name, labels, value)
	}
	changed := 0
	for _, file := range s.Files {
		if file.State != Unchanged {
			changed++
		}
	}
	flag := func(is bool) int64 {
		if is {
			return 1
		}
		return 0
	}
	gauge("regcred_installed", "Whether regcred installed its plugins on this node.", fmt.Sprintf("{release=%q,platform=%q}", s.Release, s.Platform), flag(s.Installed))
	gauge("regcred_installed_files_changed", "Installed files that are missing or that somebody else changed.", "", int64(changed))
	gauge("regcred_kubelet_restart_pending", "Whether the kubelet runs with another configuration than there is.", "", flag(s.Kubelet.RestartPending))
	gauge("regcred_install_problems", "Problems that regcred status reports.", "", int64(len(s.Problems)))
	gauge("regcred_status_timestamp_seconds", "When this was found out.", "", now.Unix())
	return b.String()
}
