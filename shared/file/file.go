// Package file reads the files that an operator wrote: settings, certificates
// and secrets, which decide who gets what.
package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"regcred/shared/credential"
)

// maxSize bounds a file. The largest that anybody has are bundles of
// certificate authorities, of some 250 KiB.
const maxSize = 1 << 20

// Read reads a regular file of at most 1 MiB that nobody could have written
// but root and the user who runs this process. Links are followed: mounted
// secrets are links. What may be read is checked once the file is open, so
// that nobody can put another in its place.
//
// Errors say what is wrong with the file and leave its name to the caller.
// They are an fs.ErrNotExist or fs.ErrPermission where they come from the
// system.
func Read(path string) ([]byte, error) {
	file, info, err := regular(os.OpenFile(path, os.O_RDONLY|openFlags, 0))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if err := trust(info); err != nil {
		return nil, err
	}
	return ReadAll(file, maxSize)
}

// ReadAny is Read for a file of at most limit bytes, whoever could have written
// it.
func ReadAny(path string, limit int) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return ReadAll(file, limit)
}

// ReadAll reads to the end of what has at most limit bytes, which are whole MiB.
// The size that a file tells is no bound: those of /proc have none, and any may
// grow. Errors are as Read's.
func ReadAll(r io.Reader, limit int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, withoutName(err)
	}
	if len(text) > limit {
		return nil, fmt.Errorf("larger than %d MiB", limit>>20)
	}
	return text, nil
}

// Check returns what is known of a regular file that nobody could have written or
// replaced but root and the user who runs this process, such as a program that is
// to be run. Links are followed; the directories of the link and of the file are
// looked at. Errors are as Read's, but for naming such a directory.
func Check(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, withoutName(err)
	case !info.Mode().IsRegular():
		return nil, errIrregular
	}
	if err := trust(info); err != nil {
		return nil, err
	}
	return info, trustDirectories(path)
}

// Open opens a regular file, whoever could have written it, and waits for
// nobody: opening a pipe would wait for its other end. Errors are as Read's.
func Open(path string) (*os.File, error) {
	file, _, err := regular(os.OpenFile(path, os.O_RDONLY|openFlags, 0))
	return file, err
}

// OpenIn is Open for a file in a directory, which no link leaves.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	file, _, err := regular(root.OpenFile(name, os.O_RDONLY|openFlags, 0))
	return file, err
}

// regular closes what was opened and is no regular file.
func regular(file *os.File, err error) (*os.File, os.FileInfo, error) {
	if err != nil {
		return nil, nil, withoutName(err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = withoutName(err)
	case !info.Mode().IsRegular():
		err = errIrregular
	default:
		return file, info, nil
	}
	_ = file.Close()
	return nil, nil, err
}

// ReadSecret reads a secret of one line; the end of the line is no part of it.
//
// A file that others may read is accepted. Whether that gives the secret away
// depends on the directories above it, which are often closed, and the modes
// of mounted secrets are not the operator's to choose.
//
// Errors end with the name of the file: what follows a name such as
// client-secret and a colon is taken for a secret in a message, and hidden.
func ReadSecret(path string) (credential.Secret, error) {
	text, err := Read(path)
	if err != nil {
		return credential.Secret{}, fmt.Errorf("%w: %s", err, path)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case secret == "":
		return credential.Secret{}, fmt.Errorf("empty file: %s", path)
	case strings.ContainsAny(secret, "\r\n\x00"):
		return credential.Secret{}, fmt.Errorf("more than one line: %s", path)
	}
	return credential.NewSecret(secret), nil
}

var errIrregular = errors.New("not a regular file")

// withoutName returns what the system said, without the call and the name.
func withoutName(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		err = path.Err
	}
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		err = link.Err
	}
	if irregular(err) {
		return errIrregular
	}
	return err
}
