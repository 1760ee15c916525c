//go:build !linux && !windows

package cache

import "golang.org/x/sys/unix"

// POSIX record locks belong to the process: they keep processes apart, which
// is what a plugin needs, but not two callers in one process.
const (
	setLock     = unix.F_SETLK
	setLockWait = unix.F_SETLKW
)
