// Package change changes several files of a node as if in one step: all of
// them, or none, whatever stops it. What it does is written down beforehand,
// so that a run that was killed is undone, or finished, by the next one.
//
// Whatever takes space on the disk is done first, beside the files, where
// nobody sees it. Then each file is put in its place by a rename, in the order
// of the changes, and what was there stays beside it until all is well: to
// undo takes renames, and no space.
package change

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"regcred/cmd/regcred/internal/tree"
)

// Change is what becomes of a path. The path is resolved.
type Change struct {
	Path          string
	Before, After tree.State

	// Content is what a file is to have.
	Content func() (io.ReadCloser, error)

	// Keep is a path for a copy of what is there before, or empty. It must not
	// exist.
	Keep string
}

// Bytes is a Change's Content that is at hand.
func Bytes(text []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
}

// Set is changes that belong together.
type Set struct {
	// Verb is what makes them, for people: install.
	Verb    string
	Changes []Change

	// Drop are files that are of no use after the changes, and directories that
	// go if they are empty, in their order.
	Drop []string
}

// UndoneError is a failure after which everything is as it was before.
type UndoneError struct{ Cause error }

func (e *UndoneError) Error() string { return e.Cause.Error() + "; nothing was changed" }

// Unwrap returns the cause.
func (e *UndoneError) Unwrap() error { return e.Cause }

// StuckError is a failure that could not be undone either, yet.
type StuckError struct{ Cause, Undo error }

func (e *StuckError) Error() string {
	return fmt.Sprintf("%v; and to undo what was done failed: %v (the next run of regcred install or uninstall tries again)", e.Cause, e.Undo)
}

// Unwrap returns the cause.
func (e *StuckError) Unwrap() error { return e.Cause }

// journal is what is written down before the first change.
type journal struct {
	Version int       `json:"version"`
	Verb    string    `json:"verb"`
	Begun   time.Time `json:"begun"`
	Steps   []step    `json:"steps"`
	Drop    []string  `json:"drop,omitempty"`
}

const journalVersion = 1

type step struct {
	Path   string     `json:"path"`
	Before tree.State `json:"before"`
	After  tree.State `json:"after"`
	Keep   string     `json:"keep,omitempty"`
}

// fresh is where what comes is until it is in its place, and former where what
// was there is until all is well. The kubelet, systemd and the plugins read no
// files of such names.
func (s step) fresh() string  { return beside(s.Path, "new") }
func (s step) former() string { return beside(s.Path, "old") }

func beside(name, what string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+".regcred-"+what)
}

// Apply makes the changes. Once they are made it calls confirm, if that is not
// nil; the changes are undone if it fails. The error is an *UndoneError or a
// *StuckError.
func (s *Store) Apply(set Set, now time.Time, confirm func() error) error {
	j := &journal{Version: journalVersion, Verb: set.Verb, Begun: now.UTC().Truncate(time.Second), Drop: set.Drop}
	for _, c := range set.Changes {
		j.Steps = append(j.Steps, step{c.Path, c.Before, c.After, c.Keep})
	}
	err := s.begin(j)
	if err == nil {
		err = s.stage(set.Changes, j)
	}
	if err == nil {
		err = s.replace(j)
	}
	if err == nil && confirm != nil {
		err = confirm()
	}
	if err == nil {
		err = s.tree.Rename(s.path(journalFile), s.path(committedFile))
	}
	if err != nil {
		if undoErr := s.undo(j); undoErr != nil {
			return &StuckError{err, undoErr}
		}
		return &UndoneError{err}
	}
	return s.clean(j)
}

// begin writes the journal.
func (s *Store) begin(j *journal) error {
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	fresh := s.path(journalFile + ".new")
	if err := s.tree.Remove(fresh); err != nil {
		return err
	}
	if err := s.tree.Create(fresh, bytes.NewReader(text), s.own(0o600)); err != nil {
		return err
	}
	return s.tree.Rename(fresh, s.path(journalFile))
}

