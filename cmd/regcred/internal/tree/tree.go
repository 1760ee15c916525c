// Package tree is a node's file system, whole: that of this machine, or one
// that is mounted for the build of an image. A path in it begins at its root,
// and no link leaves it: an absolute link leads to where it would lead on the
// node.
package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// maxLinks bounds the links on the way to a file, as the kernel does.
const maxLinks = 40

// Tree is a file system. Paths are absolute, with slashes; those that the
// methods take which change something have to be resolved.
type Tree struct {
	root *os.Root
	dir  string

	// before is called before each change to the file system. Its error is the
	// change's, which then is not made.
	before func(op, path string) error
}

// Open opens the file system whose root is a directory. "/" is this machine's.
func Open(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open root %s: %w", dir, cause(err))
	}
	return &Tree{root: root, dir: dir, before: func(string, string) error { return nil }}, nil
}

// Before lets f see each change, such as "rename", before it is made. The
// change fails with f's error.
func (t *Tree) Before(f func(op, path string) error) { t.before = f }

// Close closes the root.
func (t *Tree) Close() error { return t.root.Close() }

// Dir is the directory that Open was given.
func (t *Tree) Dir() string { return t.dir }

// Root is what a process has to make its root to see the tree as the node
// does.
func (t *Tree) Root() *os.Root { return t.root }

// local is a path as os.Root takes it.
func local(name string) string {
	if trimmed := strings.TrimPrefix(path.Clean("/"+name), "/"); trimmed != "" {
		return trimmed
	}
	return "."
}

// Resolve follows the links of a path, the last name's too. What does not
// exist is as it was written.
func (t *Tree) Resolve(name string) (string, error) { return t.resolve(name, true, nil) }

// ResolveDir follows the links on the way to a path, but not the last name's.
func (t *Tree) ResolveDir(name string) (string, error) { return t.resolve(name, false, nil) }

