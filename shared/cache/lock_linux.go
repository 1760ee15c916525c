package cache

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockName returns the file that holds the lock of an entry: one for all, with
// a byte for each, so there is nothing to clean up.
//
// Open file description locks belong to the open file, not to the process: two
// callers in one process exclude each other too, and closing the file frees
// exactly its own lock.
func lockName(string) string { return "lock" }

func tryLockRange(file *os.File, offset int64) error {
	err := lockCommand(file, unix.F_OFD_SETLK, offset)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errLocked
	}
	return err
}

func lockRange(file *os.File, offset int64) error {
	for {
		err := lockCommand(file, unix.F_OFD_SETLKW, offset)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// unlockRange does nothing: closing the file frees the lock.
func unlockRange(*os.File, int64) {}

func lockCommand(file *os.File, command int, offset int64) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: offset, Len: 1}
	var lockErr error
	if err := conn.Control(func(fd uintptr) { lockErr = unix.FcntlFlock(fd, command, &lock) }); err != nil {
		return err
	}
	return os.NewSyscallError("fcntl", lockErr)
}
