package cache

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
)

// A password with a flipped bit is refused by the registry, for as long as it
// is served.
func TestADamagedEntryIsAMiss(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	mustGet(t, cache, cloud)
	file := filepath.Join(dir, entryFile(nameOf(credentials, cloud.key)))
	good, err := os.ReadFile(file)
	must(t, err)
	for at := range good {
		for _, bit := range []byte{1, 2, 0x40} {
			bad := []byte(string(good))
			bad[at] ^= bit
			e, err := decode(bad)
			if err == nil && e.check(credentials, cloud.key) == nil && e.Held.Value != "token-1" {
				t.Fatalf("byte %d of %s: believed %+v", at, good, e.Held)
			}
		}
	}
	at := strings.Index(string(good), "token-1")
	good[at+1] ^= 1
	must(t, os.WriteFile(file, good, 0o600))
	wantToken(t, mustGet(t, cache, cloud), "token-2")
	wantToken(t, mustGet(t, cache, cloud), "token-2")
}

// A node may run plugins of two releases while it is upgraded.
func TestReleasesKeepTheirOwnEntries(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	name := nameOf(credentials, cloud.key)
	must(t, os.Mkdir(dir, 0o700))
	others := []string{name + ".json", name + ".tmp", name + ".v1.json", name + ".v3.json", name + ".v3.0.tmp"}
	for _, other := range others {
		must(t, os.WriteFile(filepath.Join(dir, other), []byte("another's"), 0o600))
		must(t, os.Chtimes(filepath.Join(dir, other), start, start))
	}
	mustGet(t, cache, cloud)
	cache.Tidy()
	mustGet(t, cache, cloud)
	wantCalls(t, cloud, 1)
	for _, other := range others {
		if data, err := os.ReadFile(filepath.Join(dir, other)); string(data) != "another's" {
			t.Errorf("%s: %q, %v", other, data, err)
		}
	}
}

func TestNoLifeOverADayIsBelieved(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, 53506*24*time.Hour)
	if first := mustGet(t, cache, cloud); first.Expires.Sub(start) > 24*time.Hour || first.Refresh.Sub(start) > 15*time.Hour {
		t.Errorf("expires after %s, to be refreshed after %s", first.Expires.Sub(start), first.Refresh.Sub(start))
	}
	clock.run(25 * time.Hour)
	wantToken(t, mustGet(t, cache, cloud), "token-2")

	// Nor of an entry, whoever wrote it.
	e := entry{Kind: credentials, Key: cloud.key, Held: hold(item{
		username: "user", value: credential.NewSecret("old"), expires: clock.now().Wall.Add(time.Hour),
	}, clock.now(), time.Time{}, 0)}
	e.Held.Life = 25 * time.Hour
	data, err := encode(e)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, entryFile(nameOf(credentials, cloud.key))), data, 0o600))
	wantToken(t, mustGet(t, cache, cloud), "token-3")
}

// What is obtained for a pod is of no use when the pod's own token has ended.
func TestNothingIsKeptPastTheLimit(t *testing.T) {
	for name, tc := range map[string]struct{ until, want time.Duration }{
		"a pod's token":          {20 * time.Minute, 20 * time.Minute},
		"that outlives it":       {2 * time.Hour, time.Hour},
		"of a wrong clock":       {-time.Hour, time.Minute},
		"that is about to end":   {time.Second, time.Minute},
		"without such an end":    {0, time.Hour},
		"that ends as it starts": {time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			options := Options{Dir: filepath.Join(t.TempDir(), "cache"), Clock: clock.now, Node: "node-1"}
			if tc.until != 0 {
				options.Until = start.Add(tc.until)
			}
			cloud := issuing(clock, time.Hour)
			for range 2 {
				got := mustGet(t, New(options), cloud)
				if life := got.Expires.Sub(start); life != tc.want || got.Refresh.After(got.Expires) {
					t.Errorf("kept for %s, want %s; refreshed after %s", life, tc.want, got.Refresh.Sub(start))
				}
			}
			wantCalls(t, cloud, 1)
		})
	}
}

func FuzzDecode(f *testing.F) {
	clock := newClock()
	key := credential.Key{"k"}
	held := hold(item{username: "u", value: credential.NewSecret("p"), expires: start.Add(time.Hour)}, clock.now(), time.Time{}, 0.5)
	token := hold(item{value: credential.NewSecret("p"), privateKey: credential.NewSecret("k"), expires: start.Add(time.Hour)}, clock.now(), time.Time{}, 0.5)
	for _, e := range []entry{
		{Kind: credentials, Key: key, Held: held},
		{Kind: tokens, Key: key, Held: token},
		{Kind: credentials, Key: key, Failed: &failed{Problem: "m", Advice: "a", Evidence: "e", Count: 1}},
	} {
		data, err := json.Marshal(e)
		must(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"kind":"credential","key":["k"],"held":{"life":1e99}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := decode(data); err == nil {
			t.Error("believed without a checksum")
		}
		e, err := decode(frame(data))
		if err != nil {
			return
		}
		now := clock.now()
		for _, k := range []kind{credentials, tokens} {
			if e.check(k, key) != nil {
				continue
			}
			if e.fresh(now) && !e.usable(now) {
				t.Error("fresh and not usable")
			}
			if e.usable(now) {
				i := e.item(now)
				if left := i.expires.Sub(now.Wall); left <= 0 || left > maxLife {
					t.Errorf("served with %s left", left)
				}
				if i.value.Empty() && (k == tokens || i.username != "") || k == tokens && i.username != "" || k == credentials && !i.privateKey.Empty() {
					t.Errorf("served a %s %+v", k, i)
				}
			}
			if e.failed(now) {
				if message := e.failure(now).Error(); strings.ContainsAny(message, "\n\x00") {
					t.Errorf("failure %q", message)
				}
			}
			if end := e.end(now).Sub(now.Wall); end < 0 || end > maxLife+maxRetry+keepFailure {
				t.Errorf("of use for %s", end)
			}
		}
	})
}
