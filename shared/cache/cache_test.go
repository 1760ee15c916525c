package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regcred/shared/credential"
)

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// fakeClock is two clocks that a test moves.
type fakeClock struct {
	mu   sync.Mutex
	wall time.Time
	boot time.Duration

	bootID string
}

func newClock() *fakeClock { return &fakeClock{wall: start, boot: time.Hour, bootID: "first"} }

func (c *fakeClock) now() Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Instant{Wall: c.wall, Boot: c.boot, BootID: func() string { return c.bootID }}
}

// run lets time pass; step sets the wall clock only.
func (c *fakeClock) run(d time.Duration) {
	c.mu.Lock()
	c.wall = c.wall.Add(d)
	c.boot += d
	c.mu.Unlock()
}
func (c *fakeClock) step(d time.Duration) { c.mu.Lock(); c.wall = c.wall.Add(d); c.mu.Unlock() }

// fakeCloud is a Source whose answers a test writes.
type fakeCloud struct {
	key   credential.Key
	calls atomic.Int32
	fetch func(call int) (credential.Credential, error)
	// inspect looks at the context of a fetch.
	inspect func(context.Context)
}

func (f *fakeCloud) Key() credential.Key { return f.key }

func (f *fakeCloud) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	if f.inspect != nil {
		f.inspect(ctx)
	}
	return f.fetch(int(f.calls.Add(1)))
}

// issuing returns a cloud whose n-th token is "token-n" and lives for life.
func issuing(clock *fakeClock, life time.Duration) *fakeCloud {
	return &fakeCloud{key: credential.Key{"test", "node"}, fetch: func(call int) (credential.Credential, error) {
		return credential.Credential{
			Username: "user",
			Password: credential.NewSecret(fmt.Sprintf("token-%d", call)),
			Expires:  clock.now().Wall.Add(life),
		}, nil
	}}
}

func newTestCache(t *testing.T, clock *fakeClock) (*Cache, string) {
	dir := filepath.Join(t.TempDir(), "cache")
	return New(Options{Dir: dir, Clock: clock.now, Node: "node-1"}), dir
}

func mustGet(t *testing.T, c *Cache, source credential.Source) credential.Credential {
	t.Helper()
	got, err := c.Get(t.Context(), source)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return got
}

func wantToken(t *testing.T, got credential.Credential, want string) {
	t.Helper()
	if got.Password.Reveal() != want {
		t.Errorf("got %s, want %s", got.Password.Reveal(), want)
	}
}

func wantCalls(t *testing.T, cloud *fakeCloud, want int32) {
	t.Helper()
	if got := cloud.calls.Load(); got != want {
		t.Errorf("the cloud was asked %d times, want %d", got, want)
	}
}

func TestFreshIsServedWithoutAsking(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	first := mustGet(t, cache, cloud)
	clock.run(4 * time.Hour)
	second := mustGet(t, cache, cloud)
	wantToken(t, second, "token-1")
	wantCalls(t, cloud, 1)
	if second.Username != "user" || !second.Expires.Equal(first.Expires) || !second.Refresh.Equal(first.Refresh) {
		t.Errorf("the cached answer %+v differs from the first %+v", second, first)
	}
}

func TestRefreshPointIsAboutHalfOfLifeAndStablePerNode(t *testing.T) {
	refreshAt := func(node string) time.Duration {
		clock := newClock()
		cache := New(Options{Dir: filepath.Join(t.TempDir(), "cache"), Clock: clock.now, Node: node})
		return mustGet(t, cache, issuing(clock, 10*time.Hour)).Refresh.Sub(start)
	}
	seen := map[time.Duration]bool{}
	for i := range 20 {
		at := refreshAt(fmt.Sprintf("node-%d", i))
		if at < 4*time.Hour || at > 6*time.Hour {
			t.Errorf("node %d refreshes after %s of 10h", i, at)
		}
		seen[at] = true
	}
	if len(seen) < 18 {
		t.Errorf("20 nodes refresh at %d moments", len(seen))
	}
	if first, second := refreshAt("node-1"), refreshAt("node-1"); first != second {
		t.Error("a node's refresh point is not stable")
	}
}

func TestASourceCanAskForAnEarlierRefresh(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 10*time.Hour)
	fetch := cloud.fetch
	cloud.fetch = func(call int) (credential.Credential, error) {
		c, err := fetch(call)
		c.Refresh = clock.now().Wall.Add(30 * time.Minute)
		return c, err
	}
	if at := mustGet(t, cache, cloud).Refresh.Sub(start); at < 24*time.Minute || at > 30*time.Minute {
		t.Errorf("refreshed after %s", at)
	}
	clock.run(30 * time.Minute)
	wantToken(t, mustGet(t, cache, cloud), "token-2")

	// It is served to its end all the same.
	cloud.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("down") }
	clock.run(9 * time.Hour)
	wantToken(t, mustGet(t, cache, cloud), "token-2")
}

