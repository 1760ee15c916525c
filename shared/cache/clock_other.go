//go:build !linux && !windows

package cache

import "time"

// sinceBoot is not known: such systems run no kubelet, and the wall clock
// alone does for a developer's machine.
func sinceBoot() time.Duration { return 0 }

func bootID() string { return "" }
