package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// Mkdir makes a directory of this user's, on the disk.
func (t *Tree) Mkdir(name string, mode uint32) error {
	err := t.change("make directory", name, func() error {
		if err := t.root.Mkdir(local(name), fileMode(mode)); err != nil {
			return err
		}
		return t.root.Chmod(local(name), fileMode(mode)) // whatever the umask
	})
	if err != nil {
		return err
	}
	return t.Sync(path.Dir(name))
}

// Create writes a file that is not there yet, or a link, with all that state
// says of it. It is on the disk when Create returns. A SHA256 in state has to
// be the content's.
func (t *Tree) Create(name string, content io.Reader, state State) error {
	if state.Kind == Link {
		return t.change("make link", name, func() error {
			if err := t.root.Symlink(state.Target, local(name)); err != nil {
				return err
			}
			return ignoreUnsupported(t.root.Lchown(local(name), state.UID, state.GID))
		})
	}
	var file *os.File
	err := t.change("create", name, func() (err error) {
		file, err = t.root.OpenFile(local(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = t.fill(name, file, content, state)
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close %s: %w", name, cause(closeErr))
	}
	if err != nil {
		return err
	}
	if state.ModTime.IsZero() {
		return nil
	}
	return t.change("set time of", name, func() error {
		return t.root.Chtimes(local(name), time.Time{}, state.ModTime)
	})
}

// fill writes what is in a file, and then what is said of it.
func (t *Tree) fill(name string, file *os.File, content io.Reader, state State) error {
	hash := sha256.New()
	buffer := make([]byte, 1<<20)
	for {
		n, readErr := io.ReadFull(content, buffer)
		if n > 0 {
			_, _ = hash.Write(buffer[:n])
			if err := t.change("write", name, func() error { _, err := file.Write(buffer[:n]); return err }); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF) {
			break
		} else if readErr != nil {
			return fmt.Errorf("read what becomes %s: %w", name, readErr)
		}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); state.SHA256 != "" && got != state.SHA256 {
		return fmt.Errorf("what becomes %s changed while it was read", name)
	}
	return t.change("finish", name, func() error {
		if err := setOwner(file, state.UID, state.GID); err != nil {
			return err
		}
		// After the owner, whose change takes set-user-id away.
		if err := file.Chmod(fileMode(state.Mode)); err != nil {
			return err
		}
		for attribute, value := range state.Attributes {
			if err := setAttribute(file, attribute, value); err != nil {
				return fmt.Errorf("attribute %s: %w", attribute, err)
			}
		}
		if state.Label != nil {
			if err := setAttribute(file, label, state.Label); err != nil && !notPermitted(err) {
				return fmt.Errorf("attribute %s: %w", label, err)
			}
		}
		return file.Sync()
	})
}

// label is SELinux's.
const label = "security.selinux"

// Link gives a file a second name.
func (t *Tree) Link(name, second string) error {
	return t.change("link", second, func() error { return t.root.Link(local(name), local(second)) })
}

// Rename puts a file in the place of another, in one step, and on the disk.
func (t *Tree) Rename(from, to string) error {
	if err := t.change("rename to", to, func() error { return t.root.Rename(local(from), local(to)) }); err != nil {
		return err
	}
	return t.Sync(path.Dir(to))
}

// Remove removes a file or an empty directory. It is no error if there is
// none.
func (t *Tree) Remove(name string) error {
	return t.change("remove", name, func() error {
		if err := t.root.Remove(local(name)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// RemoveAll removes what is at a path with all that is in it, unless others
// could have put it there. It is no error if there is nothing.
func (t *Tree) RemoveAll(name string) error {
	if err := t.CheckPath(path.Dir(name)); err != nil {
		return err
	}
	resolved, err := t.ResolveDir(name)
	if err != nil {
		return err
	}
	return t.change("remove all of", resolved, func() error { return t.root.RemoveAll(local(resolved)) })
}

// Sync brings a directory's names to the disk.
func (t *Tree) Sync(dir string) error {
	return t.change("sync", dir, func() error {
		file, err := t.root.Open(local(dir))
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		return ignoreUnsupported(file.Sync())
	})
}

// change makes a change, and says which failed.
func (t *Tree) change(op, name string, do func() error) error {
	err := t.before(op, name)
	if err == nil {
		err = do()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, name, cause(err))
	}
	return nil
}
