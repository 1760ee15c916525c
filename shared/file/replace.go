package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace puts text at a path in one step: whoever reads it has the old text or
// the new one, and after a power cut too. Its directory must exist. Until it is
// done the text has a name that begins with a dot and ends with ".tmp", which
// the kubelet does not take for configuration.
func Replace(path string, text []byte, mode fs.FileMode) (err error) {
	directory := filepath.Dir(path)
	temporary, err := os.CreateTemp(directory, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return withoutName(err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}()
	_, err = temporary.Write(text)
	if err == nil {
		err = temporary.Chmod(mode)
	}
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return withoutName(err)
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return withoutName(err)
	}
	return syncDirectory(directory)
}
