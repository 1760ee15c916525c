package doctor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// synchronised asks the kernel, whom whatever keeps the clock right tells.
func synchronised() (bool, error) {
	var state unix.Timex // changes nothing
	clock, err := unix.Adjtimex(&state)
	if err != nil {
		return false, err
	}
	return clock != unix.TIME_ERROR && state.Status&unix.STA_UNSYNC == 0, nil
}

func fileSystem(path string) (FileSystem, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return FileSystem{}, err
	}
	// The fields are of other types on other machines.
	kind := int64(stat.Type) & 0xffffffff                                                            //nolint:unconvert // See above.
	f := FileSystem{Kind: kindName(kind), Free: stat.Bavail * uint64(stat.Bsize), Files: stat.Ffree} //nolint:gosec,unconvert // Sizes are not negative.
	f.Memory = kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC
	f.ReadOnly, f.NoExec = stat.Flags&unix.ST_RDONLY != 0, stat.Flags&unix.ST_NOEXEC != 0
	if stat.Files == 0 {
		f.Files = 1 << 30 // of file systems that do not count
	}
	return f, nil
}

func kindName(kind int64) string {
	switch kind {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.RAMFS_MAGIC:
		return "ramfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	default:
		return fmt.Sprintf("of type %#x", kind)
	}
}
