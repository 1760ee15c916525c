package cache

import (
	"errors"
	"os"
	"strings"
	"time"

	"regcred/shared/credential"
)

// Entry is what there is to tell of an entry, which is all but its secrets.
type Entry struct {
	// Kind is credential or token, and Key what it depends on.
	Kind string
	Key  credential.Key

	// State is what a process would do: serve it (fresh), refresh it (due), or
	// ask again (expired). An entry that holds nothing but a failure has failed.
	State State

	// Caller is a credential.Credential's.
	Caller string

	// Obtained, Refresh and Expires are zero if nothing is held.
	Obtained, Refresh, Expires time.Time

	// Failure is the last one since the last success, at FailedAt. The cloud is
	// left alone until Retry. All are zero if there is none.
	Failure         string
	FailedAt, Retry time.Time
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

// Entries lists what the cache holds. Files that are not trusted, or damaged,
// are left out: they serve nobody.
func (c *Cache) Entries() ([]Entry, error) {
	root, files, err := c.open()
	if root == nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	now := c.clock()
	var all []Entry
	for _, file := range files {
		name, _ := parseFile(file)
		if file != entryFile(name) {
			continue
		}
		e, err := readEntry(root, file)
		if err == nil && e.check(e.Kind, e.Key) == nil && nameOf(e.Kind, e.Key) == name {
			all = append(all, e.describe(now))
		}
	}
	return all, nil
}

// Purge removes all entries, of whatever release, and returns how many there
// were. What is being asked for meanwhile is not kept either.
func (c *Cache) Purge() (removed int, err error) {
	root, files, err := c.open()
	if root == nil {
		return 0, err
	}
	defer func() { _ = root.Close() }()
	for _, file := range files {
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
		d.Caller = i.caller
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
