package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/tree"
	"regcred/shared/kubelet"
)

// Uninstall plans to make the node as it was before. What others changed since
// stays. The plan is nil if nothing is installed.
func Uninstall(o Options) (*Plan, error) {
	former, err := ReadRecord(o.Tree)
	if err != nil || former == nil {
		return nil, err
	}
	p := newPlanner(o, former)
	if p.plan.Platform, err = findPlatform(o.Tree, former.Platform); err != nil {
		p.plan.Platform = Platform{Name: former.Platform, Title: former.Platform}
	}
	p.plan.Wiring = Wiring{BinDir: former.BinDir, Config: former.Config, Told: former.Told, Source: "the installation"}
	if err := p.restoreOthers(); err != nil {
		return nil, err
	}
	if err := p.checkLeft(); err != nil {
		return nil, err
	}
	p.removeState()
	p.plan.Set.Verb, p.plan.Set.Changes = "uninstall", p.changes
	return p.plan, nil
}

// restoreOthers restores all recorded files that are not to be installed any
// more: first what names the others.
func (p *planner) restoreOthers() error {
	if p.former == nil {
		return nil
	}
	for _, role := range []Role{RoleFlags, RoleConfig, RolePlugin} {
		for _, recorded := range slices.Backward(p.former.Files) {
			if _, stays := p.view.files[recorded.Path]; stays || recorded.Role != role {
				continue
			}
			if err := p.restore(recorded); err != nil {
				return err
			}
		}
	}
	return nil
}

// restore plans to make a file as it was before.
func (p *planner) restore(recorded RecordedFile) error {
	current, err := p.Tree.State(recorded.Path)
	if err != nil {
		return err
	}
	c := change.Change{Path: recorded.Path, Before: current, After: recorded.Before}
	ours := current.Same(recorded.After)
	switch {
	case !ours && current.Same(recorded.Before):
		return nil
	case ours || p.Force || current.Kind == tree.Absent:
		if err := p.checkOthers(recorded, current); err != nil {
			return err
		}
		if recorded.Before.Kind == tree.File {
			if c.Content, err = p.contentOf(recorded); err != nil {
				return err
			}
		}
	case recorded.Role == RolePlugin:
		p.plan.Notes = append(p.plan.Notes, recorded.Path+" was replaced by somebody else since, and stays as it is")
		p.view.files[recorded.Path] = planned{state: current}
		return nil
	default:
		return p.takeOut(recorded, current)
	}
	p.restoreAs(recorded, c)
	return nil
}

// checkOthers refuses to remove a configuration of ours with a provider in it
// that somebody else put there.
func (p *planner) checkOthers(recorded RecordedFile, current tree.State) error {
	if p.Force || recorded.Role != RoleConfig || recorded.Before.Kind != tree.Absent || current.Kind != tree.File {
		return nil
	}
	text, err := p.Tree.Read(recorded.Path, maxText)
	if err != nil {
		return err
	}
	parsed, _ := kubelet.Parse(recorded.Path, text) // what cannot be read is nobody's
	for i := range parsed.Providers {
		if name := parsed.Providers[i].Name; p.former.provider(name) == nil {
			return fmt.Errorf("%s would be removed, and has provider %.80q of somebody else's: move it to another file, or give --force", recorded.Path, name)
		}
	}
	return nil
}

// contentOf is what a file had before.
func (p *planner) contentOf(recorded RecordedFile) (func() (io.ReadCloser, error), error) {
	state, err := p.Tree.State(recorded.Backup)
	if err == nil && state.SHA256 != recorded.Before.SHA256 {
		err = errors.New("gone or changed")
	}
	if err != nil {
		return nil, fmt.Errorf("backup of %s, %s: %w", recorded.Path, recorded.Backup, err)
	}
	return func() (io.ReadCloser, error) { return p.Tree.Open(recorded.Backup) }, nil
}

