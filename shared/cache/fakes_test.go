package cache

import (
	"context"
	"fmt"
	"path/filepath"
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

func (f *fakeCloud) String() string { return "the fake cloud" }

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

// tokenCloud is a TokenSource of what a fakeCloud issues as passwords.
type tokenCloud struct {
	*fakeCloud
	privateKey string
}

func (c tokenCloud) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	got, err := c.fakeCloud.Fetch(ctx, getter)
	return credential.Token{
		Value: got.Password, PrivateKey: credential.NewSecret(c.privateKey), Expires: got.Expires, Refresh: got.Refresh, Caller: got.Caller,
	}, err
}

// issuingTokens returns a cloud whose n-th token is "token-n" and lives for
// life.
func issuingTokens(clock *fakeClock, life time.Duration) tokenCloud {
	return tokenCloud{fakeCloud: issuing(clock, life)}
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
	return got.Credential
}

func wantToken(t *testing.T, got credential.Credential, want string) {
	t.Helper()
	if got.Password.Reveal() != want {
		t.Errorf("got %s, want %s", got.Password.Reveal(), want)
	}
}

func mustToken(t *testing.T, c *Cache, source credential.TokenSource) credential.Token {
	t.Helper()
	got, err := c.Token(t.Context(), source)
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	return got
}

func wantValue(t *testing.T, got credential.Token, want string) {
	t.Helper()
	if got.Value.Reveal() != want {
		t.Errorf("got %s, want %s", got.Value.Reveal(), want)
	}
}

func wantCalls(t *testing.T, cloud *fakeCloud, want int32) {
	t.Helper()
	if got := cloud.calls.Load(); got != want {
		t.Errorf("the cloud was asked %d times, want %d", got, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