func TestASourceCanNotPutARefreshOff(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	fetch := cloud.fetch
	cloud.fetch = func(call int) (credential.Credential, error) {
		c, err := fetch(call)
		c.Refresh = c.Expires
		return c, err
	}
	if at := mustGet(t, cache, cloud).Refresh.Sub(start); at > 36*time.Minute {
		t.Errorf("refreshed after %s of an hour", at)
	}
}

func TestDueIsRefreshed(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	mustGet(t, cache, cloud)
	clock.run(8 * time.Hour)
	wantToken(t, mustGet(t, cache, cloud), "token-2")
	wantToken(t, mustGet(t, cache, cloud), "token-2")
	wantCalls(t, cloud, 2)
}

func TestDueIsServedWhileAnotherProcessRefreshes(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	mustGet(t, cache, cloud)
	clock.run(8 * time.Hour)
	slot, err := cache.store.tryLock(nameOf(cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	defer slot.release()
	got := mustGet(t, cache, cloud)
	wantToken(t, got, "token-1")
	wantCalls(t, cloud, 1)
	if got.Refresh.After(clock.now().Wall) {
		t.Error("a due credential claims that its refresh is still to come")
	}
}

func TestDueIsServedWhenTheRefreshFailsUntilItsRealEnd(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	mustGet(t, cache, cloud)
	cloud.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("cloud is down") }

	clock.run(8 * time.Hour)
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	wantCalls(t, cloud, 2) // the second Get came before the retry point
	clock.run(2 * time.Second)
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	wantCalls(t, cloud, 3)
	clock.run(4 * time.Hour)
	if got, err := cache.Get(t.Context(), cloud); err == nil {
		t.Errorf("an expired credential was served: %+v", got)
	}
}

func TestRepeatedTokenHalvesTheWayToItsEnd(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	end := start.Add(time.Hour)
	cloud := &fakeCloud{key: credential.Key{"metadata"}, fetch: func(int) (credential.Credential, error) {
		return credential.Credential{Username: "_token", Password: credential.NewSecret("same"), Expires: end}, nil
	}}
	left := time.Hour
	for range 4 {
		got := mustGet(t, cache, cloud)
		wait := got.Refresh.Sub(clock.now().Wall)
		if wait < left*4/10 || wait > left*6/10 {
			t.Fatalf("with %s left the next look is in %s", left, wait)
		}
		clock.run(wait)
		left -= wait
	}
	wantCalls(t, cloud, 4)
}

func TestFailureIsRecordedUntilItsRetryPoint(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		waits []time.Duration
	}{
		"doubling":    {errors.New("sts: 500"), []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second}},
		"retry after": {&credential.Failure{Err: errors.New("ecr: 429"), RetryAfter: 20 * time.Second}, []time.Duration{20 * time.Second, 20 * time.Second}},
		"bounded":     {&credential.Failure{Err: errors.New("ecr: 429"), RetryAfter: time.Hour}, []time.Duration{5 * time.Minute}},
		"permanent":   {&credential.Failure{Err: errors.New("ecr: AccessDenied"), Permanent: true}, []time.Duration{5 * time.Second, 5 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cache, _ := newTestCache(t, clock)
			cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) { return credential.Credential{}, tc.err }}
			for i, wait := range tc.waits {
				if _, err := cache.Get(t.Context(), cloud); err == nil || err.Error() != tc.err.Error() {
					t.Fatalf("attempt %d: %v", i, err)
				}
				clock.run(wait - time.Millisecond)
				_, err := cache.Get(t.Context(), cloud)
				if err == nil || !strings.HasPrefix(err.Error(), tc.err.Error()) || !strings.Contains(err.Error(), "next attempt") {
					t.Errorf("a recorded failure reads %q", err)
				}
				wantCalls(t, cloud, int32(i+1))
				clock.run(time.Millisecond)
			}
		})
	}
}

func TestSuccessEndsTheDoubling(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, time.Minute)
	good := cloud.fetch
	bad := func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("down") }
	for _, fetch := range []func(int) (credential.Credential, error){bad, bad, bad, good, bad} {
		cloud.fetch = fetch
		_, _ = cache.Get(t.Context(), cloud)
		clock.run(time.Minute)
	}
	if e, _ := cache.store.read(nameOf(cloud.key)); e.Failed == nil || e.Failed.Count != 1 {
		t.Errorf("after a success the next failure is recorded as %+v", e.Failed)
	}
}

