package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/shared/credential"
)

// put writes a file of the cache as a commit would: of use until a time.
func put(t testing.TB, dir, file string, size int, until time.Time) {
	t.Helper()
	path := filepath.Join(dir, file)
	must(t, os.WriteFile(path, make([]byte, size), 0o600))
	must(t, os.Chtimes(path, until, until))
}

// numbered returns the name of the i-th of many entries.
func numbered(i int) string {
	return nameOf(credentials, credential.Key{"numbered", fmt.Sprint(i)})
}

func entries(t testing.TB, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+entryExt))
	must(t, err)
	return len(files)
}

func TestWhatServesNobodyIsRemoved(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	old := issuing(clock, time.Hour)
	old.key = credential.Key{"old"}
	mustGet(t, cache, old)
	failed := issuing(clock, time.Hour)
	failed.key = credential.Key{"failed"}
	failed.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, os.ErrDeadlineExceeded }
	_, _ = cache.Get(t.Context(), failed)

	now := start.Add(2 * time.Hour)
	a, b, c := numbered(1), numbered(2), numbered(3)
	put(t, dir, a+entryExt, 1, now.Add(time.Minute))
	put(t, dir, b+entryExt, 1, now)
	put(t, dir, c+entryExt, 1, now.Add(1000*time.Hour)) // no cache wrote it
	put(t, dir, unfinishedFile(a, 0), 1, now.Add(-abandonedAfter+time.Minute))
	put(t, dir, unfinishedFile(b, 1), 1, now.Add(-abandonedAfter-time.Minute))
	put(t, dir, a+".v9.json", 1, now.Add(-foreignAfter+time.Minute))
	put(t, dir, b+".v9.json", 1, now.Add(-foreignAfter-time.Minute))
	put(t, dir, a+".json", 1, now.Add(-foreignAfter+time.Minute))
	put(t, dir, b+".tmp", 1, now.Add(-foreignAfter-time.Minute))
	put(t, dir, "README.json", 1, start.Add(-1000*time.Hour))
	clock.run(2 * time.Hour)
	fresh := issuing(clock, time.Hour)
	mustGet(t, cache, fresh)
	cache.Tidy()

	for file, want := range map[string]bool{
		entryFile(nameOf(credentials, old.key)):    false,
		entryFile(nameOf(credentials, failed.key)): false,
		entryFile(nameOf(credentials, fresh.key)):  true,
		a + entryExt:         true,
		b + entryExt:         false,
		c + entryExt:         false,
		unfinishedFile(a, 0): true,
		unfinishedFile(b, 1): false,
		a + ".v9.json":       true,
		b + ".v9.json":       false,
		a + ".json":          true,
		b + ".tmp":           false,
		"README.json":        true,
	} {
		if _, err := os.Stat(filepath.Join(dir, file)); (err == nil) != want {
			t.Errorf("%s: kept %t, want %t", file, err == nil, want)
		}
	}
}

// An entry's file stands for as long as the entry is of use, whatever it holds.
func TestAnEntryIsKeptWhileItIsOfUse(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, 4*time.Hour)
	file := filepath.Join(dir, entryFile(nameOf(credentials, cloud.key)))
	tidy := func() bool {
		if _, err := cache.store.tidy(clock.now()); err != nil {
			t.Error(err)
		}
		_, err := os.Stat(file)
		return err == nil
	}
	mustGet(t, cache, cloud)
	clock.run(3 * time.Hour)
	cloud.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, os.ErrDeadlineExceeded }
	mustGet(t, cache, cloud) // which is due
	clock.run(time.Hour - margin - time.Second)
	if !tidy() {
		t.Error("removed while it is of use")
	}
	clock.run(tidyEvery)
	if tidy() {
		t.Error("kept past its end")
	}
}

func TestNothingIsRemovedBeforeTheAnswer(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	must(t, os.Mkdir(dir, 0o700))
	put(t, dir, numbered(1)+entryExt, 1, start.Add(-time.Hour))
	cloud := issuing(clock, time.Hour)
	mustGet(t, cache, cloud)
	if entries(t, dir) != 2 {
		t.Error("removed by the fetch")
	}
	hit := New(Options{Dir: dir, Clock: clock.now})
	mustGet(t, hit, cloud)
	hit.Tidy()
	if entries(t, dir) != 2 {
		t.Error("removed by a run that had nothing to keep")
	}
	cache.Tidy()
	if entries(t, dir) != 1 {
		t.Error("not removed")
	}
}

