//go:build !linux

package doctor

import "errors"

// errElsewhere is the error of what only Linux can be asked.
var errElsewhere = errors.New("only Linux can be asked")

func synchronised() (bool, error) { return false, errElsewhere }

func fileSystem(string) (FileSystem, error) { return FileSystem{}, errElsewhere }
