package main

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// memoryDirs are where a directory in memory may be.
func memoryDirs(getenv func(string) string) []string {
	if os.Geteuid() == 0 {
		return []string{"/run", "/dev/shm"}
	}
	return []string{getenv("XDG_RUNTIME_DIR"), "/dev/shm"}
}

// inMemory reports whether what is written to a directory stays in memory.
func inMemory(dir string) bool {
	var stat unix.Statfs_t
	if dir == "" || unix.Statfs(dir, &stat) != nil {
		return false
	}
	return stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC
}

func tryLock(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func ownedByUser(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
