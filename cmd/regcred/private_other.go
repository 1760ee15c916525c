//go:build !linux

package main

import (
	"io/fs"
	"os"
)

// memoryDirs is the user's directory for what does not stay: only Linux has
// nodes, and directories in memory everywhere.
func memoryDirs(func(string) string) []string { return []string{os.TempDir()} }

func inMemory(string) bool { return true }

func tryLock(*os.File) error { return nil }

// ownedByUser reports false: without locks nobody can tell what was left
// behind.
func ownedByUser(fs.FileInfo) bool { return false }
