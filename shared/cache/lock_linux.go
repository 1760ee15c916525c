package cache

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockName returns the file that holds the locks of an entry: one for all, with
// a few bytes for each, so there is nothing to clean up.
//
// Open file description locks belong to the open file, not to the process: two
// callers in one process exclude each other too, and closing the file frees
// exactly its own lock.
func lockName(string, int) string { return "lock" }

func tryLockRank(file *os.File, offset int64, rank int) error {
	err := takeRank(file, unix.F_OFD_SETLK, offset, rank)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errLocked
	}
	return err
}

func lockRank(file *os.File, offset int64, rank int) error {
	for {
		err := takeRank(file, unix.F_OFD_SETLKW, offset, rank)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// takeRank takes the lock of a rank with all above it, and gives those up again:
// while somebody holds one of them, there is somebody to wait for. That is so
// when a process that was passed over has gone on, and is done first.
func takeRank(file *os.File, command int, offset int64, rank int) error {
	first, count := offset+int64(rank), int64(ranks-rank)
	if err := lockCommand(file, command, unix.F_WRLCK, first, count); err != nil || count == 1 {
		return err
	}
	return lockCommand(file, unix.F_OFD_SETLK, unix.F_UNLCK, first+1, count-1)
}

// unlockRank does nothing: closing the file frees the lock.
func unlockRank(*os.File, int64, int) {}

func lockCommand(file *os.File, command int, kind int16, first, count int64) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	lock := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: first, Len: count}
	var lockErr error
	if err := conn.Control(func(fd uintptr) { lockErr = unix.FcntlFlock(fd, command, &lock) }); err != nil {
		return err
	}
	return os.NewSyscallError("fcntl", lockErr)
}
