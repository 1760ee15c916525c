package cache

import "golang.org/x/sys/unix"

// Open file description locks belong to the open file, not to the process: two
// callers in one process exclude each other too, and closing the file frees
// exactly its own lock.
const (
	setLock     = unix.F_OFD_SETLK
	setLockWait = unix.F_OFD_SETLKW
)
