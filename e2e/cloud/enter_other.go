//go:build !linux

package cloud

import (
	"fmt"
	"net/netip"
	"runtime"
)

// Enter returns ErrUnsupported: only Linux has these namespaces.
func Enter() error {
	return fmt.Errorf("%w on %s", ErrUnsupported, runtime.GOOS)
}

func addLoopbackAddress(netip.Addr) error { return ErrUnsupported }

func newThread() (*thread, error) { return nil, ErrUnsupported }
