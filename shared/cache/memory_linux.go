package cache

import (
	"os"

	"golang.org/x/sys/unix"
)

// inMemory reports whether a directory is on a file system that is on no disk.
func inMemory(dir *os.File) bool {
	conn, err := dir.SyscallConn()
	if err != nil {
		return false
	}
	var stat unix.Statfs_t
	var statErr error
	if err := conn.Control(func(fd uintptr) { statErr = unix.Fstatfs(int(fd), &stat) }); err != nil || statErr != nil {
		return false
	}
	// The field is of 32 bits on some machines.
	kind := int64(stat.Type) & 0xffffffff //nolint:unconvert // of another type elsewhere
	return kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC
}
