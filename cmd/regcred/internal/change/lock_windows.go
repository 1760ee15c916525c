package change

import (
	"errors"
	"os"
	"syscall"
)

func lock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func noLinks(error) bool { return true }

func notEmpty(err error) bool { return errors.Is(err, syscall.ERROR_DIR_NOT_EMPTY) }
