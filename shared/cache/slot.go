package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// reservation is the room made for an entry before the cloud is asked, so that a
// full disk is found while there is time to do without.
const reservation = 32 << 10

var errPassedOver = errors.New("the cache was purged, or another process asks in this one's place")

// slot is an entry whose lock this process holds.
//
// Locks live in the kernel: a process that is killed leaves none. One that is
// stopped keeps its own, so a lock has ranks: whoever finds that the holder shows no
// sign of life takes the next rank, and asks in its place. The others find the
// same, and wait for that one.
type slot struct {
	root *os.Root
	lock *os.File
	name string
	rank int
	// passed is the process in whose place this one holds the lock.
	passed *stoppedError

	unfinished *os.File
	life       *life
}

// reserve makes room for the entry, and shows from now on that this process is
// alive. Its error means that nothing can be kept.
func (s *slot) reserve() error {
	file, err := create(s.root, unfinishedFile(s.name, s.rank))
	if err != nil {
		return err
	}
	s.unfinished = file
	if _, err := file.Write(make([]byte, reservation)); err != nil {
		s.abandon()
		return err
	}
	s.life.begin(file)
	return nil
}

// commit replaces the entry in one step: a reader finds the old one or the new
// one, whole. There is no sync: the directory is in memory, and elsewhere a
// torn file is no more than a miss.
//
// The file's time is when the entry stops being of use, so that tidying up
// needs to read none.
func (s *slot) commit(e entry, now Instant) error {
	s.life.end()
	data, err := encode(e)
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
	file := unfinishedFile(s.name, s.rank)
	err = s.root.Chtimes(file, time.Time{}, e.end(now))
	if err == nil {
		err = s.rename(file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errPassedOver
	}
	if err == nil {
		s.unfinished = nil
	}
	return err
}

func (s *slot) rename(file string) error {
	err := s.root.Rename(file, entryFile(s.name))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A directory may stand in the entry's place.
	if discardErr := discard(s.root, entryFile(s.name)); discardErr != nil {
		return err
	}
	return s.root.Rename(file, entryFile(s.name))
}

// abandon removes the unfinished file, in which there may be a token.
func (s *slot) abandon() {
	s.life.end()
	if s.unfinished != nil {
		_ = s.unfinished.Close()
		_ = s.root.Remove(unfinishedFile(s.name, s.rank))
		s.unfinished = nil
	}
}

// release gives up the lock, and what was reserved if it was not committed.
// Releasing twice does nothing.
func (s *slot) release() {
	s.abandon()
	if s.lock != nil {
		unlockRank(s.lock, offsetOf(s.name), s.rank)
		_ = s.lock.Close()
		_ = s.root.Close()
		s.lock = nil
	}
}

// memoryBacked reports whether the entry will be on no disk.
func (s *slot) memoryBacked() bool {
	dir, err := s.root.Open(".")
	if err != nil {
		return false
	}
	defer func() { _ = dir.Close() }()
	return inMemory(dir)
}
