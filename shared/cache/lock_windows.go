package cache

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func tryLockRange(file *os.File, offset int64) error {
	err := lockCommand(file, windows.LOCKFILE_FAIL_IMMEDIATELY, offset)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}

func lockRange(file *os.File, offset int64) error { return lockCommand(file, 0, offset) }

func lockCommand(file *os.File, flags uint32, offset int64) error {
	at := &windows.Overlapped{Offset: uint32(offset), OffsetHigh: uint32(offset >> 32)}
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|flags, 0, 1, 0, at)
	return os.NewSyscallError("LockFileEx", err)
}
