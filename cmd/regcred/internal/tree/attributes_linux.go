package tree

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of extended attributes; the kernel's are 64 KiB.
const maxAttribute = 64 << 10

// attributes returns a file's extended attributes: labels, capabilities, access
// lists.
func attributes(file *os.File) (map[string][]byte, error) {
	fd := int(file.Fd())
	names := make([]byte, maxAttribute)
	n, err := unix.Flistxattr(fd, names)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("attributes: %w", err)
	}
	found := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		value := make([]byte, maxAttribute)
		n, err := unix.Fgetxattr(fd, name, value)
		switch {
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
			continue
		case err != nil:
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		found[name] = value[:n]
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found, nil
}

func setAttribute(file *os.File, name string, value []byte) error {
	return unix.Fsetxattr(int(file.Fd()), name, value, 0)
}

// Label returns the label of what is at a resolved path, or nil.
func (t *Tree) Label(name string) []byte {
	file, err := t.root.Open(local(name))
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	value := make([]byte, 4096)
	n, err := unix.Fgetxattr(int(file.Fd()), label, value)
	if err != nil || n <= 0 {
		return nil
	}
	return value[:n]
}

// NoExec reports whether no program runs from the file system that a directory
// is on, or is going to be.
func (t *Tree) NoExec(dir string) bool {
	for !t.IsDir(dir) {
		dir = path.Dir(dir)
	}
	file, err := t.root.Open(local(dir))
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	var stat unix.Statfs_t
	return unix.Fstatfs(int(file.Fd()), &stat) == nil && stat.Flags&unix.ST_NOEXEC != 0
}
