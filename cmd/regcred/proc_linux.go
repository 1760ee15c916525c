package main

import "golang.org/x/sys/unix"

// isProc reports whether the kernel's own file system of processes is mounted
// at a directory.
func isProc(dir string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(dir, &stat) == nil && stat.Type == unix.PROC_SUPER_MAGIC
}
