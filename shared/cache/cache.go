// Package cache keeps credentials in files, shared by all processes of a user
// on a node, and makes sure that one of them asks the cloud while the others
// wait for its answer.
//
// The kubelet starts one process for every distinct image: a node that boots
// with a hundred images of one registry starts a hundred processes at once.
//
//	state of an entry               what a process does
//	fresh                           serves it: no network, no lock
//	due (about half its life gone)  one process refreshes, the others serve it; a failed refresh serves it too
//	absent or expired               one process fetches, the others wait for what it finds
//	a failure just happened         returns the recorded failure, until the retry point
//
// A cache that can not be used, for whatever reason, never fails a request:
// the process then asks the cloud itself.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"regcred/shared/credential"
)

// refreshBudget bounds an attempt to refresh a credential that can still be
// served: nobody's pod should wait for long while a good credential is held.
const refreshBudget = 10 * time.Second

// Options configure a Cache.
type Options struct {
	// Dir is the folder of the entries. Empty means no cache: every Get
	// fetches.
	Dir string

	// Log gets what went wrong with the cache. Nil discards it.
	Log *slog.Logger

	// Clock tells the time. Nil means the system's clocks.
	Clock Clock

	// Node tells this node from others, so that a fleet does not refresh at
	// one moment. Empty means the host's name.
	Node string
}

// Cache is a credential.Getter over a folder of files.
type Cache struct {
	store *store
	log   *slog.Logger
	clock Clock
	node  string
}

// New returns a Cache. It touches no file: a folder that does not exist is
// made when there is something to keep.
func New(o Options) *Cache {
	c := &Cache{log: o.Log, clock: o.Clock, node: o.Node}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.clock == nil {
		c.clock = systemClock
	}
	if o.Dir != "" {
		c.store = &store{dir: o.Dir}
	}
	return c
}

// Get returns the credential of a source, from the cache where it can.
func (c *Cache) Get(ctx context.Context, source credential.Source) (credential.Credential, error) {
	g := &get{Cache: c, source: source, key: source.Key()}
	if c.store == nil {
		return g.fetch(ctx, nil, entry{})
	}
	g.name = nameOf(g.key)

	e := g.read()
	now := c.clock()
	switch {
	case e.fresh(now):
		return e.credential(now), nil
	case e.usable(now):
		return g.refresh(ctx, e)
	case e.failed(now):
		return credential.Credential{}, e.failure(now)
	default:
		return g.lead(ctx)
	}
}

// Renew returns another credential than one that was refused, where there is
// one to be had.
func (c *Cache) Renew(ctx context.Context, source credential.Source, refused credential.Credential) (credential.Credential, error) {
	if c.store == nil {
		return refused, nil // and only just new
	}
	key := source.Key()
	g := &get{Cache: c, source: source, key: key, name: nameOf(key)}
	slot, err := g.lock(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return credential.Credential{}, err
		}
		return refused, nil // which was not kept, and so is new
	}
	defer slot.release()

	e := g.read()
	now := g.clock()
	switch {
	case e.usable(now) && !e.renewable(refused.Password.Reveal(), now):
		return e.credential(now), nil
	case e.failed(now):
		return credential.Credential{}, e.failure(now)
	}
	if err := slot.reserve(); err != nil {
		g.log.Warn("credential cache cannot be written; what was refused is not renewed", "error", err)
		return refused, nil
	}
	attempt, cancel := context.WithTimeout(ctx, refreshBudget)
	defer cancel()
	return g.fetch(attempt, slot, e)
}

// get is what a call of Get or Renew is about.
type get struct {
	*Cache
	source credential.Source
	key    credential.Key
	name   string
	// warned is the last that was said of the entry; it is said once.
	warned string
}

// refresh answers with an entry that is due, asking for a newer one if no
// other process does and the last failure is not too recent.
func (g *get) refresh(ctx context.Context, e entry) (credential.Credential, error) {
	now := g.clock()
	if e.failed(now) {
		return e.credential(now), nil
	}
	slot, err := g.store.tryLock(g.name)
	if err == nil {
		defer slot.release()
		err = slot.reserve()
	}
	if err != nil {
		if !errors.Is(err, errLocked) {
			g.log.Warn("credential cache cannot be written; serving what it holds", "error", err)
		}
		return e.credential(g.clock()), nil
	}
	// Another process may have tried between the look and the lock.
	if newer := g.read(); newer.usable(g.clock()) {
		e = newer
	}
	now = g.clock()
	if e.fresh(now) || e.failed(now) {
		return e.credential(now), nil
	}
	attempt := ctx
	if e.usableFor(now) > refreshBudget {
		var cancel context.CancelFunc
		attempt, cancel = context.WithTimeout(ctx, refreshBudget)
		defer cancel()
	}
	c, err := g.fetch(attempt, slot, e)
	now = g.clock()
	if err == nil || !e.usable(now) {
		return c, err
	}
	g.log.Warn("refresh failed; serving the credential that is still valid", "error", err, "validFor", e.usableFor(now).Round(time.Second))
	return e.credential(now), nil
}

