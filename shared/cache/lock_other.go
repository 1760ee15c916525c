//go:build !linux && !windows

package cache

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lockName returns the file that holds the lock of an entry: one for each rank,
// because such systems lock whole files.
func lockName(entry string, rank int) string { return entry + "." + strconv.Itoa(rank) + ".lock" }

func tryLockRank(file *os.File, _ int64, _ int) error {
	err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

func lockRank(file *os.File, _ int64, _ int) error {
	for {
		err := flock(file, unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// unlockRank does nothing: closing the file frees the lock.
func unlockRank(*os.File, int64, int) {}

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
