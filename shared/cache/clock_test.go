package cache

import (
	"errors"
	"testing"
	"time"

	"regcred/shared/credential"
)

func TestAClockThatIsSetDoesNotMakeADeadTokenLookAlive(t *testing.T) {
	for name, tc := range map[string]struct {
		pass, step time.Duration
		want       string
	}{
		"set back past the token's end": {13 * time.Hour, -10 * time.Hour, "token-2"},
		"set back within its life":      {2 * time.Hour, -time.Hour, "token-1"},
		"was behind, then corrected":    {time.Hour, 12 * time.Hour, "token-2"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cache, _ := newTestCache(t, clock)
			cloud := issuing(clock, 12*time.Hour)
			mustGet(t, cache, cloud)
			clock.run(tc.pass)
			clock.step(tc.step)
			got := mustGet(t, cache, cloud)
			wantToken(t, got, tc.want)
			if tc.want == "token-1" {
				if left := got.Expires.Sub(clock.now().Wall); left != 10*time.Hour {
					t.Errorf("10h of life are left, but the answer says %s", left)
				}
			}
		})
	}
}

// A directory that outlives the boot has entries whose age by the time since boot
// means nothing.
func TestAReboot(t *testing.T) {
	for name, tc := range map[string]struct {
		boot time.Duration // at the look, after the reboot
		wall time.Duration // what the wall clock shows of it since the record
		want string
	}{
		"with a right clock":                     {time.Minute, time.Hour, "token-1"},
		"long ago":                               {time.Minute, 13 * time.Hour, "token-2"},
		"with a clock that was ahead before":     {time.Minute, -300 * 24 * time.Hour, "token-2"},
		"long ago with a clock that was ahead":   {9 * 24 * time.Hour, -300 * 24 * time.Hour, "token-2"},
		"about as long after boot as the record": {time.Hour, -time.Hour, "token-2"},
		"a right clock, about as long after":     {time.Hour + time.Minute, 2 * time.Hour, "token-1"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cache, _ := newTestCache(t, clock)
			cloud := issuing(clock, 12*time.Hour)
			mustGet(t, cache, cloud)
			clock.bootID, clock.boot = "second", tc.boot
			clock.step(tc.wall)
			wantToken(t, mustGet(t, cache, cloud), tc.want)
		})
	}
}

func TestAFailureDoesNotOutliveAReboot(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("down") }}
	_, _ = cache.Get(t.Context(), cloud)
	clock.bootID, clock.boot = "second", time.Minute
	clock.step(-time.Hour)
	_, _ = cache.Get(t.Context(), cloud)
	wantCalls(t, cloud, 2)
}
