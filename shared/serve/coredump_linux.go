package serve

import "golang.org/x/sys/unix"

// forbidCoreDump keeps tokens out of core files: a process that is not
// dumpable leaves none, whatever the limits and GOTRACEBACK say. It also keeps
// other processes of the same user from reading its memory.
func forbidCoreDump() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
