package cache

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"regcred/shared/credential"
)

func TestOneFetchesAndTheOthersWait(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	issue := cloud.fetch
	cloud.fetch = func(call int) (credential.Credential, error) {
		time.Sleep(50 * time.Millisecond)
		return issue(call)
	}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			got, err := cache.Get(t.Context(), cloud)
			if err != nil || got.Password.Reveal() != "token-1" {
				t.Errorf("got %s, %v", got.Password.Reveal(), err)
			}
		})
	}
	group.Wait()
	wantCalls(t, cloud, 1)
}

func TestABurstOfFailuresMakesOneAttempt(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) {
		time.Sleep(50 * time.Millisecond)
		return credential.Credential{}, errors.New("throttled")
	}}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := cache.Get(t.Context(), cloud); err == nil {
				t.Error("got a credential")
			}
		})
	}
	group.Wait()
	wantCalls(t, cloud, 1)
}

func TestWaitingEndsWithTheBudget(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	slot, err := cache.store.tryLock(nameOf(credentials, cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := cache.Get(ctx, cloud); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	slot.release()
	// The wait that was called off gives the lock up again.
	wantToken(t, mustGet(t, cache, cloud), "token-1")
}

func TestExpiredWhileWaitingIsFetchedAgain(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, time.Minute)
	slot, err := cache.store.tryLock(nameOf(credentials, cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan credential.Credential)
	go func() {
		c, _ := cache.Get(context.Background(), cloud)
		got <- c.Credential
	}()
	time.Sleep(20 * time.Millisecond)
	old := entry{Kind: credentials, Key: cloud.key, Held: hold(item{
		username: "user", value: credential.NewSecret("old"), expires: clock.now().Wall.Add(time.Minute),
	}, clock.now(), time.Time{}, 0)}
	if err := errors.Join(slot.reserve(), slot.commit(old, clock.now())); err != nil {
		t.Fatal(err)
	}
	clock.run(2 * time.Minute)
	slot.release()
	wantToken(t, <-got, "token-1")
}

func TestAPurgeDuringAStormKeepsOneLeader(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	held, err := cache.store.tryLock(nameOf(credentials, cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { mustGet(t, cache, cloud) })
	}
	time.Sleep(50 * time.Millisecond)
	// At once: who comes while it is removed file by file could lose its lock, too.
	must(t, os.Rename(dir, dir+".purged"))
	must(t, os.RemoveAll(dir+".purged"))
	held.release()
	group.Wait()
	wantCalls(t, cloud, 1)
}

func TestLocksOfDifferentEntriesAreIndependent(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	a, err := cache.store.tryLock(nameOf(credentials, credential.Key{"a"}))
	must(t, err)
	defer a.release()
	b, err := cache.store.tryLock(nameOf(credentials, credential.Key{"b"}))
	must(t, err)
	b.release()
	if _, err := cache.store.tryLock(nameOf(credentials, credential.Key{"a"})); !errors.Is(err, errLocked) {
		t.Errorf("a held lock was given away: %v", err)
	}
}
