//go:build !windows

package cache

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

func tryLockRange(file *os.File, offset int64) error {
	err := lockCommand(file, setLock, offset)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errLocked
	}
	return err
}

func lockRange(file *os.File, offset int64) error {
	for {
		err := lockCommand(file, setLockWait, offset)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

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
