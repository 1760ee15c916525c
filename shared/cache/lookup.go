package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"regcred/shared/credential"
)

// lookup is what a call of Get, Token or Renew is about.
type lookup struct {
	*Cache
	kind kind
	key  credential.Key
	name string
	// source says who is asked, and ask asks.
	source fmt.Stringer
	ask    func(context.Context) (item, error)
	// warned is the last that was said of the entry; it is said once.
	warned string
}

func (c *Cache) lookup(k kind, source fmt.Stringer, key credential.Key, ask func(context.Context) (item, error)) *lookup {
	return &lookup{Cache: c, kind: k, key: key, name: nameOf(k, key), source: source, ask: ask}
}

// answer is an item with where it came from.
type answer struct {
	item item
	hit  bool
	age  time.Duration
}

// get answers from the cache where it can.
func (l *lookup) get(ctx context.Context) (answer, error) {
	e := l.read()
	now := l.clock()
	if e.fresh(now) {
		return l.hit(e, now), nil
	}
	ctx, stop := l.interruptible(ctx)
	defer stop()
	switch {
	case e.usable(now):
		return l.refresh(ctx, e)
	case e.failed(now):
		return answer{}, e.failure(now)
	case l.store == nil:
		return l.fetch(ctx, nil, entry{})
	default:
		return l.fetchOrWait(ctx)
	}
}

// hit answers with what an entry holds.
func (l *lookup) hit(e entry, now Instant) answer {
	a := answer{item: e.item(now), hit: true, age: now.since(e.Held.At)}
	l.debug("answered from the cache", a)
	return a
}

func (l *lookup) debug(message string, a answer) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(message, "source", l.source.String(), "age", a.age.Round(time.Second), "caller", a.item.caller, "expires", a.item.expires.UTC().Format(time.RFC3339))
	}
}

// renew answers with another item than the refused one, if that can be asked
// for again.
func (l *lookup) renew(ctx context.Context, refused item) (answer, error) {
	// What was not kept was only just obtained.
	unchanged := answer{item: refused}
	if l.store == nil {
		return unchanged, nil
	}
	ctx, stop := l.interruptible(ctx)
	defer stop()
	slot, err := l.lock(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return answer{}, err
		}
		return unchanged, nil
	}
	defer slot.release()

	e := l.read()
	now := l.clock()
	switch {
	case e.usable(now) && !e.renewable(refused.value.Reveal(), now):
		return l.hit(e, now), nil
	case e.failed(now):
		return answer{}, e.failure(now)
	}
	if err := slot.reserve(); err != nil {
		l.log.Warn("credential cache cannot be written; what was refused is not renewed", "error", err)
		return unchanged, nil
	}
	attempt, cancel := context.WithTimeout(ctx, refreshBudget)
	defer cancel()
	return l.fetch(attempt, slot, e)
}

// refresh answers with an entry that is due, asking for a newer one if no
// other process does and the last failure is not too recent.
func (l *lookup) refresh(ctx context.Context, e entry) (answer, error) {
	now := l.clock()
	if e.failed(now) || l.store == nil {
		return l.hit(e, now), nil
	}
	slot, err := l.store.tryLock(l.name)
	if err != nil {
		if !errors.Is(err, errLocked) {
			l.log.Warn("credential cache cannot be written; serving what it holds", "error", err)
		}
		return l.hit(e, l.clock()), nil
	}
	defer slot.release()
	// Another process may have tried between the look and the lock.
	if newer := l.read(); newer.usable(l.clock()) {
		e = newer
	}
	now = l.clock()
	if e.fresh(now) || e.failed(now) || slot.unkept(now) {
		return l.hit(e, now), nil
	}
	if err := slot.reserve(); err != nil {
		l.log.Warn("credential cache cannot be written; serving what it holds", "error", err)
		return l.hit(e, now), nil
	}
	attempt := ctx
	if e.usableFor(now) > refreshBudget {
		var cancel context.CancelFunc
		attempt, cancel = context.WithTimeout(ctx, refreshBudget)
		defer cancel()
	}
	a, err := l.fetch(attempt, slot, e)
	now = l.clock()
	if err == nil || !e.usable(now) {
		return a, err
	}
	l.log.Warn("refresh failed; serving the credential that is still valid", "error", err, "validFor", e.usableFor(now).Round(time.Second))
	return l.hit(e, now), nil
}

