package cache

import (
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

// Entry is what there is to tell of an entry, which is all but its secrets.
type Entry struct {
	// Kind is credential or token, and Key what it depends on.
	Kind string         `json:"kind"`
	Key  credential.Key `json:"key"`

	// State is what a process would do: serve it (fresh), refresh it (due), or
	// ask again (expired). An entry that holds nothing but a failure has failed.
	State State `json:"state"`

	// Caller is a credential.Credential's.
	Caller string `json:"caller,omitempty"`

	// Obtained, Refresh and Expires are zero if nothing is held.
	Obtained time.Time `json:"obtained,omitzero"`
	Refresh  time.Time `json:"refresh,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`

	// Failure is the last one since the last success, at FailedAt. The cloud is
	// left alone until Retry. All are zero if there is none.
	Failure  string    `json:"failure,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
	Retry    time.Time `json:"retry,omitzero"`
}

// State is what can be done with an entry.
type State string

// The states of an entry.
const (
	Fresh   State = "fresh"
	Due     State = "due"
	Expired State = "expired"
	Failed  State = "failed"
)

// Listing is what the directory holds.
type Listing struct {
	Entries []Entry

	// Ignored are files in an entry's place that serve nobody: damaged, or not
	// to be trusted.
	Ignored []Ignored
}

// Ignored is a file, and why it serves nobody.
type Ignored struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// List lists what the cache holds. An error says why nothing of it is trusted.
func (c *Cache) List() (Listing, error) {
	root, files, err := c.open()
	if root == nil {
		return Listing{}, err
	}
	defer func() { _ = root.Close() }()
	now := c.clock()
	var all Listing
	for _, file := range files {
		e, err := readOwn(root, file)
		switch {
		case err == nil:
			all.Entries = append(all.Entries, e.describe(now))
		case !errors.Is(err, errAbsent):
			all.Ignored = append(all.Ignored, Ignored{file, redact.Line(err.Error())})
		}
	}
	return all, nil
}

// readOwn reads a file as an entry. What is no entry of this release is absent.
func readOwn(root *os.Root, file string) (entry, error) {
	name, _ := parseFile(file)
	if file != entryFile(name) {
		return entry{}, errAbsent
	}
	e, err := readEntry(root, file)
	if err == nil {
		err = e.check(e.Kind, e.Key)
	}
	if err == nil && nameOf(e.Kind, e.Key) != name {
		err = errors.New("entry of another key")
	}
	return e, err
}

// Of returns what of a listing a run uses that asks for a source's credential:
// its entry, or nil if there is none, and those of the tokens on the way to it.
func (l Listing) Of(source credential.Source) (own *Entry, onTheWay []Entry) {
	wanted, key := credentials, source.Key()
	if _, token, ok := credential.TokenOf(source); ok {
		wanted, key = tokens, token.Key()
	}
	for _, e := range l.Entries {
		switch {
		case e.Kind == string(wanted) && slices.Equal(e.Key, key):
			own = &e
		case e.Kind == string(tokens) && key.Contains(e.Key):
			onTheWay = append(onTheWay, e)
		}
	}
	return own, onTheWay
}

// Purge removes all entries, of whatever release, and returns how many there
// were. What is being asked for meanwhile is not kept either.
func (c *Cache) Purge() (removed int, err error) {
	return c.purge(func(*os.Root, string) bool { return true })
}

// PurgeIf removes the entries that match, and returns how many there were. What
// is being asked for in their place is not kept either.
func (c *Cache) PurgeIf(match func(Entry) bool) (removed int, err error) {
	now, names := c.clock(), map[string]bool{}
	return c.purge(func(root *os.Root, file string) bool {
		name, _ := parseFile(file)
		chosen, seen := names[name]
		if !seen {
			e, err := readOwn(root, entryFile(name))
			chosen = err == nil && match(e.describe(now))
			names[name] = chosen
		}
		return chosen
	})
}

// purge removes the files that match.
func (c *Cache) purge(match func(root *os.Root, file string) bool) (removed int, err error) {
	root, files, err := c.open()
	if root == nil {
		return 0, err
	}
	defer func() { _ = root.Close() }()
	for _, file := range files {
		if !match(root, file) {
			continue
		}
		if failed := discard(root, file); failed != nil {
			err = errors.Join(err, failed)
		} else if !strings.HasSuffix(file, unfinishedExt) {
			removed++
		}
	}
	return removed, err
}

// open opens the directory, if there is one, and lists the cache's files.
func (c *Cache) open() (*os.Root, []string, error) {
	if c.store == nil {
		return nil, nil, nil
	}
	root, err := c.store.open()
	if errors.Is(err, errAbsent) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	files, err := cacheFiles(root, -1)
	if err != nil {
		_ = root.Close()
		return nil, nil, err
	}
	return root, files, nil
}

func (e entry) describe(now Instant) Entry {
	d := Entry{Kind: string(e.Kind), Key: e.Key}
	switch {
	case e.fresh(now):
		d.State = Fresh
	case e.usable(now):
		d.State = Due
	case e.Held != nil:
		d.State = Expired
	default:
		d.State = Failed
	}
	if e.Held != nil {
		i := e.item(now)
		d.Caller = redact.Line(i.caller)
		d.Obtained, d.Refresh, d.Expires = now.Wall.Add(-now.since(e.Held.At)), i.refresh, i.expires
	}
	if e.Failed != nil {
		texts := e.Failed.texts()
		d.Failure = texts.Error()
		d.FailedAt = now.Wall.Add(-now.since(e.Failed.At))
		d.Retry = d.FailedAt.Add(e.Failed.Retry)
	}
	return d
}