// takeOut takes what is ours out of a file that others changed too.
func (p *planner) takeOut(recorded RecordedFile, current tree.State) error {
	text, err := p.Tree.Read(recorded.Path, maxText)
	if err != nil {
		return err
	}
	undone, ok := undoText(text, recorded.Edit)
	if !ok {
		return fmt.Errorf("%s: %w, so that what is ours in it cannot be told: take it out by hand, or give --force for what was there before", recorded.Path, errChanged)
	}
	p.plan.Notes = append(p.plan.Notes, recorded.Path+" was changed by somebody else since: what is ours is taken out of it, and the rest stays")
	c := change.Change{Path: recorded.Path, Before: current, After: withText(current, undone), Content: change.Bytes(undone)}
	p.restoreAs(recorded, c)
	return nil
}

// restoreAs plans a change that takes a file of ours away.
func (p *planner) restoreAs(recorded RecordedFile, c change.Change) {
	p.changes = append(p.changes, c)
	result := planned{state: c.After}
	if recorded.Role == RolePlugin {
		what := "- " + recorded.Path
		if c.After.Kind != tree.Absent {
			what = "~ " + recorded.Path + " (the vendor's again)"
		}
		p.plan.Plugins = append(p.plan.Plugins, what)
		p.view.files[recorded.Path] = result
		return
	}
	text := Text{Path: recorded.Path}
	if c.Before.Kind == tree.File {
		text.Old, _ = p.Tree.Read(recorded.Path, maxText)
	}
	if c.Content != nil {
		if reader, err := c.Content(); err == nil {
			text.New, _ = io.ReadAll(io.LimitReader(reader, maxText))
			_ = reader.Close()
		}
	}
	result.text = text.New
	p.view.files[recorded.Path] = result
	p.changeText(recorded.Role, text)
}

// checkLeft refuses to leave a kubelet behind that does not start.
func (p *planner) checkLeft() error {
	err := p.view.check(p.former.Config, p.former.BinDir)
	if err == nil || p.Force {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: change that first, or give --force", err)
	}
	// Nothing is left, as before: then nothing may name it.
	if p.former.flags() != nil || p.former.Config == rancherConfig {
		return nil
	}
	told, toldErr := toldWiring(p.Tree, p.plan.Platform, p.Running)
	if toldErr == nil && path.Clean(told.Config) == p.former.Config {
		return fmt.Errorf("%s gives the kubelet %s=%s, without which it would not start: take %s and %s away there first, or give --force",
			told.Source, ConfigFlag, p.former.Config, ConfigFlag, binDirFlag)
	}
	return nil
}

// removeState plans to remove the record and what else is left of it.
func (p *planner) removeState() {
	state := p.stateDir()
	name := path.Join(state, recordFile)
	current, err := p.Tree.State(name)
	if err == nil && current.Kind == tree.File {
		p.changes = append(p.changes, change.Change{Path: name, Before: current, After: tree.State{Kind: tree.Absent}})
	}
	p.dropBackups(nil)
	p.drop(path.Join(state, backupDir))
	for _, dir := range slices.Backward(p.former.Directories) {
		p.drop(dir)
	}
}

// Secrets are values in the texts that nobody is to see.
func (p *Plan) Secrets() []string {
	var secrets []string
	for _, text := range p.Texts {
		for _, version := range [][]byte{text.Old, text.New} {
			parsed, _ := kubelet.Parse(text.Path, version) // flags are none
			for i := range parsed.Providers {
				for _, variable := range parsed.Providers[i].Env {
					if secretName.MatchString(variable.Name) {
						secrets = append(secrets, variable.Value)
					}
				}
			}
		}
	}
	return secrets
}

// secretName are names of variables that hold secrets, and not of files that
// do.
var secretName = regexp.MustCompile(`(?i)(secret|passw|token|apikey|api_key|access_key|credential)[a-z_]*$`)

// Summary is what a plan does, in a word or two a line.
func (p *Plan) Summary() []string {
	lines := slices.Clone(p.Plugins)
	for _, text := range p.Texts {
		switch {
		case text.Old == nil:
			lines = append(lines, "+ "+text.Path)
		case text.New == nil:
			lines = append(lines, "- "+text.Path)
		default:
			lines = append(lines, "~ "+text.Path)
		}
	}
	return lines
}
