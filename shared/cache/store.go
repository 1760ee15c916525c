package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	entryExt = ".json"
	// The unfinished form of an entry has one name, not a random one: only
	// the holder of the key's lock writes it, so a killed process leaves
	// nothing that the next one does not overwrite.
	unfinishedExt = ".tmp"

	// maxEntry bounds an entry's file. Tokens of some kilobytes are usual,
	// of twelve are documented.
	maxEntry = 256 << 10

	// maxPurges is how often a removal of the folder is worked around.
	maxPurges = 5

	// reservation is the room made for an entry before the cloud is asked,
	// so that a full disk is found while there is time to do without.
	reservation = 32 << 10

	// maxPrune bounds how many files one process looks into for pruning.
	maxPrune = 64

	// youngFile is the age below which a file is not looked into for pruning,
	// and foreignFile the one from which another release's entry is taken for
	// forgotten: releases share a folder while a fleet is upgraded.
	youngFile   = time.Hour
	foreignFile = 24 * time.Hour
)

var (
	errAbsent = errors.New("there is no such entry")
	errLocked = errors.New("another process holds the lock")
	errPurged = errors.New("the folder was removed while it was used")
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
		return nil, errors.New("the cache folder is not a folder")
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
		err = trustDir(root, opened)
	}
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("the cache folder %w", err)
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
	file, err := root.OpenFile(name+entryExt, os.O_RDONLY|openFlags, 0)
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
		return entry{}, errors.New("is not a regular file")
	case info.Size() > maxEntry:
		return entry{}, fmt.Errorf("is larger than %d bytes", maxEntry)
	}
	if err := trustFile(info); err != nil {
		return entry{}, err
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return entry{}, err
	}
	return decode(data)
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
	if s.purged(slot) {
		slot.release()
		return nil, errPurged
	}
	return slot, nil
}

// lock takes the lock of an entry, waiting for it until ctx ends. When the
// folder was removed in the meantime, the lock is one that nobody else knows
// of, and is had anew.
func (s *store) lock(ctx context.Context, name string) (*slot, error) {
	for range maxPurges {
		slot, err := s.wait(ctx, name)
		if err != nil || !s.purged(slot) {
			return slot, err
		}
		slot.release()
	}
	return nil, errPurged
}

// purged reports whether the lock that a slot holds is no longer the folder's.
func (s *store) purged(slot *slot) bool {
	named, err := os.Lstat(filepath.Join(s.dir, lockName(slot.name)))
	if err != nil {
		return true
	}
	held, err := slot.lock.Stat()
	return err != nil || !os.SameFile(named, held)
}

func (s *store) wait(ctx context.Context, name string) (*slot, error) {
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

// slot opens what a lock needs. Locks live in the kernel: a process that is
// killed leaves none.
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
	lock, err := root.OpenFile(lockName(name), os.O_RDWR|os.O_CREATE|openFlags, 0o600)
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
	file, err := s.root.OpenFile(s.name+unfinishedExt, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|openFlags, 0o600)
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
	if s.lock != nil {
		unlockRange(s.lock, offsetOf(s.name))
		_ = s.lock.Close()
		_ = s.root.Close()
		s.lock = nil
	}
}

// prune removes files that serve nobody any more: entries past their end, and
// what a killed process left unfinished. It is called after a fetch and without
// a lock, looks into a few files that were not touched for long, and passes
// over whatever is locked.
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
	files, _ := dir.ReadDir(-1)
	rand.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	looked := 0
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimSuffix(file.Name(), entryExt), unfinishedExt)
		if name == file.Name() || !isName(name) || !forgotten(root, file.Name(), now) {
			continue
		}
		if slot, err := s.tryLock(name); err == nil {
			// It may have been written anew before the lock was had.
			if forgotten(root, file.Name(), now) {
				_ = root.Remove(file.Name())
			}
			slot.release()
		}
		if looked++; looked == maxPrune {
			return
		}
	}
}

// forgotten reports whether a file serves nobody any more.
func forgotten(root *os.Root, file string, now Instant) bool {
	info, err := root.Lstat(file)
	if err != nil {
		return false
	}
	untouched := now.Wall.Sub(info.ModTime())
	name, isEntry := strings.CutSuffix(file, entryExt)
	if !isEntry || untouched < youngFile {
		return untouched >= youngFile
	}
	e, err := readEntry(root, name)
	switch {
	case err != nil:
		return true
	case e.Version != formatVersion:
		return untouched >= foreignFile
	default:
		return e.stale(now)
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
