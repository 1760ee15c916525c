package cache

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regcred/shared/credential"
)

// secret is what no file but an entry may hold.
const secret = "token-1"

// tooLarge is a cloud whose answer cannot be kept.
func tooLarge(clock *fakeClock, key string) *fakeCloud {
	cloud := issuing(clock, time.Hour)
	cloud.key = credential.Key{key}
	fetch := cloud.fetch
	cloud.fetch = func(call int) (credential.Credential, error) {
		c, err := fetch(call)
		c.Password = credential.NewSecret(secret + strings.Repeat("x", maxEntry))
		return c, err
	}
	return cloud
}

// Where an answer cannot be kept, nobody waits for it: all ask at once.
func TestNobodyQueuesForWhatCannotBeKept(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	for name, ask := range map[string]func(meet func()) (*fakeCloud, error){
		"too large": func(meet func()) (*fakeCloud, error) {
			cloud := tooLarge(clock, "large")
			cloud.inspect = func(context.Context) { meet() }
			_, err := cache.Get(t.Context(), cloud)
			return cloud, err
		},
		"with a private key, on a disk": func(meet func()) (*fakeCloud, error) {
			cloud := issuingTokens(clock, time.Hour)
			cloud.privateKey = secret
			cloud.inspect = func(context.Context) { meet() }
			_, err := New(Options{Dir: dir, Clock: clock.now}).Token(t.Context(), cloud) // each its own run
			return cloud.fakeCloud, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			const count = 20
			var asking atomic.Int32
			together := make(chan struct{})
			// One finds out, and the others ask together: none is answered before
			// the last one asks.
			meet := func() {
				switch asking.Add(1) {
				case 1:
					time.Sleep(100 * time.Millisecond) // for the others to wait for it
					return
				case count:
					close(together)
				}
				select {
				case <-together:
				case <-time.After(10 * time.Second):
					t.Errorf("of %d, %d ask at once", count, asking.Load())
				}
			}
			var group sync.WaitGroup
			var calls [count]int32
			for i := range count {
				group.Go(func() {
					cloud, err := ask(meet)
					if err != nil {
						t.Error(err)
					}
					calls[i] = cloud.calls.Load()
				})
			}
			group.Wait()
			for i, n := range calls {
				if n != 1 {
					t.Errorf("process %d asked %d times", i, n)
				}
			}
			wantNoSecret(t, dir)
		})
	}
}

// It is found out again whether an answer can be kept.
func TestWhatCouldNotBeKeptIsTriedAgain(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := tooLarge(clock, "k")
	for range 2 {
		mustGet(t, cache, cloud)
	}
	wantCalls(t, cloud, 2)
	cloud.fetch = issuing(clock, time.Hour).fetch
	mustGet(t, cache, cloud)
	mustGet(t, cache, cloud)
	wantCalls(t, cloud, 4)
	clock.run(unkeptFor)
	mustGet(t, cache, cloud)
	mustGet(t, cache, cloud)
	wantCalls(t, cloud, 5)
}

// A credential that is due is served while a newer one cannot be kept: it is
// not asked for with every request.
func TestARefreshThatCannotBeKeptIsNotRepeated(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := tooLarge(clock, "k")
	large := cloud.fetch
	cloud.fetch = issuing(clock, 10*time.Hour).fetch
	mustGet(t, cache, cloud)
	clock.run(6 * time.Hour)
	cloud.fetch = large
	for range 3 {
		mustGet(t, cache, cloud)
	}
	wantCalls(t, cloud, 2)
}

// Whatever it is that fails.
func TestACommitThatFailsLeavesNoToken(t *testing.T) {
	for step, fail := range map[string]func(s *slot){
		"to write":  func(s *slot) { _ = s.unfinished.Close() },
		"to rename": func(s *slot) { s.name = strings.Repeat("f", 300) },
	} {
		t.Run(step, func(t *testing.T) {
			clock := newClock()
			cache, dir := newTestCache(t, clock)
			cloud := issuing(clock, time.Hour)
			name := nameOf(credentials, cloud.key)
			held, err := cache.store.tryLock(name)
			must(t, err)
			must(t, held.reserve())
			fail(held)
			e := entry{Kind: credentials, Key: cloud.key, Held: hold(item{
				username: "user", value: credential.NewSecret(secret), expires: start.Add(time.Hour),
			}, clock.now(), time.Time{}, 0)}
			if err := held.commit(e, clock.now()); err == nil {
				t.Fatal("committed")
			}
			held.name = name
			held.giveUp(clock.now())
			if !held.unkept(clock.now()) {
				t.Error("nobody is told")
			}
			held.release()
			wantNoSecret(t, dir)
			if next, err := cache.store.tryLock(name); err != nil || !next.unkept(clock.now()) {
				t.Errorf("the next one is not told (%v)", err)
			}
		})
	}
}

func wantNoSecret(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err == nil && bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s holds the token", file.Name())
		}
	}
}
