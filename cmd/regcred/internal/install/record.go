package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/tree"
)

// StateDir is where an installation is written down, with what it replaced.
const StateDir = "/var/lib/regcred"

const (
	recordFile    = "installed.json"
	recordVersion = 1
	maxRecord     = 4 << 20
)

// Record is what was installed. Fields that a release does not know it leaves
// alone.
type Record struct {
	Version   int       `json:"version"`
	Release   string    `json:"release"`
	Installed time.Time `json:"installed"`

	Platform string `json:"platform"`
	BinDir   string `json:"binDir"`
	Config   string `json:"config"`

	// Told says whether the kubelet was told of these two, and Advice how to, if
	// not.
	Told   bool   `json:"told"`
	Advice string `json:"advice,omitempty"`

	Providers []RecordedProvider `json:"providers"`

	// Files are in the order in which they were put in place.
	Files []RecordedFile `json:"files"`

	// Directories were made for them, the outermost first.
	Directories []string `json:"directories,omitempty"`
}

// RecordedProvider is a provider that our plugin answers for.
type RecordedProvider struct {
	Name   string `json:"name"`
	Plugin string `json:"plugin"`

	// Added means that its entry in the configuration is ours too.
	Added bool `json:"added"`

	// Entry is that entry, if it is not the plugin's sample.
	Entry *kubeletconfig.CredentialProvider `json:"entry,omitempty"`
}

// Role is what a file is for.
type Role string

// The roles.
const (
	RolePlugin Role = "plugin"
	RoleConfig Role = "configuration"
	RoleFlags  Role = "flags"
)

// RecordedFile is a file that was put in place, and what was there before.
type RecordedFile struct {
	Path   string     `json:"path"`
	Role   Role       `json:"role"`
	Before tree.State `json:"before"`
	After  tree.State `json:"after"`

	// Backup is a copy of what was there before, if it was a file.
	Backup string `json:"backup,omitempty"`

	// Edit is what is ours in it, if the rest is not.
	Edit Edit `json:"edit,omitzero"`

	// Accepted means that an administrator changed it, although it is ours
	// alone, and that it is to stay so.
	Accepted bool `json:"accepted,omitempty"`

	// Changed is when it was put in place. A kubelet that was started before
	// does not know of it, if it is no plugin.
	Changed time.Time `json:"changed"`
}

// provider returns what is recorded of a provider, or nil.
func (r *Record) provider(name string) *RecordedProvider {
	if r == nil {
		return nil
	}
	for i := range r.Providers {
		if r.Providers[i].Name == name {
			return &r.Providers[i]
		}
	}
	return nil
}

// file returns what is recorded of a path, or nil.
func (r *Record) file(name string) *RecordedFile {
	if r == nil {
		return nil
	}
	for i := range r.Files {
		if r.Files[i].Path == name {
			return &r.Files[i]
		}
	}
	return nil
}

// flags returns the file by which the kubelet is given its flags, or nil.
func (r *Record) flags() *RecordedFile {
	if r == nil {
		return nil
	}
	for i := range r.Files {
		if r.Files[i].Role == RoleFlags {
			return &r.Files[i]
		}
	}
	return nil
}

// ReadRecord returns what is installed in a tree, or nil.
func ReadRecord(t *tree.Tree) (*Record, error) {
	name := path.Join(StateDir, recordFile)
	text, err := t.Read(name, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	// It says which files are to be written and removed.
	if err := t.CheckPath(name); err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: damaged: %w: move %s to another place and install again; what was replaced is in its %s", name, err, StateDir, backupDir)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("%s: version %d: use the release of regcred that wrote it", name, r.Version)
	}
	return &r, nil
}

// encode returns the record as its file has it.
func (r *Record) encode() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}
