package cache

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
)

func TestATokenIsCachedWithItsCaller(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuingTokens(clock, time.Hour)
	fetch := cloud.fetch
	cloud.fetch = func(call int) (credential.Credential, error) {
		c, err := fetch(call)
		c.Caller = "arn:aws:iam::1:role/node"
		return c, err
	}
	first := mustToken(t, cache, cloud)
	second := mustToken(t, cache, cloud)
	wantCalls(t, cloud.fakeCloud, 1)
	if second.Value.Reveal() != "token-1" || second.Caller != "arn:aws:iam::1:role/node" ||
		!second.Expires.Equal(first.Expires) || !second.Refresh.Equal(first.Refresh) {
		t.Errorf("got %+v after %+v", second, first)
	}
}

// via is a Source that is asked with tokens of another.
type via struct {
	*fakeCloud
	token credential.TokenSource
}

func (a via) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	token, err := getter.Token(ctx, a.token)
	if err != nil {
		return credential.Credential{}, err
	}
	got, err := a.fakeCloud.Fetch(ctx, getter)
	got.Username = token.Value.Reveal()
	return got, err
}

// What Ask answers is new in every call, and what is on the way to it is not.
func TestAskKeepsTheTokensOnTheWay(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	a := via{issuing(clock, time.Hour), issuingTokens(clock, time.Hour)}
	for _, want := range []string{"token-1", "token-2"} {
		got, err := cache.Ask(t.Context(), a)
		if err != nil || got.Password.Reveal() != want || got.Username != "token-1" || got.Hit || !got.Refresh.After(start) {
			t.Errorf("got %+v, %v; want %s", got, err, want)
		}
	}
	// One that must not be handed out is not.
	a.fetch = func(int) (credential.Credential, error) { return credential.Credential{Username: "user"}, nil }
	if got, err := cache.Ask(t.Context(), a); err == nil {
		t.Errorf("got %+v", got)
	}
}

func TestATokenIsNeverServedAsALogin(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	token, login := issuingTokens(clock, time.Hour), issuing(clock, time.Hour)
	mustToken(t, cache, token)
	mustGet(t, cache, login)
	wantCalls(t, login, 1)

	// Nor where its file stands in a credential's place.
	data, err := os.ReadFile(filepath.Join(dir, nameOf(tokens, token.key)+entryExt))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, nameOf(credentials, login.key)+entryExt), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	mustGet(t, cache, login)
	wantCalls(t, login, 2)
}

func TestAPrivateKeyIsKeptInMemoryAlone(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----"
	for name, tc := range map[string]struct {
		parent string // of the cache directory; empty is no cache
		kept   bool
	}{
		"on a disk":         {t.TempDir(), false},
		"in memory":         {inMemoryDir(t), true},
		"without a cache":   {"", false},
		"out of what exist": {filepath.Join(os.DevNull, "no"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "in memory" && tc.parent == "" {
				t.Skip("there is no directory in memory here")
			}
			var log bytes.Buffer
			clock := newClock()
			options := Options{Clock: clock.now, Log: slog.New(slog.NewTextHandler(&log, nil))}
			if tc.parent != "" {
				options.Dir = filepath.Join(tc.parent, "cache")
			}
			cache := New(options)
			cloud := issuingTokens(clock, time.Hour)
			cloud.privateKey = key
			for range 2 {
				if got := mustToken(t, cache, cloud); got.PrivateKey.Reveal() != key || got.Value.Reveal() != "token-1" {
					t.Errorf("got %s with key %q", got.Value.Reveal(), got.PrivateKey.Reveal())
				}
			}
			if renewed, err := cache.Renew(t.Context(), cloud, mustToken(t, cache, cloud)); err != nil || renewed.PrivateKey.Reveal() != key {
				t.Errorf("renewed to %+v, %v", renewed, err)
			}
			wantCalls(t, cloud.fakeCloud, 1)

			found := false
			files, _ := filepath.Glob(filepath.Join(options.Dir, "*.*"))
			if options.Dir == "" {
				files = nil
			}
			for _, file := range files {
				data, err := os.ReadFile(file)
				found = found || err == nil && bytes.Contains(data, []byte("PRIVATE KEY"))
			}
			if found != tc.kept {
				t.Errorf("the key is in a file: %t, want %t", found, tc.kept)
			}
			next := New(options) // the next run
			mustToken(t, next, cloud)
			if tc.kept {
				wantCalls(t, cloud.fakeCloud, 1)
			} else {
				wantCalls(t, cloud.fakeCloud, 2)
			}
			if said := strings.Count(log.String(), "kept for this run alone"); tc.parent != "" && !tc.kept && said != 2 {
				t.Errorf("it is said %d times in two runs: %s", said, log.String())
			}
		})
	}
}

