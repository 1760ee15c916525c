package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// ranks is how many processes can hold the lock of an entry because the one
	// before them has stopped.
	ranks = 4

	// maxPurges is how often a removal of the directory is worked around.
	maxPurges = 5
)

var (
	errLocked = errors.New("another process holds the lock")
	errPurged = errors.New("the cache directory was removed while it was used")
)

// tryLock takes the lock of an entry, or returns errLocked at once.
func (s *store) tryLock(name string) (*slot, error) {
	slot, err := s.slot(name, 0)
	if err != nil {
		return nil, err
	}
	if err := tryLockRank(slot.lock, offsetOf(name), 0); err != nil {
		slot.release()
		return nil, err
	}
	if s.purged(slot) {
		slot.release()
		return nil, errPurged
	}
	return slot, nil
}

// lockEntry takes the lock of an entry, waiting until ctx ends for a process
// that holds it and is alive. One that is not is passed over: it can no longer
// finish its entry.
func (s *store) lockEntry(ctx context.Context, name string) (*slot, error) {
	var passed *stoppedError
	for rank := range ranks {
		slot, err := s.lockRank(ctx, name, rank)
		if err == nil {
			slot.passed = passed
			for lower := range rank {
				_ = discard(slot.root, unfinishedFile(name, lower))
			}
			return slot, nil
		}
		if !errors.As(err, &passed) {
			return nil, err
		}
	}
	return nil, passed
}

// lockRank takes the lock of a rank. When the directory was removed in the
// meantime, the lock is one that nobody else knows of, and is taken again.
func (s *store) lockRank(ctx context.Context, name string, rank int) (*slot, error) {
	for range maxPurges {
		slot, err := s.wait(ctx, name, rank)
		if err != nil || !s.purged(slot) {
			return slot, err
		}
		slot.release()
	}
	return nil, errPurged
}

// purged reports whether the lock that a slot holds is no longer the
// directory's.
func (s *store) purged(slot *slot) bool {
	named, err := os.Lstat(filepath.Join(s.dir, lockName(slot.name, slot.rank)))
	if err != nil {
		return true
	}
	held, err := slot.lock.Stat()
	return err != nil || !os.SameFile(named, held)
}

func (s *store) wait(ctx context.Context, name string, rank int) (*slot, error) {
	slot, err := s.slot(name, rank)
	if err != nil {
		return nil, err
	}
	err = tryLockRank(slot.lock, offsetOf(name), rank)
	if err == nil {
		return slot, nil
	}
	if !errors.Is(err, errLocked) {
		slot.release()
		return nil, err
	}
	// The kernel's queue costs nothing while it is waited in. A wait cannot be
	// called off, so one that is no longer wanted gives the lock up as soon as
	// it has it.
	locked := make(chan error, 1)
	go func() { locked <- lockRank(slot.lock, offsetOf(name), rank) }()
	holder := watch{root: slot.root, file: unfinishedFile(name, rank)}
	holder.look()
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	for {
		select {
		case err = <-locked:
			if err != nil {
				slot.release()
				return nil, err
			}
			return slot, nil
		case <-ctx.Done():
			holder.look()
			err = &waitError{holder.pid, context.Cause(ctx)}
		case <-beat.C:
			if holder.look(); holder.unchanged <= maxSilence {
				continue
			}
			err = &stoppedError{holder.pid}
		}
		go func() { <-locked; slot.release() }()
		return nil, err
	}
}

// stoppedError is the error of a wait for a process that shows no sign of life.
type stoppedError struct{ pid int }

func (e *stoppedError) Error() string {
	return processName(e.pid) + " holds the lock of the cache entry and shows no sign of life"
}

// waitError is the error of a wait that took too long, or was called off.
type waitError struct {
	pid   int
	cause error
}

func (e *waitError) Error() string {
	return fmt.Sprintf("waiting for %s, which asks for the same credential: %v", processName(e.pid), e.cause)
}

func (e *waitError) Unwrap() error { return e.cause }

func processName(pid int) string {
	if pid == 0 {
		return "another process"
	}
	return "process " + strconv.Itoa(pid)
}

// slot opens what a lock needs.
func (s *store) slot(name string, rank int) (*slot, error) {
	root, err := s.openOrMake()
	if err != nil {
		return nil, err
	}
	lock, err := openLock(root, lockName(name, rank))
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return &slot{root: root, lock: lock, name: name, rank: rank, life: &life{beat: s.beat}}, nil
}

// openLock opens a file that holds locks. It is shared, so it is made only
// where there is none, or where what there is may be in others' hands too: who
// has it open could keep its locks for good.
func openLock(root *os.Root, name string) (*os.File, error) {
	const attempts = 5 // of others who do the same
	for range attempts {
		named, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			lock, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			return lock, err
		}
		if err != nil {
			return nil, err
		}
		if trustFile(named) != nil {
			if err := discard(root, name); err != nil {
				return nil, err
			}
			continue
		}
		lock, err := root.OpenFile(name, os.O_RDWR|openFlags, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return lock, err
	}
	return nil, errors.New("the lock of the cache directory does not stay")
}

// offsetOf returns the first of the bytes of the lock file that stand for the
// ranks of an entry's lock: 60 bits of its name, because offsets are signed.
func offsetOf(name string) int64 {
	head, err := strconv.ParseUint(name[:16], 16, 64)
	if err != nil {
		panic("cache: not the name of an entry: " + name)
	}
	return int64(head>>2) &^ (ranks - 1)
}