func TestOneTidiesEveryFewMinutes(t *testing.T) {
	clock := newClock()
	store := &store{dir: filepath.Join(t.TempDir(), "cache"), beat: beatInterval}
	must(t, os.Mkdir(store.dir, 0o700))
	sweep := func() int {
		put(t, store.dir, numbered(1)+entryExt, 1, start)
		var group sync.WaitGroup
		var mu sync.Mutex
		swept := 0
		for range 10 {
			group.Go(func() {
				done, err := store.tidy(clock.now())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				swept += done.looked
				mu.Unlock()
			})
		}
		group.Wait()
		return swept
	}
	for i, step := range []struct {
		pass time.Duration
		want int
	}{{0, 1}, {0, 0}, {tidyEvery - time.Second, 0}, {time.Second, 1}, {-time.Hour, 1}} {
		clock.run(step.pass)
		if got := sweep(); got != step.want {
			t.Errorf("step %d: %d looks, want %d", i, got, step.want)
		}
	}
}

// However full the directory is, one process does a bounded part of the work,
// and the next ones go on.
func TestTidyingIsBounded(t *testing.T) {
	const many = 3 * maxEntries
	clock := newClock()
	store := &store{dir: filepath.Join(t.TempDir(), "cache"), beat: beatInterval}
	must(t, os.Mkdir(store.dir, 0o700))
	for i := range many {
		put(t, store.dir, numbered(i)+entryExt, 1, start.Add(12*time.Hour+time.Duration(i)*time.Second))
	}
	first, err := store.tidy(clock.now())
	must(t, err)
	if first.files > maxNames || first.looked > maxLooks || first.removed == 0 || first.removed > maxRemovals {
		t.Errorf("did %+v", first)
	}
	if done, err := store.tidy(clock.now()); err != nil || done.looked > 0 {
		t.Errorf("did %+v at once (%v)", done, err)
	}
	passes, left := 1, many-first.removed
	for ; left > maxEntries+maxEntries/20; passes++ {
		clock.run(tidySoon)
		done, err := store.tidy(clock.now())
		if left -= done.removed; err != nil || passes > many/50 {
			t.Fatalf("%d entries after %d passes (%v)", left, passes, err)
		}
	}
	if got := entries(t, store.dir); got != left {
		t.Errorf("%d entries are there, %d by what was removed", got, left)
	}
	// Those that are left are the later ones, by and large.
	late := 0
	for i := range many {
		if _, err := os.Stat(filepath.Join(store.dir, numbered(i)+entryExt)); err == nil && i >= many/2 {
			late++
		}
	}
	if late < left*9/10 {
		t.Errorf("of %d left after %d passes, %d are of the later half", left, passes, late)
	}
}

func TestTheOldestAreRemovedFirst(t *testing.T) {
	const size = 200 << 10
	const fit, surplus = maxBytes / size, 20
	clock := newClock()
	store := &store{dir: filepath.Join(t.TempDir(), "cache"), beat: beatInterval}
	must(t, os.Mkdir(store.dir, 0o700))
	for i := range fit + surplus {
		put(t, store.dir, numbered(i)+entryExt, size, start.Add(time.Duration(i+1)*time.Minute))
	}
	done, err := store.tidy(clock.now())
	must(t, err)
	if done.removed != surplus {
		t.Errorf("removed %d, want %d", done.removed, surplus)
	}
	for i := range fit + surplus {
		if _, err := os.Stat(filepath.Join(store.dir, numbered(i)+entryExt)); (err == nil) != (i >= surplus) {
			t.Errorf("entry %d: kept %t", i, err == nil)
		}
	}
}

func TestWhatIsLockedIsNotRemoved(t *testing.T) {
	clock := newClock()
	store := &store{dir: filepath.Join(t.TempDir(), "cache"), beat: beatInterval}
	must(t, os.Mkdir(store.dir, 0o700))
	put(t, store.dir, numbered(1)+entryExt, 1, start)
	slot, err := store.tryLock(numbered(1))
	must(t, err)
	if done, err := store.tidy(clock.now()); err != nil || done.looked != 1 || done.removed != 0 {
		t.Errorf("did %+v, %v", done, err)
	}
	slot.release()
	clock.run(tidyEvery)
	if done, err := store.tidy(clock.now()); err != nil || done.removed != 1 {
		t.Errorf("did %+v, %v", done, err)
	}
}

func TestAnUntrustedDirectoryIsNotTidied(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	mustGet(t, cache, issuing(clock, time.Hour))
	put(t, dir, strings.Repeat("a", 64)+entryExt, 1, start.Add(-time.Hour))
	must(t, os.Chmod(dir, 0o755))
	cache.Tidy()
	if entries(t, dir) != 2 {
		t.Error("removed")
	}
}
