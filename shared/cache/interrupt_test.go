package cache

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"regcred/shared/credential"
)

// catcher stops what it was told of after a while, as a signal would.
type catcher struct {
	after time.Duration
	told  int
}

func (c *catcher) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	c.told++
	ctx, stop := context.WithCancel(ctx)
	time.AfterFunc(c.after, stop)
	return ctx, stop
}

func TestSignalsAreCaughtForWhatTakesTime(t *testing.T) {
	clock := newClock()
	signals := catcher{after: time.Minute}
	options := Options{Dir: filepath.Join(t.TempDir(), "cache"), Clock: clock.now, Interruptible: signals.interruptible}
	cloud := issuing(clock, time.Hour)
	mustGet(t, New(options), cloud)
	if signals.told != 1 {
		t.Errorf("told %d times of a fetch", signals.told)
	}
	mustGet(t, New(options), cloud)
	if signals.told != 1 {
		t.Error("told of a hit")
	}
}

func TestAStoppedFetchIsNotRecorded(t *testing.T) {
	clock := newClock()
	signals := catcher{after: 20 * time.Millisecond}
	cache := New(Options{Dir: filepath.Join(t.TempDir(), "cache"), Clock: clock.now, Interruptible: signals.interruptible})
	cloud := issuing(clock, time.Hour)
	issue := cloud.fetch
	cloud.inspect = func(ctx context.Context) {
		<-ctx.Done()
		cloud.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, ctx.Err() }
	}
	if _, err := cache.Get(t.Context(), cloud); !errors.Is(err, credential.ErrStopped) {
		t.Errorf("got %v", err)
	}
	cloud.inspect, cloud.fetch = nil, issue
	signals.after = time.Minute
	mustGet(t, cache, cloud)
	wantCalls(t, cloud, 2)
}

func TestAStoppedWaitSaysSo(t *testing.T) {
	clock := newClock()
	signals := catcher{after: 20 * time.Millisecond}
	cache := New(Options{Dir: filepath.Join(t.TempDir(), "cache"), Clock: clock.now, Interruptible: signals.interruptible})
	cloud := issuing(clock, time.Hour)
	slot, err := cache.store.tryLock(nameOf(credentials, cloud.key))
	must(t, err)
	defer slot.release()
	_, err = cache.Get(t.Context(), cloud)
	const want = "stopped by a signal: waiting for another process, which asks for the same credential: context canceled"
	if !errors.Is(err, credential.ErrStopped) || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
