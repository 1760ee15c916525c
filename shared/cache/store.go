package cache

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxEntry bounds an entry's file. Tokens of some kilobytes are usual, of
// twelve are documented.
const maxEntry = 256 << 10

var errAbsent = errors.New("there is no such entry")

// store is the directory of the entries: it belongs to the user who runs this
// process, and nobody else can look into it. Anything in its place that does
// not look so is not trusted. Within it, os.Root follows no link that leads
// out, and every file is checked after it was opened: the directory may once
// have been open to others.
type store struct {
	dir string
	// beat is the time between two signs of life.
	beat time.Duration
}

// open opens the directory and checks what was opened. The checks are of the
// open directory, not of its name, so that it cannot be exchanged in between.
func (s *store) open() (*os.Root, error) {
	named, err := os.Lstat(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	if !named.IsDir() {
		return nil, errors.New("not a directory: " + s.dir)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(named, opened) {
		err = errors.New("exchanged while it was opened")
	}
	if err == nil {
		err = trustDir(root, opened)
	}
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("%w: %s", err, s.dir)
	}
	return root, nil
}

// openOrMake opens the directory, and makes it where there is none.
func (s *store) openOrMake() (*os.Root, error) {
	root, err := s.open()
	if !errors.Is(err, errAbsent) {
		return root, err
	}
	if err := makeDir(s.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return s.open()
}

// read returns an entry as it stands in its file.
func (s *store) read(name string) (entry, error) {
	root, err := s.open()
	if err != nil {
		return entry{}, err
	}
	defer func() { _ = root.Close() }()
	return readEntry(root, entryFile(name))
}

func readEntry(root *os.Root, file string) (entry, error) {
	data, err := readFile(root, file, maxEntry)
	if err != nil {
		return entry{}, err
	}
	return decode(data)
}

// readFile reads a file that only this user can have written, if it is not
// larger than a limit.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err == nil {
		err = trustFile(info)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("larger than %d bytes", limit)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, err
	}
	return data, nil
}

// create makes a file that nobody else has a hand on. What stands in its place
// is taken away first, be it good or bad.
func create(root *os.Root, name string) (*os.File, error) {
	if err := discard(root, name); err != nil {
		return nil, err
	}
	return root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// discard takes away what stands in a file's place. A directory with something
// in it is moved aside: it is nothing of the cache's, so it is not the cache's
// to delete.
func discard(root *os.Root, name string) error {
	err := root.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return root.Rename(name, name+"."+rand.Text()+".untrusted")
}

// The names of files have the format's version in them, so that two releases
// beside each other keep theirs.
const (
	version       = "v2"
	entryExt      = "." + version + ".json"
	unfinishedExt = ".tmp"
)

func entryFile(name string) string { return name + entryExt }

// unfinishedFile returns the name of an entry's file before it is finished. It
// is not a random one: only the holder of the lock of that rank writes it, so a
// process that is killed leaves nothing that the next one does not replace.
func unfinishedFile(name string, rank int) string {
	return name + "." + version + "." + strconv.Itoa(rank) + unfinishedExt
}

// parseFile returns the name of the entry that a file belongs to, and whether
// it is one of this version's. Files that are nobody's have no name.
func parseFile(file string) (name string, own bool) {
	name, ext, _ := strings.Cut(file, ".")
	if !isName(name) || !strings.HasSuffix(file, ".json") && !strings.HasSuffix(file, unfinishedExt) {
		return "", false
	}
	return name, strings.HasPrefix(ext, version+".")
}

func isName(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
