package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

	got, err := cache.Entries()
	must(t, err)
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
	if text := fmt.Sprintf("%+v", got); strings.Contains(text, "token-1") {
		t.Errorf("a secret is told: %s", text)
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
	if all, err := cache.Entries(); err != nil || len(all) != 0 {
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

func TestNothingIsListedWhereThereIsNothing(t *testing.T) {
	none, _ := newTestCache(t, newClock())
	open, dir := newTestCache(t, newClock())
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Chmod(dir, 0o755))
	for name, tc := range map[string]struct {
		cache   *Cache
		wantErr bool
	}{"no cache": {New(Options{}), false}, "no directory": {none, false}, "open to others": {open, true}} {
		entries, err := tc.cache.Entries()
		removed, purgeErr := tc.cache.Purge()
		if len(entries) > 0 || removed > 0 || (errors.Join(err, purgeErr) != nil) != tc.wantErr {
			t.Errorf("%s: %v, %v; %d, %v", name, entries, err, removed, purgeErr)
		}
	}
}