// fetchOrWait answers when there is nothing to serve: whoever gets the lock
// fetches, and whoever had to wait for it finds the answer there. A process
// that is killed loses the lock, and the next one takes over.
func (l *lookup) fetchOrWait(ctx context.Context) (answer, error) {
	slot, err := l.lock(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return answer{}, err
		}
		l.log.Warn("credential cache cannot be used; asking the cloud without it", "error", err)
		return l.fetch(ctx, nil, entry{})
	}
	defer slot.release()

	e := l.read()
	now := l.clock()
	switch {
	case e.usable(now):
		return l.hit(e, now), nil
	case e.failed(now):
		return answer{}, e.failure(now)
	}
	if slot.passed != nil {
		l.log.Warn("asking the cloud in another process's place", "error", slot.passed)
	}
	// Where nothing can be kept, those who wait would wait for nothing, one
	// after the other: the lock is given up before the cloud is asked.
	if slot.unkept(now) {
		slot.release()
		return l.fetch(ctx, nil, e)
	}
	if err := slot.reserve(); err != nil {
		l.log.Warn("credential cache cannot be written; asking the cloud without it", "error", err)
		slot.release()
		return l.fetch(ctx, nil, e)
	}
	a, err := l.fetch(ctx, slot, e)
	if err == nil || errors.Is(err, credential.ErrStopped) {
		return a, err
	}
	// Another process may have been luckier, if this one was stopped and had
	// its place taken.
	if e, now := l.read(), l.clock(); e.usable(now) {
		return l.hit(e, now), nil
	}
	return answer{}, err
}

// lock locks the entry, and waits for others that have.
func (l *lookup) lock(ctx context.Context) (*slot, error) {
	slot, err := l.store.lockEntry(ctx, l.name)
	if err != nil && stopped(ctx) {
		err = fmt.Errorf("%w: %w", credential.ErrStopped, err)
	}
	return slot, err
}

// fetch asks the cloud and records what came of it in the slot, if there is
// one, over what was there.
func (l *lookup) fetch(ctx context.Context, slot *slot, old entry) (answer, error) {
	begin := l.clock()
	i, err := l.ask(ctx)
	now := l.clock()
	if err == nil {
		err = check(l.kind, i, old, now)
	}
	e := entry{Kind: l.kind, Key: l.key}
	switch {
	case err == nil:
		e.Held = hold(i, now, l.until, spread(l.node, l.name))
	case errors.Is(err, credential.ErrStopped):
		return answer{}, err
	case stopped(ctx):
		// That says nothing of the cloud.
		return answer{}, fmt.Errorf("%w: %w", credential.ErrStopped, err)
	default:
		e.Held = old.Held
		e.Failed = record(err, now.Wall.Sub(begin.Wall), old.Failed, now)
	}
	l.keep(slot, e, now)
	if err != nil {
		return answer{}, err
	}
	a := answer{item: e.item(now)}
	l.debug("answered by the cloud", a)
	return a, nil
}

// keep keeps an entry in the slot, if there is one, or for this run alone if it
// may be in no file.
func (l *lookup) keep(slot *slot, e entry, now Instant) {
	if slot != nil {
		defer slot.release()
	}
	if e.Held != nil && e.Held.PrivateKey != "" && (slot == nil || !slot.memoryBacked()) {
		if l.run.hold(l.name, e) && l.store != nil {
			l.log.Warn("token with a private key is kept for this run alone: the cache directory is not in memory (tmpfs)")
		}
		if slot != nil {
			slot.giveUp(now)
		}
		return
	}
	if slot == nil {
		return
	}
	switch err := slot.commit(e, now); {
	case err == nil:
		l.run.noteWrite()
	case errors.Is(err, errPassedOver):
		l.log.Info("credential is not cached", "reason", err)
	default:
		l.log.Warn("credential cache cannot be written", "error", err)
		slot.giveUp(now)
	}
}

// stopped reports whether somebody has called the run off.
func stopped(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// read returns the entry, or the zero entry if there is none to be trusted.
func (l *lookup) read() entry {
	if e, ok := l.run.read(l.name); ok {
		return e
	}
	if l.store == nil {
		return entry{}
	}
	e, err := l.store.read(l.name)
	if err == nil {
		err = e.check(l.kind, l.key)
	}
	if err == nil {
		return e
	}
	if !errors.Is(err, errAbsent) && err.Error() != l.warned {
		l.warned = err.Error()
		l.log.Warn("credential cache entry ignored", "entry", l.name[:12], "error", err)
	}
	return entry{}
}
