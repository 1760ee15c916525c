package tree

import (
	"errors"
	"io/fs"
	"os"
)

const openFlags = 0

// Permission bits and owners' numbers say nothing on Windows.

func owner(fs.FileInfo) (uid, gid int) { return 0, 0 }

func ownerTrusted(int) bool { return true }

func setOwner(*os.File, int, int) error { return nil }

func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func notPermitted(error) bool { return true }

// ignoreUnsupported drops every error: directories cannot be synced.
func ignoreUnsupported(error) error { return nil }
