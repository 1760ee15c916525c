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
	if e, _ := cache.store.read(nameOf(credentials, cloud.key)); e.Failed == nil || e.Failed.Count != 1 {
		t.Errorf("after a success the next failure is recorded as %+v", e.Failed)
	}
}

// An outage of yesterday says nothing of one request that fails today.
func TestOldFailuresDoNotCount(t *testing.T) {
	for name, tc := range map[string]struct {
		pass func(*fakeClock)
		want int
	}{
		"soon after":   {func(c *fakeClock) { c.run(2 * time.Second) }, 3},
		"much later":   {func(c *fakeClock) { c.run(keepFailure + 2*time.Second) }, 1},
		"of no moment": {func(c *fakeClock) { c.bootID = "second"; c.boot = 0; c.step(-time.Hour) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cache, _ := newTestCache(t, clock)
			cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("down") }}
			_, _ = cache.Get(t.Context(), cloud)
			clock.run(time.Second)
			_, _ = cache.Get(t.Context(), cloud)
			tc.pass(clock)
			_, _ = cache.Get(t.Context(), cloud)
			if e, _ := cache.store.read(nameOf(credentials, cloud.key)); e.Failed == nil || e.Failed.Count != tc.want {
				t.Errorf("recorded as %+v, want count %d", e.Failed, tc.want)
			}
		})
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
	file, err := os.ReadFile(filepath.Join(dir, nameOf(credentials, cloud.key)+entryExt))
	if err != nil || strings.Contains(string(file), jwt) || strings.Contains(string(file), `\n`) {
		t.Errorf("recorded: %s (%v)", file, err)
	}
}

func TestTheTextsOfAFailureAreKeptApart(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	cause := &credential.Failure{Problem: "AWS refuses", Advice: "grant it", Evidence: "sts at host, as node", Err: errors.New("403"), Permanent: true}
	for name, tc := range map[string]struct {
		err  error
		want string // before the note
		part credential.Failure
	}{
		"bare":    {cause, "AWS refuses: grant it [sts at host, as node]", *cause},
		"wrapped": {errors.Join(cause), "AWS refuses: grant it [sts at host, as node]", *cause},
		"in context": {
			&credential.Failure{Err: cause, Advice: "look there"},
			"AWS refuses: grant it [sts at host, as node]: look there",
			credential.Failure{Problem: "AWS refuses: grant it [sts at host, as node]", Advice: "look there"},
		},
		"without texts": {errors.New("no route"), "no route", credential.Failure{Problem: "no route"}},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := &fakeCloud{key: credential.Key{name}, fetch: func(int) (credential.Credential, error) { return credential.Credential{}, tc.err }}
			_, first := cache.Get(t.Context(), cloud)
			if first == nil || first.Error() != tc.err.Error() {
				t.Fatalf("first: %v", first)
			}
			clock.run(100 * time.Millisecond)
			_, err := cache.Get(t.Context(), cloud)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want+" (happened 100ms ago to another process; next attempt in ") {
				t.Errorf("got %v", err)
			}
			failure, ok := errors.AsType[*credential.Failure](err)
			if !ok || failure.Problem != tc.part.Problem || failure.Advice != tc.part.Advice || failure.Evidence != tc.part.Evidence || failure.Permanent != tc.part.Permanent {
				t.Errorf("in the chain is %+v", failure)
			}
			wantCalls(t, cloud, 1)
		})
	}
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

