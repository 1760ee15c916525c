package file

import "io/fs"

// openFlags are none: opening waits for nobody.
const openFlags = 0

// irregular is false: whatever can be named can be opened or is refused.
func irregular(error) bool { return false }

// trust accepts every file. Permission bits say nothing on Windows, and its
// access lists say too much: below C:\, where clusters keep their files, every
// user may write by default.
func trust(fs.FileInfo) error { return nil }

func trustDirectories(string) error { return nil }

// syncDirectory is the file system's own business here.
func syncDirectory(string) error { return nil }