func TestRecordedFailureHoldsNoToken(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
	cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) {
		return credential.Credential{}, fmt.Errorf("sts refused %s\nsecond line", jwt)
	}}
	_, _ = cache.Get(t.Context(), cloud)
	file, err := os.ReadFile(filepath.Join(dir, nameOf(cloud.key)+entryExt))
	if err != nil || strings.Contains(string(file), jwt) || strings.Contains(string(file), `\n`) {
		t.Errorf("recorded: %s (%v)", file, err)
	}
}

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
	slot, err := cache.store.tryLock(nameOf(cloud.key))
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

func TestExpiredWhileWaitingIsFetchedAnew(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, time.Minute)
	slot, err := cache.store.tryLock(nameOf(cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan credential.Credential)
	go func() {
		c, _ := cache.Get(context.Background(), cloud)
		got <- c
	}()
	time.Sleep(20 * time.Millisecond)
	old := entry{Version: formatVersion, Key: cloud.key, Held: hold(credential.Credential{
		Username: "user", Password: credential.NewSecret("old"), Expires: clock.now().Wall.Add(time.Minute),
	}, clock.now(), 0)}
	if err := errors.Join(slot.reserve(), slot.commit(old)); err != nil {
		t.Fatal(err)
	}
	clock.run(2 * time.Minute)
	slot.release()
	wantToken(t, <-got, "token-1")
}

func TestAStopIsNotRecordedAsAFailureOfTheCloud(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	ctx, stop := context.WithCancel(t.Context())
	cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) {
		stop()
		return credential.Credential{}, fmt.Errorf("%w: %w", credential.ErrStopped, ctx.Err())
	}}
	if _, err := cache.Get(ctx, cloud); err == nil {
		t.Fatal("got a credential")
	}
	cloud.fetch = issuing(clock, time.Hour).fetch
	wantToken(t, mustGet(t, cache, cloud), "token-2")
}

func TestRenew(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	renew := func(refused credential.Credential) credential.Credential {
		t.Helper()
		got, err := cache.Renew(t.Context(), cloud, refused)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := mustGet(t, cache, cloud)
	wantToken(t, renew(first), "token-1") // which is only just new
	wantCalls(t, cloud, 1)

	clock.run(time.Hour)
	second := renew(first)
	wantToken(t, second, "token-2")
	wantToken(t, renew(first), "token-2") // another process has done it
	wantToken(t, mustGet(t, cache, cloud), "token-2")
	wantCalls(t, cloud, 2)

	// Of a burst one asks, also where the cloud repeats what was refused.
	repeat := issuing(clock, 12*time.Hour).fetch
	cloud.fetch = func(int) (credential.Credential, error) { return repeat(2) }
	clock.run(time.Hour)
	wantToken(t, renew(second), "token-2")
	wantToken(t, renew(second), "token-2")
	wantCalls(t, cloud, 3)

	// What can not be renewed is what there is.
	cloud.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("down") }
	clock.run(time.Hour)
	if got, err := cache.Renew(t.Context(), cloud, second); err == nil {
		t.Errorf("got %+v", got)
	}
	clock.run(50 * time.Second)
	wantToken(t, renew(second), "token-2")
	wantToken(t, mustGet(t, cache, cloud), "token-2")
	wantCalls(t, cloud, 4)
}

// What could be served is not waited for as what could not.
func TestARenewalIsShort(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	first := mustGet(t, cache, issuing(clock, time.Hour))
	clock.run(2 * time.Minute)
	slow := &slowCloud{fakeCloud: issuing(clock, time.Hour)}
	if _, err := cache.Renew(t.Context(), slow, first); err != nil || slow.left > refreshBudget || slow.left == 0 {
		t.Errorf("%s to renew in, %v", slow.left, err)
	}
}

// slowCloud remembers how much time it was given.
type slowCloud struct {
	*fakeCloud
	left time.Duration
}

func (s *slowCloud) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	if deadline, ok := ctx.Deadline(); ok {
		s.left = time.Until(deadline)
	}
	return s.fakeCloud.Fetch(ctx, getter)
}

// What can not be kept is always new.
func TestWithoutAFolderNothingIsRenewed(t *testing.T) {
	clock := newClock()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cache := New(Options{Dir: filepath.Join(file, "cache"), Clock: clock.now})
	cloud := issuing(clock, time.Hour)
	first := mustGet(t, cache, cloud)
	got, err := cache.Renew(t.Context(), cloud, first)
	if err != nil {
		t.Fatal(err)
	}
	wantToken(t, got, "token-1")
	wantCalls(t, cloud, 1)
}