// A signal ends the call for the inner token too.
func TestAStopIsNotRecordedOfATokenOnTheWay(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	ctx, stop := context.WithCancel(t.Context())
	inner := &fakeCloud{key: credential.Key{"inner"}, fetch: func(int) (credential.Credential, error) {
		stop()
		return credential.Credential{}, ctx.Err()
	}}
	if _, err := cache.Get(ctx, &layered{"a", tokenCloud{fakeCloud: inner}}); err == nil {
		t.Fatal("got a credential")
	}
	inner.fetch = func(int) (credential.Credential, error) { return credential.Credential{}, errors.New("refused") }
	if _, err := cache.Get(t.Context(), &layered{"a", tokenCloud{fakeCloud: inner}}); err == nil || err.Error() != "for a: refused" {
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
		_, err := cache.Get(t.Context(), &layered{outer, tokenCloud{fakeCloud: inner}})
		if err == nil {
			t.Fatal("got a credential")
		}
		return err.Error()
	}
	if got := ask("a"); got != "for a: throttled" {
		t.Errorf("first: got %q", got)
	}
	clock.run(10 * time.Second)
	const cached = "throttled (happened 10s ago to another process; next attempt in 50s)"
	for _, outer := range []string{"a", "b", "b"} {
		if got := ask(outer); got != "for "+outer+": "+cached {
			t.Errorf("%s: got %q", outer, got)
		}
	}
	wantCalls(t, inner, 1)
	clock.run(50 * time.Second)
	if got := ask("b"); got != "for b: throttled" {
		t.Errorf("after its time: got %q", got)
	}
}

// A service may repeat what it was shown. Whoever is told of the failure later
// has not read that secret, and could not know it.
func TestARecordedFailureHasNoSecretOfWhoeverAsked(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	const secret = "correct.horse.battery"
	cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) {
		credential.NewSecret(secret)
		return credential.Credential{}, &credential.Failure{Problem: "no " + secret, Advice: "not " + secret, Evidence: "sent " + secret}
	}}
	_, _ = cache.Get(t.Context(), cloud)
	if _, err := cache.Get(t.Context(), cloud); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("told later: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if text, err := os.ReadFile(files[0]); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("on disk: %s, %v", text, err)
	}
}

// layered is a token that another one is needed for.
type layered struct {
	name  string
	inner credential.TokenSource
}

func (s *layered) String() string { return "the cloud of layers" }

func (s *layered) Key() credential.Key { return credential.Key{"outer", s.name} }

func (s *layered) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	if _, err := getter.Token(ctx, s.inner); err != nil {
		return credential.Credential{}, fmt.Errorf("for %s: %w", s.name, err)
	}
	return credential.Credential{}, errors.New("not reached")
}

// The kubelet pulls one image after the other, and each would wait as long
// again.
func TestAFailureIsRememberedAsLongAsItTook(t *testing.T) {
	for name, tc := range map[string]struct {
		took, want time.Duration
		err        error
	}{
		"a hanging cloud":    {40 * time.Second, 40 * time.Second, errors.New("timeout")},
		"a refusal by it":    {40 * time.Second, 40 * time.Second, &credential.Failure{Err: errors.New("403"), Permanent: true}},
		"a quick one":        {100 * time.Millisecond, time.Second, errors.New("500")},
		"at most":            {time.Hour, 2 * time.Minute, errors.New("timeout")},
		"unless it says so":  {40 * time.Second, 3 * time.Minute, &credential.Failure{Err: errors.New("429"), RetryAfter: 3 * time.Minute}},
		"which has an end":   {40 * time.Second, 5 * time.Minute, &credential.Failure{Err: errors.New("429"), RetryAfter: time.Hour}},
		"or wants it sooner": {40 * time.Second, 40 * time.Second, &credential.Failure{Err: errors.New("429"), RetryAfter: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cache, _ := newTestCache(t, clock)
			cloud := &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) {
				clock.run(tc.took)
				return credential.Credential{}, tc.err
			}}
			_, _ = cache.Get(t.Context(), cloud)
			clock.run(tc.want - time.Millisecond)
			_, _ = cache.Get(t.Context(), cloud)
			wantCalls(t, cloud, 1)
			clock.run(time.Millisecond)
			_, _ = cache.Get(t.Context(), cloud)
			wantCalls(t, cloud, 2)
		})
	}
}
