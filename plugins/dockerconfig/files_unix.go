//go:build !windows

package dockerconfig

import (
	"errors"
	"syscall"
)

// isNotDirectory reports whether part of a path is a file.
func isNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