func TestRenewWithoutACache(t *testing.T) {
	clock := newClock()
	cache := New(Options{Clock: clock.now})
	cloud := issuing(clock, time.Hour)
	first := mustGet(t, cache, cloud)
	got, err := cache.Renew(t.Context(), cloud, first)
	if err != nil {
		t.Fatal(err)
	}
	wantToken(t, got, "token-1")
	wantCalls(t, cloud, 1)
}

// A signal ends the call for the inner token too.
func TestAStopIsNotRecordedOfATokenOnTheWay(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	ctx, stop := context.WithCancel(t.Context())
	inner := &fakeCloud{key: credential.Key{"inner"}, fetch: func(int) (credential.Credential, error) {
		stop()
		return credential.Credential{}, ctx.Err()
	}}
	if _, err := cache.Get(ctx, &layered{"a", inner}); err == nil {
		t.Fatal("got a credential")
	}
	inner.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("refused") }
	if _, err := cache.Get(t.Context(), &layered{"a", inner}); err == nil || err.Error() != "for a: refused" {
		t.Errorf("got %v", err)
	}
}

// A failure of a token on the way is every outer token's, as old as it is, and
// told once however often it is passed on.
func TestAFailureOnTheWayIsToldOnce(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	inner := &fakeCloud{key: credential.Key{"inner"}, fetch: func(int) (credential.Credential, error) {
		return credential.Credential{}, &credential.Failure{Err: errors.New("throttled"), RetryAfter: time.Minute}
	}}
	ask := func(outer string) string {
		_, err := cache.Get(t.Context(), &layered{outer, inner})
		if err == nil {
			t.Fatal("got a credential")
		}
		return err.Error()
	}
	if got := ask("a"); got != "for a: throttled" {
		t.Errorf("first: got %q", got)
	}
	clock.run(10 * time.Second)
	const retold = "throttled (happened 10s ago to another process; next attempt in 50s)"
	for _, outer := range []string{"a", "b", "b"} {
		if got := ask(outer); got != "for "+outer+": "+retold {
			t.Errorf("%s: got %q", outer, got)
		}
	}
	wantCalls(t, inner, 1)
	clock.run(50 * time.Second)
	if got := ask("b"); got != "for b: throttled" {
		t.Errorf("after its time: got %q", got)
	}
}

// layered is a token that another one is needed for.
type layered struct {
	name  string
	inner credential.Source
}

func (s *layered) Key() credential.Key { return credential.Key{"outer", s.name} }

func (s *layered) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	if _, err := getter.Get(ctx, s.inner); err != nil {
		return credential.Credential{}, fmt.Errorf("for %s: %w", s.name, err)
	}
	return credential.Credential{}, errors.New("not reached")
}

func TestIdentitiesNeverShareAnEntry(t *testing.T) {
	keys := []credential.Key{
		{"ecr", "us-east-1", "node"},
		{"ecr", "us-east-1node"},
		{"ecr", "us-east-1", "node", ""},
		{"ecr", "us-east-1", "serviceaccount", "https://issuer", "system:serviceaccount:a:b", "uid-1"},
		{"ecr", "us-east-1", "serviceaccount", "https://issuer", "system:serviceaccount:a:b", "uid-2"},
	}
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	for i, key := range keys {
		cloud := issuing(clock, time.Hour)
		cloud.key = key
		cloud.calls.Store(int32(i * 10))
		wantToken(t, mustGet(t, cache, cloud), fmt.Sprintf("token-%d", i*10+1))
	}
	// A file that was copied to another identity's name is not believed.
	data, err := os.ReadFile(filepath.Join(dir, nameOf(keys[3])+entryExt))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, nameOf(keys[4])+entryExt), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cloud := issuing(clock, time.Hour)
	cloud.key = keys[4]
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	wantCalls(t, cloud, 1)
}

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

// A folder that outlives the boot has entries whose age by the time since boot
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

func TestAGoodCredentialIsNotReplacedByNone(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	mustGet(t, cache, cloud)
	cloud.fetch = func(int) (credential.Credential, error) {
		return credential.Anonymous(clock.now().Wall.Add(5 * time.Minute)), nil
	}
	clock.run(8 * time.Hour)
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	clock.run(5 * time.Hour)
	if got := mustGet(t, cache, cloud); !got.IsAnonymous() {
		t.Errorf("got %+v", got)
	}
}

