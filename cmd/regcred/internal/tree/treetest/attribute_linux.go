package treetest

import (
	"testing"

	"golang.org/x/sys/unix"
)

func attribute(name string) string {
	value := make([]byte, 256)
	n, err := unix.Lgetxattr(name, "user.test", value)
	if err != nil {
		return ""
	}
	return string(value[:n])
}

// SetAttribute gives a file an extended attribute, where the file system has
// them.
func SetAttribute(t *testing.T, name, value string) {
	t.Helper()
	if err := unix.Lsetxattr(name, "user.test", []byte(value), 0); err != nil {
		t.Logf("no extended attributes here: %v", err)
	}
}
