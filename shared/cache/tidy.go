package cache

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// What is kept is bounded. A credential is some kilobytes: the number is
// usually reached first, by pods that each have their own.
const (
	// maxEntries is the number of entries above which the oldest are removed.
	maxEntries = 4096
	// maxBytes is the room, in memory as a rule, above which they are.
	maxBytes = 32 << 20
)

const (
	// tidyEvery is the time between two tidyings of the directory, whoever does
	// them, and tidySoon the time after one that left something to do.
	tidyEvery = 5 * time.Minute
	tidySoon  = 2 * time.Second

	// maxNames, maxLooks and maxRemovals bound what one process does. It has
	// answered, but the kubelet waits for it to exit.
	maxNames    = maxEntries * 5 / 4
	maxLooks    = 512
	maxRemovals = 128

	// abandonedAfter is the age of a file that nobody can still be writing, and
	// foreignAfter the one of a file of another release that can hold nothing
	// alive.
	abandonedAfter = 10 * time.Minute
	foreignAfter   = maxLife

	// page is what a file takes up at least, and in multiples of.
	page = 4 << 10

	// tidyMark is the file whose time says when the directory was last tidied.
	tidyMark = "tidied"
)

// Tidy removes what serves nobody any more, and what is too much. It is for
// after the answer was written. It does nothing if this run has kept nothing,
// or where it was done a few minutes ago.
func (c *Cache) Tidy() {
	if c.store == nil || !c.run.hasWritten() {
		return
	}
	done, err := c.store.tidy(c.clock())
	if err != nil {
		c.log.Debug("credential cache cannot be tidied", "error", err)
	} else if done.removed > 0 {
		c.log.Debug("credential cache tidied", "files", done.files, "looked", done.looked, "removed", done.removed)
	}
}

// tidied is what a process did.
type tidied struct{ files, looked, removed int }

func (s *store) tidy(now Instant) (tidied, error) {
	root, err := s.open()
	if err != nil {
		return tidied{}, err
	}
	defer func() { _ = root.Close() }()
	if !tidyDue(root, now) {
		return tidied{}, nil
	}
	// One does it. Its lock is an entry's that there is none of.
	lock, err := s.tryLock(nameOf("tidying", nil))
	if errors.Is(err, errLocked) {
		return tidied{}, nil
	}
	if err != nil {
		return tidied{}, err
	}
	defer lock.release()
	if !tidyDue(root, now) {
		return tidied{}, nil
	}
	// It is marked before it is done: who is killed over it is not followed by
	// others, one after the other.
	if err := markTidied(root, now.Wall); err != nil {
		return tidied{}, err
	}
	done, more, err := s.sweep(root, now)
	if more {
		err = errors.Join(err, markTidied(root, now.Wall.Add(tidySoon-tidyEvery)))
	}
	return done, err
}

// tidyDue reports whether the last tidying is some time ago. A mark of the
// future is not believed.
func tidyDue(root *os.Root, now Instant) bool {
	info, err := root.Lstat(tidyMark)
	if err != nil || trustFile(info) != nil {
		return true
	}
	age := now.Wall.Sub(info.ModTime())
	return age < 0 || age >= tidyEvery
}

func markTidied(root *os.Root, at time.Time) error {
	file, err := create(root, tidyMark)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return root.Chtimes(tidyMark, time.Time{}, at)
}

// found is a file that was looked at.
type found struct {
	file, name string
	info       fs.FileInfo
}

// size is the room that a file takes up.
func (f found) size() int64 { return (f.info.Size() + page - 1) / page * page }

// sweep looks at files, as many as are allowed and which of them by chance, and
// removes those that serve nobody. Where there are too many, it removes the
// oldest of those it saw: as large a part of them as all are too many. More
// means that there is more to do.
func (s *store) sweep(root *os.Root, now Instant) (done tidied, more bool, err error) {
	files, err := cacheFiles(root, maxNames)
	if err != nil {
		return tidied{}, false, err
	}
	done.files = len(files)
	rand.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })

	var forgotten, kept []found
	var bytes int64
	for _, file := range files[:min(len(files), maxLooks)] {
		info, err := root.Lstat(file)
		if err != nil {
			continue
		}
		done.looked++
		name, own := parseFile(file)
		f := found{file: file, name: name, info: info}
		if isForgotten(info, file == entryFile(name), own, now) {
			forgotten = append(forgotten, f)
			continue
		}
		kept = append(kept, f)
		bytes += f.size()
	}
	surplus := oldest(kept, len(files)-len(forgotten), bytes)
	for _, f := range slices.Concat(forgotten, surplus) {
		if done.removed == maxRemovals {
			more = true
			break
		}
		if s.remove(root, f) {
			done.removed++
		}
	}
	return done, more || len(surplus) > 0 && done.looked < len(files), nil
}

// cacheFiles returns the names of the cache's files, of any release, out of as
// many as the limit says. A negative one is none.
func cacheFiles(root *os.Root, limit int) ([]string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	files, err := dir.Readdirnames(limit)
	if len(files) == 0 && err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return slices.DeleteFunc(files, func(file string) bool { name, _ := parseFile(file); return name == "" }), nil
}

// isForgotten reports whether a file serves nobody any more, by its time alone:
// an entry's is when it stops being of use.
func isForgotten(info fs.FileInfo, entry, own bool, now Instant) bool {
	left := info.ModTime().Sub(now.Wall)
	switch {
	case entry:
		return left <= 0 || left > maxLife+keepFailure || trustFile(info) != nil
	case own:
		return left < -abandonedAfter
	default:
		return left < -foreignAfter
	}
}

// oldest returns those of a sample that are too many, of all that there are:
// the ones that will be of use for the shortest time.
func oldest(sample []found, all int, bytes int64) []found {
	if len(sample) == 0 {
		return nil
	}
	slices.SortFunc(sample, func(a, b found) int {
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), cmp.Compare(a.file, b.file))
	})
	// What is true of the sample is taken to be true of all.
	share := float64(len(sample)) / float64(all)
	mostEntries, mostBytes := int(maxEntries*share), int64(maxBytes*share)
	n := 0
	for ; len(sample)-n > mostEntries || bytes > mostBytes; n++ {
		bytes -= sample[n].size()
	}
	return sample[:n]
}

// remove removes a file that nobody has touched since it was looked at, and
// that nobody uses.
func (s *store) remove(root *os.Root, f found) bool {
	slot, err := s.tryLock(f.name)
	if err != nil {
		return false
	}
	defer slot.release()
	info, err := root.Lstat(f.file)
	if err != nil || !os.SameFile(info, f.info) || !info.ModTime().Equal(f.info.ModTime()) {
		return false
	}
	return discard(root, f.file) == nil
}
