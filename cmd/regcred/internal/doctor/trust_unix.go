//go:build !windows

package doctor

import (
	"io/fs"
	"syscall"
)

func ownerOf(info fs.FileInfo) (user, group int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

func executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }
