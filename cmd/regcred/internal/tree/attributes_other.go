//go:build !linux

package tree

import (
	"errors"
	"os"
)

func attributes(*os.File) (map[string][]byte, error) { return nil, nil }

func setAttribute(*os.File, string, []byte) error { return errors.ErrUnsupported }

// Label returns nil: SELinux is Linux's.
func (t *Tree) Label(string) []byte { return nil }

// NoExec returns false.
func (t *Tree) NoExec(string) bool { return false }
