package change

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"regcred/cmd/regcred/internal/tree"
)

const (
	// journalFile is there while changes are made: the next run undoes them.
	journalFile = "journal.json"
	// committedFile is there while what they left is removed: the next run goes
	// on with that.
	committedFile = "committed.json"

	maxJournal = 16 << 20
)

// Store is a directory of a node in which changes are written down. One run at
// a time has it.
type Store struct {
	tree *tree.Tree
	dir  string
	lock *os.File
	made []string
}

// Lock makes the directory if need be, and waits for whoever has it; waiting
// is called once if it takes a while.
func Lock(ctx context.Context, t *tree.Tree, dir string, waiting func()) (*Store, error) {
	if err := t.CheckPath(dir); err != nil {
		return nil, err
	}
	dir, err := t.Resolve(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{tree: t, dir: dir}
	for first := true; ; first = false {
		locked, err := s.try()
		if locked {
			return s, nil
		}
		if err != nil {
			s.unmake()
			return nil, err
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another run that has %s: %w", dir, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// try locks the directory unless somebody has it.
func (s *Store) try() (bool, error) {
	for _, missing := range s.tree.Missing(s.dir) {
		mode := uint32(0o755)
		if missing == s.dir {
			mode = 0o700
		}
		switch err := s.tree.Mkdir(missing, mode); {
		case errors.Is(err, fs.ErrExist): // by another run
		case errors.Is(err, fs.ErrNotExist):
			return false, nil // another run has removed it before it was done
		case err != nil:
			return false, err
		default:
			s.made = append(s.made, missing)
		}
	}
	file, err := s.tree.OpenDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // another run has just removed it
	} else if err != nil {
		return false, err
	}
	locked, err := lock(file)
	if locked && err == nil && s.current(file) {
		s.lock = file
		return true, nil
	}
	_ = file.Close()
	return false, err
}

// current reports whether a directory is still the one of that name: who had it
// before may have removed it.
func (s *Store) current(file *os.File) bool {
	again, err := s.tree.OpenDir(s.dir)
	if err != nil {
		return false
	}
	defer func() { _ = again.Close() }()
	a, errA := file.Stat()
	b, errB := again.Stat()
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// Prune has directories removed when the Store is unlocked, if nothing is in
// them then.
func (s *Store) Prune(directories []string) { s.made = directories }

// Unlock lets another run have the directory, and removes it if it is empty.
func (s *Store) Unlock() {
	if s.lock == nil {
		return
	}
	// Before it is free for others: they see that it is not the one they have.
	_ = s.tree.Remove(s.dir)
	s.unmake()
	_ = s.lock.Close()
	s.lock = nil
}

// unmake removes the directories that Lock made, if nothing is in them.
func (s *Store) unmake() {
	for i := len(s.made) - 1; i >= 0; i-- {
		_ = s.tree.Remove(s.made[i])
	}
}

// Made returns the directories that Lock made, the outermost first.
func (s *Store) Made() []string { return s.made }

// Path is a path in the directory.
func (s *Store) Path(elements ...string) string {
	return path.Join(append([]string{s.dir}, elements...)...)
}

func (s *Store) path(name string) string { return s.Path(name) }

// own is the state of a file of ours.
func (s *Store) own(mode uint32) tree.State {
	return tree.State{Kind: tree.File, Mode: mode, UID: os.Geteuid(), GID: os.Getegid()}
}

// Interrupted is a run that was stopped before its end.
type Interrupted struct {
	// Verb and Begun say which: install.
	Verb  string
	Begun time.Time

	// Undone means that everything is as before that run, and not as after it.
	Undone bool
}

// Pending returns the run that was stopped before its end, or nil. It changes
// nothing, and needs no lock.
func Pending(t *tree.Tree, dir string) (*Interrupted, error) {
	for _, file := range []string{journalFile, committedFile} {
		j, err := readJournal(t, path.Join(dir, file))
		if err != nil {
			return nil, err
		}
		if j != nil {
			return &Interrupted{j.Verb, j.Begun, file == journalFile}, nil
		}
	}
	return nil, nil
}

// Recover ends a run that was stopped before its end, and returns it, or nil.
func (s *Store) Recover() (*Interrupted, error) {
	if err := s.removeAll(s.path(journalFile + ".new")); err != nil {
		return nil, err
	}
	found, err := Pending(s.tree, s.dir)
	if err != nil || found == nil {
		return nil, err
	}
	file, end := committedFile, s.clean
	if found.Undone {
		file, end = journalFile, s.undo
	}
	j, err := readJournal(s.tree, s.path(file))
	if err != nil {
		return nil, err
	}
	if err := end(j); err != nil {
		return nil, fmt.Errorf("recover from %s that was stopped: %w", found.Verb, err)
	}
	return found, nil
}

func readJournal(t *tree.Tree, name string) (*journal, error) {
	text, err := t.Read(name, maxJournal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var j journal
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if j.Version != journalVersion {
		return nil, fmt.Errorf("%s: version %d: use the release of regcred that wrote it", name, j.Version)
	}
	return &j, nil
}