// inMemoryDir returns a directory on a tmpfs, or "" where there is none.
func inMemoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "regcred-")
	if err != nil {
		return ""
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file, err := os.Open(dir)
	if err != nil || !inMemory(file) {
		return ""
	}
	_ = file.Close()
	return dir
}

func TestRenew(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cloud := issuingTokens(clock, 12*time.Hour)
	renew := func(refused credential.Token) credential.Token {
		t.Helper()
		got, err := cache.Renew(t.Context(), cloud, refused)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := mustToken(t, cache, cloud)
	wantValue(t, renew(first), "token-1") // which is only just new
	wantCalls(t, cloud.fakeCloud, 1)

	clock.run(time.Hour)
	second := renew(first)
	wantValue(t, second, "token-2")
	wantValue(t, renew(first), "token-2") // another process has done it
	wantValue(t, mustToken(t, cache, cloud), "token-2")
	wantCalls(t, cloud.fakeCloud, 2)

	// Of a burst one asks, also where the cloud repeats what was refused.
	repeat := issuing(clock, 12*time.Hour).fetch
	cloud.fetch = func(int) (credential.Credential, error) { return repeat(2) }
	clock.run(time.Hour)
	wantValue(t, renew(second), "token-2")
	wantValue(t, renew(second), "token-2")
	wantCalls(t, cloud.fakeCloud, 3)

	// What cannot be renewed is what there is.
	cloud.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("down") }
	clock.run(time.Hour)
	if got, err := cache.Renew(t.Context(), cloud, second); err == nil {
		t.Errorf("got %+v", got)
	}
	clock.run(50 * time.Second)
	wantValue(t, renew(second), "token-2")
	wantValue(t, mustToken(t, cache, cloud), "token-2")
	wantCalls(t, cloud.fakeCloud, 4)
}

// What could be served is not waited for as what could not.
func TestARenewalIsShort(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	first := mustToken(t, cache, issuingTokens(clock, time.Hour))
	clock.run(2 * time.Minute)
	slow := &slowCloud{tokenCloud: issuingTokens(clock, time.Hour)}
	if _, err := cache.Renew(t.Context(), slow, first); err != nil || slow.left > refreshBudget || slow.left == 0 {
		t.Errorf("%s to renew in, %v", slow.left, err)
	}
}

// slowCloud remembers how much time it was given.
type slowCloud struct {
	tokenCloud
	left time.Duration
}

func (s *slowCloud) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	if deadline, ok := ctx.Deadline(); ok {
		s.left = time.Until(deadline)
	}
	return s.tokenCloud.Fetch(ctx, getter)
}

// What cannot be kept is always new.
func TestWithoutADirectoryNothingIsRenewed(t *testing.T) {
	clock := newClock()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cache := New(Options{Dir: filepath.Join(file, "cache"), Clock: clock.now})
	cloud := issuingTokens(clock, time.Hour)
	first := mustToken(t, cache, cloud)
	got, err := cache.Renew(t.Context(), cloud, first)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, got, "token-1")
	wantCalls(t, cloud.fakeCloud, 1)
}

func TestRenewWithoutACache(t *testing.T) {
	clock := newClock()
	cache := New(Options{Clock: clock.now})
	cloud := issuingTokens(clock, time.Hour)
	first := mustToken(t, cache, cloud)
	got, err := cache.Renew(t.Context(), cloud, first)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, got, "token-1")
	wantCalls(t, cloud.fakeCloud, 1)
}
