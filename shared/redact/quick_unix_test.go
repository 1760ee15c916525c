//go:build unix

package redact_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/shared/redact"
)

// However long a text is and whatever it is made of, it takes milliseconds of a
// processor.
func TestLineIsQuick(t *testing.T) {
	secrets := []string{secret, strings.Repeat("a", 100), "eyJ" + strings.Repeat("eyJh", 500), strings.Repeat(`\%"`, 50)}
	for _, unit := range hostile {
		text := strings.Repeat(unit, 900_000/len(unit))
		best := time.Hour
		for range 3 { // memory may be slow in coming
			start := used(t)
			redact.Line(text, secrets...)
			best = min(best, used(t)-start)
		}
		if best > 100*time.Millisecond {
			t.Errorf("900 KB of %q take %s", unit, best)
		}
	}
}

// used is the processor time that this process has had. The machine may be busy
// with others.
func used(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
