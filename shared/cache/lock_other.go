//go:build !linux && !windows

package cache

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockName returns the file that holds the lock of an entry: one for each,
// because such systems lock whole files.
func lockName(entry string) string { return entry + ".lock" }

func tryLockRange(file *os.File, _ int64) error {
	err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

func lockRange(file *os.File, _ int64) error {
	for {
		err := flock(file, unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// unlockRange does nothing: closing the file frees the lock.
func unlockRange(*os.File, int64) {}

func flock(file *os.File, how int) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	if err := conn.Control(func(fd uintptr) { lockErr = unix.Flock(int(fd), how) }); err != nil {
		return err
	}
	return os.NewSyscallError("flock", lockErr)
}