// resolve calls visit, if that is not nil, with each path on the way that
// exists, the root first.
func (t *Tree) resolve(name string, last bool, visit func(string, fs.FileInfo) error) (string, error) {
	if !path.IsAbs(name) {
		return "", fmt.Errorf("path %q: not absolute", name)
	}
	if strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("path %q: NUL in it", name)
	}
	if visit == nil {
		visit = func(string, fs.FileInfo) error { return nil }
	} else {
		top, err := t.root.Lstat(local("/"))
		if err != nil {
			return "", fmt.Errorf("/: %w", cause(err))
		}
		if err := visit("/", top); err != nil {
			return "", err
		}
	}
	at, links := "/", 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		next := rest[0]
		rest = rest[1:]
		switch next {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		there := path.Join(at, next)
		info, err := t.root.Lstat(local(there))
		if notThere(err) {
			return path.Join(append([]string{there}, rest...)...), nil
		} else if err != nil {
			return "", fmt.Errorf("%s: %w", there, cause(err))
		}
		if err := visit(there, info); err != nil {
			return "", err
		}
		final := !slices.ContainsFunc(rest, func(s string) bool { return s != "" && s != "." })
		if info.Mode()&fs.ModeSymlink == 0 || final && !last {
			at = there
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many links", name)
		}
		target, err := t.root.Readlink(local(there))
		if err != nil {
			return "", fmt.Errorf("%s: %w", there, cause(err))
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// Kind is what is at a path.
type Kind string

// The kinds that there are for an installation.
const (
	Absent    Kind = "absent"
	File      Kind = "file"
	Directory Kind = "directory"
	Link      Kind = "link"
	Other     Kind = "other"
)

// State is what is at a path, with all that it takes to make it again but the
// content.
type State struct {
	Kind Kind `json:"kind"`

	// Mode has the permission bits, set-user-id and the like included.
	Mode uint32 `json:"mode,omitempty"`

	UID int `json:"uid"`
	GID int `json:"gid"`

	// ModTime is kept to the nanosecond. A zero one is now.
	ModTime time.Time `json:"modTime,omitzero"`

	// Size and SHA256, in hexadecimal, are a file's.
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`

	// Target is a link's.
	Target string `json:"target,omitempty"`

	// Attributes are extended ones, such as SELinux's label.
	Attributes map[string][]byte `json:"attributes,omitempty"`

	// Label is the SELinux label that a file is to be given where it can be: in
	// the build of an image nobody may be there who gives any.
	Label []byte `json:"label,omitempty"`
}

// Same reports whether two states have the same content, whoever owns it.
func (s State) Same(other State) bool {
	return s.Kind == other.Kind && s.SHA256 == other.SHA256 && s.Target == other.Target
}

// Trusted returns why somebody else than root and the user who runs this could
// have written what has this state, or nil.
func (s State) Trusted() error {
	switch {
	case s.Kind == Absent || s.Kind == Link:
		return nil
	case !ownerTrusted(s.UID):
		return fmt.Errorf("owned by user %d; want root", s.UID)
	case s.Mode&0o022 != 0:
		return fmt.Errorf("writable by others than its owner: mode %#o", s.Mode&0o7777)
	}
	return nil
}

// State returns what is at a path whose directories are resolved.
func (t *Tree) State(name string) (State, error) {
	info, err := t.root.Lstat(local(name))
	if notThere(err) {
		return State{Kind: Absent}, nil
	} else if err != nil {
		return State{}, fmt.Errorf("%s: %w", name, cause(err))
	}
	state := State{Kind: Other, Mode: bits(info.Mode()), ModTime: info.ModTime().UTC()}
	state.UID, state.GID = owner(info)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		state.Kind = Link
		state.Target, err = t.root.Readlink(local(name))
	case info.IsDir():
		state.Kind = Directory
	case info.Mode().IsRegular():
		state.Kind = File
		err = t.describe(name, &state)
	}
	if err != nil {
		return State{}, fmt.Errorf("%s: %w", name, cause(err))
	}
	return state, nil
}

// describe adds what only an open file tells.
func (t *Tree) describe(name string, state *State) error {
	file, err := t.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if state.Size, err = io.Copy(hash, file); err != nil {
		return err
	}
	state.SHA256 = hex.EncodeToString(hash.Sum(nil))
	state.Attributes, err = attributes(file)
	return err
}

// Open opens a regular file, and waits for nobody.
func (t *Tree) Open(name string) (*os.File, error) {
	file, err := t.root.OpenFile(local(name), os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	return file, nil
}

// OpenDir opens a directory.
func (t *Tree) OpenDir(name string) (*os.File, error) {
	dir, err := t.root.Open(local(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	return dir, nil
}

// Read reads a file, links followed, of at most so many bytes. An error is
// fs.ErrNotExist where there is none.
func (t *Tree) Read(name string, limit int64) ([]byte, error) {
	resolved, err := t.Resolve(name)
	if err != nil {
		return nil, err
	}
	file, err := t.Open(resolved)
	if err != nil {
		if notThere(err) {
			err = fs.ErrNotExist
		}
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s: larger than %d bytes", name, limit)
	}
	return text, nil
}

// Exists reports whether there is something at a path, links followed.
func (t *Tree) Exists(name string) bool { return t.kind(name) != Absent }

// IsDir reports whether there is a directory at a path, links followed.
func (t *Tree) IsDir(name string) bool { return t.kind(name) == Directory }

// IsFile reports whether there is a file at a path, links followed.
func (t *Tree) IsFile(name string) bool { return t.kind(name) == File }

func (t *Tree) kind(name string) Kind {
	resolved, err := t.Resolve(name)
	if err != nil {
		return Absent
	}
	info, err := t.root.Lstat(local(resolved))
	switch {
	case err != nil:
		return Absent
	case info.IsDir():
		return Directory
	case info.Mode().IsRegular():
		return File
	}
	return Other
}

// Names lists a directory in the order of names, links followed. One that is
// not there has none.
func (t *Tree) Names(name string) ([]string, error) {
	resolved, err := t.Resolve(name)
	if err != nil {
		return nil, err
	}
	dir, err := t.root.Open(local(resolved))
	if notThere(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	defer func() { _ = dir.Close() }()
	const most = 10000
	names, err := dir.Readdirnames(most)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	if len(names) == most {
		return nil, fmt.Errorf("%s: more than %d files", name, most-1)
	}
	slices.Sort(names)
	return names, nil
}

// CheckPath returns why what is at a path could be changed by others: a
// directory on the way, that of a link too, or the file itself, that others
// may write, or that is not root's.
func (t *Tree) CheckPath(name string) error {
	_, err := t.resolve(name, true, func(at string, info fs.FileInfo) error {
		state := State{Kind: Other, Mode: bits(info.Mode())}
		if info.Mode()&fs.ModeSymlink != 0 {
			state.Kind = Link
		}
		state.UID, state.GID = owner(info)
		if err := state.Trusted(); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		return nil
	})
	return err
}

// Missing returns the directories that it takes to have a resolved one, the
// outermost first.
func (t *Tree) Missing(dir string) []string {
	var missing []string
	for ; dir != "/" && t.kind(dir) == Absent; dir = path.Dir(dir) {
		missing = append(missing, dir)
	}
	slices.Reverse(missing)
	return missing
}

// cause is what the system said, without the call and the name, which is not
// the node's.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	if linkErr, ok := errors.AsType[*os.LinkError](err); ok {
		return linkErr.Err
	}
	return err
}

// bits are the permission bits as Unix has them.
func bits(mode fs.FileMode) uint32 {
	unix := uint32(mode.Perm())
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&flag != 0 {
			unix |= bit
		}
	}
	return unix
}

// fileMode is the opposite of bits.
func fileMode(unix uint32) fs.FileMode {
	mode := fs.FileMode(unix & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if unix&bit != 0 {
			mode |= flag
		}
	}
	return mode
}
