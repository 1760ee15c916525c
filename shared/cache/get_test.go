package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
)

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

func TestAHitSaysSoAndHowOldItIs(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	if first, err := cache.Get(t.Context(), cloud); err != nil || first.Hit || first.Age != 0 {
		t.Errorf("first: hit %t, age %s, %v", first.Hit, first.Age, err)
	}
	clock.run(3 * time.Minute)
	if second, err := cache.Get(t.Context(), cloud); err != nil || !second.Hit || second.Age != 3*time.Minute {
		t.Errorf("second: hit %t, age %s, %v", second.Hit, second.Age, err)
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

func TestASourceCannotPutARefreshOff(t *testing.T) {
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
	slot, err := cache.store.tryLock(nameOf(credentials, cloud.key))
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

func TestARefreshBelievesWhatAnotherProcessRecorded(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuing(clock, 12*time.Hour)
	mustGet(t, cache, cloud)
	looked, err := cache.store.read(nameOf(credentials, cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	clock.run(8 * time.Hour)
	failing := &fakeCloud{key: cloud.key, fetch: func(int) (credential.Credential, error) {
		return credential.Credential{}, &credential.Failure{Err: errors.New("throttled"), RetryAfter: time.Minute}
	}}
	mustGet(t, cache, failing)
	late := cache.lookup(credentials, cloud, cloud.key, func(context.Context) (item, error) { return item{}, errors.New("asked") })
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

func TestWithoutADirectoryEveryGetAsks(t *testing.T) {
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
	data, err := os.ReadFile(filepath.Join(dir, nameOf(credentials, keys[3])+entryExt))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, nameOf(credentials, keys[4])+entryExt), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cloud := issuing(clock, time.Hour)
	cloud.key = keys[4]
	wantToken(t, mustGet(t, cache, cloud), "token-1")
	wantCalls(t, cloud, 1)
}
