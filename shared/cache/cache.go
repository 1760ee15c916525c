// Package cache keeps credentials and tokens in files, shared by all processes
// of a user on a node, and makes sure that one of them asks the cloud while the
// others wait for its answer.
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
// A process that was stopped while it asks is waited for some seconds, and then
// one of the others asks in its place. A cache that cannot be used, for whatever
// reason, never fails a request: the process then asks the cloud itself.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"regcred/shared/credential"
)

// refreshBudget bounds an attempt to refresh a credential that can still be
// served: nobody's pod should wait for long while a good credential is held.
const refreshBudget = 10 * time.Second

// Options configure a Cache.
type Options struct {
	// Dir is the directory of the entries. Empty means no cache: every call
	// asks the cloud.
	Dir string

	// Log gets what went wrong with the cache, and at debug which answers came
	// from where. Nil discards it.
	Log *slog.Logger

	// Clock tells the time. Nil means the system's clocks.
	Clock Clock

	// Node tells this node from others, so that a fleet does not refresh at
	// one moment. Empty means the host's name.
	Node string

	// Until is when whatever is obtained in this run stops being kept, such as
	// the end of the pod whose identity it is for. Zero sets no such limit.
	Until time.Time

	// Interruptible is applied to the context of whatever takes time: asking
	// the cloud, and waiting for another process that does. A context that it
	// cancels is taken for a stop, which is not recorded as a failure of the
	// cloud. Nil changes nothing. It is for catching signals, which a hit is
	// spared.
	Interruptible func(context.Context) (context.Context, context.CancelFunc)
}

// Cache answers from a directory of files. It is a credential.Getter.
type Cache struct {
	store         *store
	log           *slog.Logger
	clock         Clock
	node          string
	until         time.Time
	interruptible func(context.Context) (context.Context, context.CancelFunc)
	run           run
}

var _ credential.Getter = (*Cache)(nil)

// New returns a Cache. It touches no file: a directory that does not exist is
// made when there is something to keep.
func New(o Options) *Cache {
	c := &Cache{log: o.Log, clock: o.Clock, node: o.Node, until: o.Until, interruptible: o.Interruptible}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.clock == nil {
		c.clock = systemClock
	}
	if c.interruptible == nil {
		c.interruptible = func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} }
	}
	if o.Dir != "" {
		c.store = &store{dir: o.Dir, beat: beatInterval}
	}
	return c
}

// Result is a credential with where it came from.
type Result struct {
	credential.Credential

	// Hit means that it was in the cache, be it that another process put it
	// there while this one waited.
	Hit bool

	// Age is for how long it has been there.
	Age time.Duration
}

// Get returns the credential of a source, from the cache where it can.
func (c *Cache) Get(ctx context.Context, source credential.Source) (Result, error) {
	if username, token, ok := credential.TokenOf(source); ok {
		// Kept as the token that it is, for whoever else wants that.
		a, err := c.lookupToken(token).get(ctx)
		if err != nil {
			return Result{}, err
		}
		return Result{Credential: a.item.token().Login(username), Hit: a.hit, Age: a.age}, nil
	}
	a, err := c.lookupCredential(source).get(ctx)
	if err != nil {
		return Result{}, err
	}
	return Result{Credential: a.item.credential(), Hit: a.hit, Age: a.age}, nil
}

// Ask returns the credential of a source that is asked in every run. Tokens on
// the way to it come from the cache where they can.
func (c *Cache) Ask(ctx context.Context, source credential.Source) (Result, error) {
	ctx, stop := c.interruptible(ctx)
	defer stop()
	a, err := c.lookupCredential(source).fetch(ctx, nil, entry{})
	if err != nil {
		return Result{}, err
	}
	return Result{Credential: a.item.credential()}, nil
}

// Token returns the token of a source, from the cache where it can.
func (c *Cache) Token(ctx context.Context, source credential.TokenSource) (credential.Token, error) {
	a, err := c.lookupToken(source).get(ctx)
	if err != nil {
		return credential.Token{}, err
	}
	return a.item.token(), nil
}

// Renew returns another token than one that was refused, where there is one to
// be had.
func (c *Cache) Renew(ctx context.Context, source credential.TokenSource, refused credential.Token) (credential.Token, error) {
	a, err := c.lookupToken(source).renew(ctx, itemOfToken(refused))
	if err != nil {
		return credential.Token{}, err
	}
	return a.item.token(), nil
}

func (c *Cache) lookupCredential(source credential.Source) *lookup {
	return c.lookup(credentials, source, source.Key(), func(ctx context.Context) (item, error) {
		got, err := source.Fetch(ctx, c)
		return itemOfCredential(got), err
	})
}

func (c *Cache) lookupToken(source credential.TokenSource) *lookup {
	return c.lookup(tokens, source, source.Key(), func(ctx context.Context) (item, error) {
		got, err := source.Fetch(ctx, c)
		return itemOfToken(got), err
	})
}

// run is what is held for the length of this run alone: tokens with a private
// key that may not be written to a file.
type run struct {
	sync.Mutex
	entries map[string]entry
	said    bool
	wrote   bool
}

func (r *run) read(name string) (entry, bool) {
	r.Lock()
	defer r.Unlock()
	e, ok := r.entries[name]
	return e, ok
}

// hold holds an entry. First reports whether it is the first one.
func (r *run) hold(name string, e entry) (first bool) {
	r.Lock()
	defer r.Unlock()
	if r.entries == nil {
		r.entries = map[string]entry{}
	}
	r.entries[name] = e
	first, r.said = !r.said, true
	return first
}

// noteWrite remembers that this run wrote to the directory.
func (r *run) noteWrite() { r.Lock(); r.wrote = true; r.Unlock() }

func (r *run) hasWritten() bool { r.Lock(); defer r.Unlock(); return r.wrote }

// check refuses an item that must not be handed out: a wrong one is worse than
// none, because the kubelet does not retry anonymously.
func check(k kind, i item, old entry, now Instant) error {
	anonymous := k == credentials && i.username == "" && i.value.Empty()
	switch {
	case anonymous && old.usable(now) && old.Held.Value != "":
		// A good credential is used to its end.
		return errors.New("the cloud has no credential any more")
	case k == credentials && !anonymous && (i.value.Empty() || i.username == ""):
		return errors.New("the cloud answered with an empty user name or password")
	case k == tokens && i.value.Empty():
		return errors.New("the cloud answered with an empty token")
	case i.expires.IsZero():
		return fmt.Errorf("the cloud answered with a %s that has no expiry", k)
	case !i.expires.After(now.Wall):
		return fmt.Errorf("the cloud answered with a %s that expired at %s, %s before this node's clock: check the clock",
			k, i.expires.UTC().Format(time.RFC3339), now.Wall.Sub(i.expires).Round(time.Second))
	}
	return nil
}
