package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
)

func TestEntriesAreListedWithoutTheirSecrets(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	for name, life := range map[string]time.Duration{"fresh": 12 * time.Hour, "due": 3 * time.Hour, "expired": time.Hour} {
		cloud := issuing(clock, life)
		cloud.key = credential.Key{name}
		fetch := cloud.fetch
		cloud.fetch = func(call int) (credential.Credential, error) {
			c, err := fetch(call)
			c.Caller = "the node"
			return c, err
		}
		mustGet(t, cache, cloud)
	}
	token := issuingTokens(clock, 12*time.Hour)
	token.key = credential.Key{"token"}
	mustToken(t, cache, token)
	clock.run(2 * time.Hour)
	failing := &fakeCloud{key: credential.Key{"failed"}, fetch: func(int) (credential.Credential, error) {
		return credential.Credential{}, &credential.Failure{Problem: "refused", Advice: "grant it", RetryAfter: time.Minute}
	}}
	_, _ = cache.Get(t.Context(), failing)
	clock.run(time.Second)
	must(t, os.WriteFile(filepath.Join(dir, numbered(1)+entryExt), []byte("damaged"), 0o600))
	must(t, os.Link(filepath.Join(dir, lockName("", 0)), filepath.Join(dir, numbered(2)+entryExt)))

	all, err := cache.List()
	must(t, err)
	got := all.Entries
	slices.SortFunc(got, func(a, b Entry) int { return strings.Compare(a.Key[0], b.Key[0]) })
	var lines []string
	for _, e := range got {
		line := fmt.Sprintf("%s %s %s by %q", e.Kind, e.Key[0], e.State, e.Caller)
		if !e.Obtained.IsZero() {
			line += fmt.Sprintf(" at %s until %s", e.Obtained.Sub(start), e.Expires.Sub(start))
		}
		if e.Failure != "" {
			line += fmt.Sprintf(" %s at %s until %s", e.Failure, e.FailedAt.Sub(start), e.Retry.Sub(start))
		}
		lines = append(lines, line)
	}
	want := []string{
		`credential due due by "the node" at 0s until 3h0m0s`,
		`credential expired expired by "the node" at 0s until 1h0m0s`,
		`credential failed failed by "" refused: grant it at 2h0m0s until 2h1m0s`,
		`credential fresh fresh by "the node" at 0s until 12h0m0s`,
		`token token fresh by "" at 0s until 12h0m0s`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if text := fmt.Sprintf("%+v", all); strings.Contains(text, "token-1") {
		t.Errorf("a secret is told: %s", text)
	}
	var ignored []string
	for _, file := range all.Ignored {
		ignored = append(ignored, file.File+": "+file.Reason)
	}
	slices.Sort(ignored)
	wantIgnored := []string{numbered(1) + entryExt + ": too short for an entry", numbered(2) + entryExt + ": 2 hard links; want one"}
	slices.Sort(wantIgnored)
	if runtime.GOOS != "windows" && !slices.Equal(ignored, wantIgnored) {
		t.Errorf("ignored %q, want %q", ignored, wantIgnored)
	}
}

func TestAPurgeForgetsEverything(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	issue := cloud.fetch
	mustGet(t, cache, cloud)
	put(t, dir, numbered(1)+".v9.json", 1, start)
	put(t, dir, "README.json", 1, start)

	// What is being asked for meanwhile is what was asked for before.
	other := issuing(clock, time.Hour)
	other.key = credential.Key{"other"}
	other.fetch = func(call int) (credential.Credential, error) {
		if removed, err := cache.Purge(); err != nil || removed != 2 {
			t.Errorf("removed %d, %v", removed, err)
		}
		return issue(call)
	}
	mustGet(t, cache, other)
	if all, err := cache.List(); err != nil || len(all.Entries) != 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "README.json")); err != nil {
		t.Errorf("removed what is not the cache's: %v", err)
	}
	cloud.fetch, other.fetch = issue, issue
	mustGet(t, cache, cloud)
	mustGet(t, cache, other)
	wantCalls(t, cloud, 2)
	wantCalls(t, other, 2)
}

func TestAPurgeCanBeOfSome(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	short, long := issuing(clock, time.Hour), issuing(clock, 12*time.Hour)
	short.key, long.key = credential.Key{"short"}, credential.Key{"long"}
	issue := long.fetch
	mustGet(t, cache, short)
	put(t, dir, numbered(1)+".v9.json", 1, start)
	put(t, dir, numbered(2)+entryExt, 1, start)
	clock.run(2 * time.Hour)
	expired := func(e Entry) bool { return e.State == Expired }
	long.fetch = func(call int) (credential.Credential, error) {
		// Another one is being asked for, which stays.
		if removed, err := cache.PurgeIf(expired); err != nil || removed != 1 {
			t.Errorf("removed %d, %v", removed, err)
		}
		return issue(call)
	}
	mustGet(t, cache, long)
	all, err := cache.List()
	if err != nil || len(all.Entries) != 1 || all.Entries[0].Key[0] != "long" || len(all.Ignored) != 1 {
		t.Errorf("left: %+v, %v", all, err)
	}
	// One that is asked for again is not kept if it is purged meanwhile.
	clock.run(11 * time.Hour)
	long.fetch = func(call int) (credential.Credential, error) {
		if removed, err := cache.PurgeIf(func(Entry) bool { return true }); err != nil || removed != 1 {
			t.Errorf("removed %d, %v", removed, err)
		}
		return issue(call)
	}
	mustGet(t, cache, long)
	if all, err := cache.List(); err != nil || len(all.Entries) != 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
}

func TestWhatARunUses(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	token := issuingTokens(clock, time.Hour)
	token.key = credential.Key{"token", "node"}
	other := issuingTokens(clock, time.Hour)
	other.key = credential.Key{"token", "another"}
	mustToken(t, cache, token)
	mustToken(t, cache, other)
	final := issuing(clock, time.Hour)
	final.key = credential.Key{"registry", "token", "node"}
	mustGet(t, cache, final)
	all, err := cache.List()
	must(t, err)

	own, tokens := all.Of(final)
	if own == nil || own.Key[0] != "registry" || len(tokens) != 1 || tokens[0].Key[1] != "node" {
		t.Errorf("of a credential: %v, %v", own, tokens)
	}
	own, tokens = all.Of(credential.Login("user", token))
	if own == nil || own.Kind != "token" || own.Key[1] != "node" || len(tokens) != 0 {
		t.Errorf("of a login: %v, %v", own, tokens)
	}
	if own, tokens := all.Of(&fakeCloud{key: credential.Key{"none"}}); own != nil || len(tokens) != 0 {
		t.Errorf("of what was never asked for: %v, %v", own, tokens)
	}
}

func TestNothingIsListedWhereThereIsNothing(t *testing.T) {
	none, _ := newTestCache(t, newClock())
	open, dir := newTestCache(t, newClock())
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Chmod(dir, 0o755))
	for name, tc := range map[string]struct {
		cache   *Cache
		wantErr bool
	}{"no cache": {New(Options{}), false}, "no directory": {none, false}, "open to others": {open, true}} {
		all, err := tc.cache.List()
		removed, purgeErr := tc.cache.Purge()
		if len(all.Entries)+len(all.Ignored) > 0 || removed > 0 || (errors.Join(err, purgeErr) != nil) != tc.wantErr {
			t.Errorf("%s: %v, %v; %d, %v", name, all, err, removed, purgeErr)
		}
	}
}
