package cache

import (
	"time"

	"golang.org/x/sys/windows"
)

func sinceBoot() time.Duration { return windows.DurationSinceBoot() }

// bootID is not known: where the clocks disagree, one boot is taken for the
// next as long as the time since boot grows.
func bootID() string { return "" }
