package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

const (
	entryExt = ".json"
	// The unfinished form of an entry has one name, not a random one: only
	// the holder of the key's lock writes it, so a killed process leaves
	// nothing that the next one does not overwrite.
	unfinishedExt = ".tmp"
	lockName      = "lock"

	// maxEntry bounds an entry's file. Tokens of some kilobytes are usual,
	// of twelve are documented.
	maxEntry = 256 << 10

	// reservation is the room made for an entry before the cloud is asked,
	// so that a full disk is found while there is time to do without.
	reservation = 32 << 10

	// maxPrune bounds how many files one process looks at for pruning.
	maxPrune = 4096
)

var (
	errAbsent = errors.New("there is no such entry")
	errLocked = errors.New("another process holds the lock")
)

// store is the folder of the entries: it belongs to the user who runs this
// process, and nobody else can look into it. Anything in its place that does
// not look so is not trusted. Within it, os.Root follows no link that leads
// out, and every file is checked after it was opened.
type store struct{ dir string }

// open opens the folder and checks what was opened. The checks are of the open
// folder, not of its name, so that it can not be exchanged in between.
func (s *store) open() (*os.Root, error) {
	named, err := os.Lstat(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("%s: is not a folder", s.dir)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(named, opened) {
		err = errors.New("was exchanged while it was opened")
	}
	if err == nil {
		err = trustDir(s.dir, opened)
	}
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("%s: %w", s.dir, err)
	}
	return root, nil
}

// read returns an entry as it stands in its file.
func (s *store) read(name string) (entry, error) {
	root, err := s.open()
	if err != nil {
		return entry{}, err
	}
	defer func() { _ = root.Close() }()
	return readEntry(root, name)
}

func readEntry(root *os.Root, name string) (entry, error) {
	file, err := root.OpenFile(name+entryExt, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return entry{}, errAbsent
	}
	if err != nil {
		return entry{}, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	switch {
	case err != nil:
		return entry{}, err
	case !info.Mode().IsRegular():
		return entry{}, fmt.Errorf("%s: is not a regular file", file.Name())
	case info.Size() > maxEntry:
		return entry{}, fmt.Errorf("%s: is larger than %d bytes", file.Name(), maxEntry)
	}
	if err := trustFile(info); err != nil {
		return entry{}, fmt.Errorf("%s: %w", file.Name(), err)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return entry{}, fmt.Errorf("%s: %w", file.Name(), err)
	}
	e, err := decode(data)
	if err != nil {
		return entry{}, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return e, nil
}

// slot is an entry whose lock this process holds.
type slot struct {
	root       *os.Root
	lock       *os.File
	name       string
	unfinished *os.File
}

// tryLock takes the lock of an entry, or returns errLocked at once.
func (s *store) tryLock(name string) (*slot, error) {
	slot, err := s.slot(name)
	if err != nil {
		return nil, err
	}
	if err := tryLockRange(slot.lock, offsetOf(name)); err != nil {
		slot.release()
		return nil, err
	}
	return slot, nil
}

// lock takes the lock of an entry, waiting for it until ctx ends.
func (s *store) lock(ctx context.Context, name string) (*slot, error) {
	slot, err := s.slot(name)
	if err != nil {
		return nil, err
	}
	// The kernel's queue costs nothing while it is waited in. A wait can not
	// be called off, so one that is no longer wanted gives the lock up as
	// soon as it has it.
	locked := make(chan error, 1)
	go func() { locked <- lockRange(slot.lock, offsetOf(name)) }()
	select {
	case err = <-locked:
	case <-ctx.Done():
		go func() { <-locked; slot.release() }()
		return nil, context.Cause(ctx)
	}
	if err != nil {
		slot.release()
		return nil, err
	}
	return slot, nil
}

// slot opens what a lock needs. One file holds the locks of all entries, one
// byte for each: locks live in the kernel, so there is nothing to clean up.
func (s *store) slot(name string) (*slot, error) {
	root, err := s.open()
	if errors.Is(err, errAbsent) {
		if err = makeDir(s.dir); err == nil || errors.Is(err, fs.ErrExist) {
			root, err = s.open()
		}
	}
	if err != nil {
		return nil, err
	}
	lock, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		var info fs.FileInfo
		if info, err = lock.Stat(); err == nil && !info.Mode().IsRegular() {
			err = errors.New("lock is not a regular file")
		}
		if err != nil {
			_ = lock.Close()
		}
	}
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return &slot{root: root, lock: lock, name: name}, nil
}

// reserve makes room for the entry. Its error means that nothing can be kept.
func (s *slot) reserve() error {
	file, err := s.root.OpenFile(s.name+unfinishedExt, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(make([]byte, reservation)); err != nil {
		_ = file.Close()
		_ = s.root.Remove(s.name + unfinishedExt)
		return err
	}
	s.unfinished = file
	return nil
}

// commit replaces the entry in one step: a reader finds the old one or the new
// one, whole. There is no sync: the folder is in memory, and elsewhere a torn
// file is no more than a miss.
func (s *slot) commit(e entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if len(data) > maxEntry {
		return fmt.Errorf("entry of %d bytes is larger than %d", len(data), maxEntry)
	}
	if _, err := s.unfinished.WriteAt(data, 0); err != nil {
		return err
	}
	if err := s.unfinished.Truncate(int64(len(data))); err != nil {
		return err
	}
	if err := s.unfinished.Close(); err != nil {
		return err
	}
	s.unfinished = nil
	return s.root.Rename(s.name+unfinishedExt, s.name+entryExt)
}

// release gives up the lock, and what was reserved if it was not committed.
// Releasing twice does nothing.
func (s *slot) release() {
	if s.unfinished != nil {
		_ = s.unfinished.Close()
		_ = s.root.Remove(s.name + unfinishedExt)
		s.unfinished = nil
	}
	// Closing the file frees the lock.
	_ = s.lock.Close()
	_ = s.root.Close()
}

// prune removes entries that serve nobody any more. It is called after a
// fetch, where its time does not matter, and it passes over whatever is
// locked.
func (s *store) prune(now Instant) {
	root, err := s.open()
	if err != nil {
		return
	}
	defer func() { _ = root.Close() }()
	dir, err := root.Open(".")
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }()
	files, _ := dir.ReadDir(maxPrune)
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), entryExt)
		if !ok || !isName(name) {
			continue
		}
		if e, err := readEntry(root, name); err == nil && e.Version == formatVersion && !e.stale(now) {
			continue
		}
		slot, err := s.tryLock(name)
		if err != nil {
			continue
		}
		// A fresh entry may have been written before the lock was had.
		if e, err := readEntry(root, name); err != nil || e.Version != formatVersion || e.stale(now) {
			_ = root.Remove(name + entryExt)
			_ = root.Remove(name + unfinishedExt)
		}
		slot.release()
	}
}

// offsetOf returns the byte of the lock file that stands for an entry: 62 bits
// of its name, because offsets are signed.
func offsetOf(name string) int64 {
	head, err := strconv.ParseUint(name[:16], 16, 64)
	if err != nil {
		panic("cache: not the name of an entry: " + name)
	}
	return int64(head >> 2)
}

func isName(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