func TestARefreshBelievesWhatAnotherProcessRecorded(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	mustGet(t, cache, cloud)
	looked, err := cache.store.read(nameOf(cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	clock.run(8 * time.Hour)
	failing := &fakeCloud{key: cloud.key, fetch: func(int) (credential.Credential, error) {
		return credential.Credential{}, &credential.Failure{Err: errors.New("throttled"), RetryAfter: time.Minute}
	}}
	mustGet(t, cache, failing)
	late := &get{Cache: cache, source: cloud, key: cloud.key, name: nameOf(cloud.key)}
	if _, err := late.refresh(t.Context(), looked); err != nil {
		t.Error(err)
	}
	wantCalls(t, cloud, 1)
}

// A credential that ends during the attempt to refresh it leaves the request
// with its whole budget.
func TestARefreshNearTheEndHasTheWholeBudget(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, time.Minute)
	mustGet(t, cache, cloud)
	clock.run(50 * time.Second)
	cloud.inspect = func(ctx context.Context) {
		if deadline, ok := ctx.Deadline(); ok {
			t.Errorf("the attempt has %s", time.Until(deadline))
		}
	}
	wantToken(t, mustGet(t, cache, cloud), "token-2")
}

func TestAWrongCredentialIsNotHandedOut(t *testing.T) {
	token := credential.NewSecret("token")
	for name, tc := range map[string]struct {
		credential credential.Credential
		want       string
	}{
		"no password": {credential.Credential{Username: "user", Expires: start.Add(time.Hour)}, "empty user name or password"},
		"no user":     {credential.Credential{Password: token, Expires: start.Add(time.Hour)}, "empty user name or password"},
		"no expiry":   {credential.Credential{Username: "user", Password: token}, "no expiry"},
		"expired":     {credential.Credential{Username: "user", Password: token, Expires: start.Add(-time.Hour)}, "1h0m0s before this node's clock"},
	} {
		t.Run(name, func(t *testing.T) {
			cache, _ := newTestCache(t, newClock())
			cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) { return tc.credential, nil }}
			if _, err := cache.Get(t.Context(), cloud); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestAnonymousIsCachedLikeAnyAnswer(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := &fakeCloud{key: credential.Key{"public"}, fetch: func(int) (credential.Credential, error) {
		return credential.Anonymous(start.Add(5 * time.Minute)), nil
	}}
	for range 2 {
		if got := mustGet(t, cache, cloud); !got.IsAnonymous() {
			t.Errorf("got %+v", got)
		}
	}
	wantCalls(t, cloud, 1)
}

func TestShortLivedTokensAreUsed(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 10*time.Second)
	mustGet(t, cache, cloud)
	clock.run(3 * time.Second)
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	wantCalls(t, cloud, 1)
}

func TestWithoutAFolderEveryGetAsks(t *testing.T) {
	clock := newClock()
	cache := New(Options{Clock: clock.now})
	cloud := issuing(clock, time.Hour)
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	got := mustGet(t, cache, cloud)
	wantToken(t, got, "token-2")
	if !got.Refresh.After(start) {
		t.Error("the answer lacks a refresh point, which the kubelet's cache time is made from")
	}
}

func TestExpiredEntriesAreRemoved(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	old := issuing(clock, time.Hour)
	old.key = credential.Key{"old"}
	mustGet(t, cache, old)
	garbage := filepath.Join(dir, strings.Repeat("a", 64)+entryExt)
	foreign := filepath.Join(dir, "README.json")
	if err := errors.Join(os.WriteFile(garbage, []byte("{"), 0o600), os.WriteFile(foreign, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	unfinished := filepath.Join(dir, strings.Repeat("b", 64)+unfinishedExt)
	otherRelease := filepath.Join(dir, strings.Repeat("c", 64)+entryExt)
	longForgotten := filepath.Join(dir, strings.Repeat("d", 64)+entryExt)
	if err := errors.Join(os.WriteFile(unfinished, nil, 0o600), os.WriteFile(otherRelease, []byte(`{"version":2}`), 0o600), os.WriteFile(longForgotten, []byte(`{"version":2}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, nameOf(old.key)+entryExt), garbage, foreign, unfinished, otherRelease} {
		if err := os.Chtimes(file, start, start); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(longForgotten, start, start.Add(-48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	clock.run(2 * time.Hour)
	mustGet(t, cache, issuing(clock, time.Hour))
	for path, want := range map[string]bool{
		filepath.Join(dir, nameOf(old.key)+entryExt): false,
		garbage:       false,
		unfinished:    false,
		foreign:       true,
		otherRelease:  true,
		longForgotten: false,
		filepath.Join(dir, nameOf(credential.Key{"test", "node"})+entryExt): true,
	} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: kept %t, want %t", filepath.Base(path), err == nil, want)
		}
	}
}
