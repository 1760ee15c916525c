package cache

import "time"

// Instant is a moment by two clocks: the wall clock, which may be set, and the
// time since boot, which only runs.
type Instant struct {
	Wall time.Time `json:"wall"`
	// Boot counts time asleep too. Zero means that it is not known.
	Boot time.Duration `json:"boot,omitempty"`
}

// Clock tells the time.
type Clock func() Instant

func systemClock() Instant { return Instant{Wall: time.Now(), Boot: sinceBoot()} }

// since returns the time from earlier to now by the clock that says more: a
// wall clock that was set back does not make a dead token look alive, and one
// that was behind when the token was obtained is not believed over the one
// that was corrected. It is never negative.
//
// After a reboot the time since boot says nothing, and what it says is either
// negative or too little, so the wall clock decides.
func (now Instant) since(earlier Instant) time.Duration {
	age := max(0, now.Wall.Sub(earlier.Wall))
	if now.Boot > 0 && earlier.Boot > 0 {
		age = max(age, now.Boot-earlier.Boot)
	}
	return age
}