// stage writes everything that is new beside its place, and gives what is old a
// second name.
func (s *Store) stage(changes []Change, j *journal) error {
	directories := map[string]bool{}
	for i, c := range changes {
		if err := s.stageOne(c, j.Steps[i]); err != nil {
			return err
		}
		directories[path.Dir(c.Path)] = true
		if c.Keep != "" {
			directories[path.Dir(c.Keep)] = true
		}
	}
	for directory := range directories {
		if err := s.tree.Sync(directory); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) stageOne(c Change, own step) error {
	if c.After.Kind == tree.Directory {
		if c.Before.Kind == tree.Directory {
			return nil
		}
		return s.tree.Mkdir(c.Path, c.After.Mode)
	}
	if err := s.removeAll(own.fresh(), own.former()); err != nil {
		return err
	}
	if c.Before.Kind != tree.Absent {
		if err := s.second(c.Path, own.former(), c.Before); err != nil {
			return err
		}
	}
	if c.Keep != "" {
		kept := s.own(0o600)
		kept.SHA256 = c.Before.SHA256
		if err := s.copy(c.Path, c.Keep, kept); err != nil {
			return err
		}
	}
	switch c.After.Kind {
	case tree.Absent:
		return nil
	case tree.Link:
		return s.tree.Create(own.fresh(), nil, c.After)
	}
	content, err := c.Content()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	return s.tree.Create(own.fresh(), content, c.After)
}

// second gives what is at a path a second name, and makes a copy where the file
// system has no second names.
func (s *Store) second(name, second string, state tree.State) error {
	err := s.tree.Link(name, second)
	if err == nil || !noLinks(err) {
		return err
	}
	if state.Kind == tree.Link {
		return s.tree.Create(second, nil, state)
	}
	return s.copy(name, second, state)
}

func (s *Store) copy(from, to string, state tree.State) error {
	content, err := s.tree.Open(from)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	defer func() { _ = content.Close() }()
	return s.tree.Create(to, content, state)
}

// replace puts everything in its place, in order.
func (s *Store) replace(j *journal) error {
	for _, step := range j.Steps {
		if step.After.Kind == tree.Directory {
			continue
		}
		// Others write here too: the cloud's own agents, and administrators.
		current, err := s.tree.State(step.Path)
		if err != nil {
			return err
		}
		if !current.Same(step.Before) {
			return fmt.Errorf("%s was changed by somebody else at this very moment", step.Path)
		}
		if step.After.Kind == tree.Absent {
			if err := s.tree.Remove(step.Path); err != nil {
				return err
			}
			if err := s.tree.Sync(path.Dir(step.Path)); err != nil {
				return err
			}
			continue
		}
		if err := s.tree.Rename(step.fresh(), step.Path); err != nil {
			return err
		}
	}
	return nil
}

// undo makes everything as it was before the steps, as far as they were made.
// To undo again what was undone changes nothing.
func (s *Store) undo(j *journal) error {
	var errs []error
	for _, step := range slices.Backward(j.Steps) {
		if err := s.undoOne(step); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // the journal stays
	}
	return s.removeAll(s.path(journalFile+".new"), s.path(journalFile))
}

func (s *Store) undoOne(step step) error {
	if step.After.Kind == tree.Directory {
		if step.Before.Kind == tree.Directory {
			return nil
		}
		return s.removeEmpty(step.Path)
	}
	current, err := s.tree.State(step.Path)
	if err != nil {
		return err
	}
	former, err := s.tree.State(step.former())
	if err != nil {
		return err
	}
	ours := current.Same(step.Before) || current.Same(step.After)
	switch {
	case !ours:
		// Somebody else's by now: the newest word.
	case former.Kind != tree.Absent && former.Same(step.Before):
		err = s.tree.Rename(step.former(), step.Path)
	case step.Before.Kind == tree.Absent && current.Kind != tree.Absent:
		err = s.tree.Remove(step.Path)
	}
	if err != nil {
		return err
	}
	// Two names of one file survive a rename of one to the other.
	if err := s.removeAll(step.fresh(), step.former()); err != nil {
		return err
	}
	if step.Keep != "" {
		if err := s.tree.Remove(step.Keep); err != nil {
			return err
		}
	}
	return s.syncIfThere(path.Dir(step.Path))
}

// clean removes what is of no use once the changes are made.
func (s *Store) clean(j *journal) error {
	directories := map[string]bool{}
	for _, step := range j.Steps {
		if step.After.Kind == tree.Directory {
			continue
		}
		if err := s.removeAll(step.fresh(), step.former()); err != nil {
			return err
		}
		directories[path.Dir(step.Path)] = true
	}
	for directory := range directories {
		if err := s.syncIfThere(directory); err != nil {
			return err
		}
	}
	for _, name := range j.Drop {
		if err := s.removeEmpty(name); err != nil {
			return err
		}
	}
	return s.removeAll(s.path(committedFile))
}

func (s *Store) removeAll(names ...string) error {
	for _, name := range names {
		if state, err := s.tree.State(name); err != nil || state.Kind == tree.Absent {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.tree.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// removeEmpty removes a file, or a directory unless there is something in it.
func (s *Store) removeEmpty(name string) error {
	if err := s.tree.Remove(name); err != nil && !notEmpty(err) {
		return err
	}
	return nil
}

func (s *Store) syncIfThere(dir string) error {
	if err := s.tree.Sync(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