// lead answers when there is nothing to serve: whoever gets the lock fetches,
// and whoever had to wait for it finds the answer there. A process that is
// killed loses the lock, and the next one takes over.
func (g *get) lead(ctx context.Context) (credential.Credential, error) {
	slot, err := g.lock(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return credential.Credential{}, err
		}
		g.log.Warn("credential cache cannot be used; asking the cloud without it", "error", err)
		return g.fetch(ctx, nil, entry{})
	}
	defer slot.release()

	e := g.read()
	now := g.clock()
	switch {
	case e.usable(now):
		return e.credential(now), nil
	case e.failed(now):
		return credential.Credential{}, e.failure(now)
	}
	if err := slot.reserve(); err != nil {
		// Nothing can be kept, so those who wait would wait for nothing, one
		// after the other: the lock is given up before the cloud is asked.
		g.log.Warn("credential cache cannot be written; asking the cloud without it", "error", err)
		slot.release()
		slot = nil
	}
	return g.fetch(ctx, slot, e)
}

// lock locks the entry, and waits for others that have.
func (g *get) lock(ctx context.Context) (*slot, error) {
	slot, err := g.store.lock(ctx, g.name)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("waiting for another process that asks for the same credential: %w", context.Cause(ctx))
	}
	return slot, err
}

// fetch asks the cloud and records what came of it in the slot, if there is
// one, over what was there.
func (g *get) fetch(ctx context.Context, slot *slot, old entry) (credential.Credential, error) {
	c, err := g.source.Fetch(ctx, g.Cache)
	now := g.clock()
	if err == nil {
		err = check(c, old, now)
	}
	e := entry{Version: formatVersion, Key: g.key}
	switch {
	case err == nil:
		e.Held = hold(c, now, spread(g.node, g.name))
	case errors.Is(err, credential.ErrStopped) || stopped(ctx):
		// That says nothing of the cloud.
		return credential.Credential{}, err
	default:
		e.Held = old.Held
		e.Failed = record(err, old.Failed, now)
	}
	if slot != nil {
		if storeErr := slot.commit(e); storeErr != nil {
			g.log.Warn("credential cache cannot be written", "error", storeErr)
		}
		slot.release()
		g.store.prune(now)
	}
	if err != nil {
		return credential.Credential{}, err
	}
	return e.credential(now), nil
}

// stopped reports whether somebody has called the run off.
func stopped(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded)
}

// read returns the entry, or the zero entry if there is none to be trusted.
func (g *get) read() entry {
	e, err := g.store.read(g.name)
	if err == nil {
		err = e.check(g.key)
	}
	if err == nil {
		return e
	}
	if !errors.Is(err, errAbsent) && err.Error() != g.warned {
		g.warned = err.Error()
		g.log.Warn("credential cache entry ignored", "entry", g.name[:12], "error", err)
	}
	return entry{}
}

// check refuses a credential that must not be handed out: a wrong one is worse
// than none, because the kubelet does not retry anonymously.
func check(c credential.Credential, old entry, now Instant) error {
	switch {
	case c.IsAnonymous() && old.usable(now) && !old.credential(now).IsAnonymous():
		// A good credential is used to its end.
		return errors.New("the cloud has no credential any more")
	case !c.IsAnonymous() && (c.Password.Empty() || c.Username == ""):
		return errors.New("the cloud answered with an empty user name or password")
	case c.Expires.IsZero():
		return errors.New("the cloud answered with a credential that has no expiry")
	case !c.Expires.After(now.Wall):
		return fmt.Errorf("the cloud answered with a credential that expired at %s, %s before this node's clock: check the clock",
			c.Expires.UTC().Format(time.RFC3339), now.Wall.Sub(c.Expires).Round(time.Second))
	}
	return nil
}
