package cache

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockName returns the file that holds the locks of an entry: one for all,
// with a few bytes for each, so there is nothing to clean up.
func lockName(string, int) string { return "lock" }

func tryLockRank(file *os.File, offset int64, rank int) error {
	err := lockCommand(file, windows.LOCKFILE_FAIL_IMMEDIATELY, offset+int64(rank))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}

func lockRank(file *os.File, offset int64, rank int) error {
	return lockCommand(file, 0, offset+int64(rank))
}

// unlockRank frees the lock. Windows frees it by itself some time after the
// file is closed, which may be too late for those who wait.
func unlockRank(file *os.File, offset int64, rank int) {
	_ = windows.UnlockFileEx(windows.Handle(file.Fd()), 0, 1, 0, at(offset+int64(rank)))
}

func at(offset int64) *windows.Overlapped {
	return &windows.Overlapped{Offset: uint32(offset), OffsetHigh: uint32(offset >> 32)}
}

func lockCommand(file *os.File, flags uint32, offset int64) error {
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|flags, 0, 1, 0, at(offset))
	return os.NewSyscallError("LockFileEx", err)
}
