package build

import (
	"fmt"
	"os"
	"os/exec"
)

// installRunc gets runc from the distribution: built without the C library of
// seccomp it refuses every container that has a profile.
func installRunc() error {
	if _, err := exec.LookPath("runc"); err == nil {
		return nil
	}
	install := []string{"apt-get", "install", "-y", "--no-install-recommends", "runc"}
	if apt(install...) == nil {
		return nil
	}
	// A machine that has never asked for the list of packages knows none.
	if err := apt("apt-get", "update"); err != nil {
		return fmt.Errorf("runc is missing, and so is apt-get's list of packages: %w", err)
	}
	if err := apt(install...); err != nil {
		return fmt.Errorf("runc is missing and cannot be installed: %w", err)
	}
	return nil
}

func apt(command ...string) error {
	apt := exec.Command(command[0], command[1:]...)
	apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	apt.Stdout, apt.Stderr = os.Stderr, os.Stderr
	return apt.Run()
}
