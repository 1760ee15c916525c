package cache

import (
	"math"
	"time"
)

// Instant is a moment by two clocks: the wall clock, which may be set, and the
// time since boot, which only runs.
type Instant struct {
	Wall time.Time
	// Boot counts time asleep too. Zero means that it is not known.
	Boot time.Duration
	// BootID names the boot that Boot counts from. Nil means that it is not
	// known. It is asked only where the clocks disagree.
	BootID func() string
}

// Clock tells the time.
type Clock func() Instant

func systemClock() Instant { return Instant{Wall: time.Now(), Boot: sinceBoot(), BootID: bootID} }

// stamp is an Instant as it is stored.
type stamp struct {
	Wall   time.Time     `json:"wall"`
	Boot   time.Duration `json:"boot,omitempty"`
	BootID string        `json:"bootID,omitempty"`
}

func (now Instant) stamp() stamp { return stamp{now.Wall, now.Boot, now.bootID()} }

func (now Instant) bootID() string {
	if now.BootID == nil {
		return ""
	}
	return now.BootID()
}

// ageUnknown is longer than anything lives.
const ageUnknown = time.Duration(math.MaxInt64)

// agreement is how far the clocks may be apart before it is asked why: the
// wall clock is slewed all the time.
const agreement = time.Minute

// since returns the time from earlier to now, never too little: a wall clock
// that was set back does not make a dead token look alive, and one that was
// behind when the token was obtained is not believed over the corrected one.
//
// Within one boot the clock that says more is right. After a reboot only the
// wall clock says anything, and if that went backwards nothing is known.
func (now Instant) since(earlier stamp) time.Duration {
	byWall := now.Wall.Sub(earlier.Wall)
	if now.Boot > 0 && earlier.Boot > 0 {
		byBoot := now.Boot - earlier.Boot
		if byBoot >= 0 && ((byWall-byBoot).Abs() < agreement || now.bootID() == earlier.BootID) {
			return max(byWall, byBoot)
		}
	}
	if byWall < 0 {
		return ageUnknown
	}
	return byWall
}
