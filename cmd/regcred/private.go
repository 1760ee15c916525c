package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// private is a directory for the files of one command. It is this user's alone.
type private struct {
	dir  string
	lock *os.File
}

// privatePrefix begins the names of such directories.
const privatePrefix = "regcred-exec-"

// privateDir makes a directory in memory, and removes those of processes that
// were killed.
func privateDir(getenv func(string) string) (*private, error) {
	for _, base := range memoryDirs(getenv) {
		if !inMemory(base) {
			continue
		}
		sweep(base)
		dir, err := os.MkdirTemp(base, privatePrefix)
		if err != nil {
			continue
		}
		p := &private{dir: dir}
		if p.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
			err = tryLock(p.lock)
		}
		if err != nil {
			p.remove()
			return nil, fmt.Errorf("directory for the credential: %w", err)
		}
		return p, nil
	}
	return nil, errors.New("no directory in memory to put the credential into: mount a tmpfs at /run or /dev/shm")
}

// write writes a file that only this user can read, and returns its path.
func (p *private) write(name string, text []byte) (string, error) {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("file for the credential: %w", err)
	}
	return path, nil
}

func (p *private) remove() {
	_ = os.RemoveAll(p.dir)
	if p.lock != nil {
		_ = p.lock.Close()
	}
}

// sweep removes directories that were left behind. The kernel holds the lock of
// one for as long as its process lives.
func sweep(base string) {
	left, _ := filepath.Glob(filepath.Join(base, privatePrefix+"*"))
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !ownedByUser(info) || time.Since(info.ModTime()) < time.Minute {
			continue // Somebody's, or being made.
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue // It is being removed.
		}
		if tryLock(lock) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
