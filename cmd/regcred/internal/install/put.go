package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/tree"
)

// addPlugins plans the programs.
func (p *planner) addPlugins(binDir string, providers []RecordedProvider) error {
	for _, provider := range providers {
		if err := p.addPlugin(path.Join(binDir, provider.Name), provider); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) addPlugin(target string, provider RecordedProvider) error {
	source := path.Join(p.From, provider.Plugin)
	hash, size, err := hashFile(source)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", provider.Plugin, err)
	}
	if err := checkMachine(p.Tree, source); err != nil {
		return fmt.Errorf("plugin %s: %w", source, err)
	}
	current, err := p.Tree.State(target)
	if err != nil {
		return err
	}
	after := tree.State{Kind: tree.File, Mode: 0o755, UID: os.Geteuid(), GID: os.Getegid(), Size: size, SHA256: hash}
	recorded := p.former.file(target)
	if current.Kind == tree.File && current.SHA256 == hash && current.Mode == 0o755 && current.Trusted() == nil {
		p.view.files[target] = planned{state: current}
		if recorded != nil {
			p.keep(recorded)
		}
		return nil
	}
	if current.Kind == tree.Directory || current.Kind == tree.Other {
		return fmt.Errorf("%s: neither a file nor a link", target)
	}
	after.Label = label(p.Tree, target, current)
	file := RecordedFile{Path: target, Role: RolePlugin, Before: current, After: after, Changed: p.Now}
	keep := ""
	if recorded != nil && current.Same(recorded.After) {
		// A newer release of ours: what was there before is what it was.
		file.Before, file.Backup = recorded.Before, recorded.Backup
	} else if current.Kind == tree.File {
		file.Backup, keep = p.backup(target, current.SHA256)
	}
	p.put(file, current, keep, func() (io.ReadCloser, error) { return openRegular(source) })
	p.plan.Plugins = append(p.plan.Plugins, p.describe(file, current, recorded))
	return nil
}

// describe says what becomes of a program.
func (p *planner) describe(file RecordedFile, current tree.State, recorded *RecordedFile) string {
	switch {
	case current.Kind == tree.Absent:
		return "+ " + file.Path
	case recorded != nil && current.Same(recorded.After):
		return "~ " + file.Path + " (another release of ours)"
	case current.Kind == tree.Link:
		return fmt.Sprintf("~ %s (in the place of a link to %s)", file.Path, current.Target)
	}
	return fmt.Sprintf("~ %s (in the place of the vendor's, which is kept as %s)", file.Path, file.Backup)
}

// addConfig plans the kubelet's configuration.
func (p *planner) addConfig(target string, b base, entries []kubeletconfig.CredentialProvider) error {
	text, edit := b.Text, Edit{}
	var err error
	switch {
	case len(entries) == 0:
	case b.Text == nil:
		text, err = newConfig(entries)
	default:
		text, edit, err = addProviders(target, b.Text, entries)
		if err == nil && edit.New == "" {
			p.plan.Notes = append(p.plan.Notes, target+" has its providers in a form that nothing can be added to: it is written again, with the same meaning")
		}
	}
	if err != nil {
		return err
	}
	return p.putText(target, RoleConfig, b, text, edit)
}

// addFlags plans how the kubelet is told.
func (p *planner) addFlags() error {
	wiring := &p.plan.Wiring
	if recorded := p.former.flags(); recorded != nil && !p.NoFlags {
		b, err := p.base(recorded.Path, RoleFlags)
		if err != nil {
			return err
		}
		if b.current.Same(recorded.After) {
			p.view.files[recorded.Path] = planned{state: b.current, text: b.text}
			p.keep(recorded)
			return nil
		}
		if undone, ok := undoText(b.text, recorded.Edit); ok { // among others' changes
			kept := *recorded
			kept.After = b.current
			p.putBack(kept, b, undone)
			return nil
		}
		if wiring.Told && b.current.Kind == tree.File && recorded.Before.Kind == tree.Absent {
			p.accept(*recorded, b)
			return nil
		}
	}
	if p.NoFlags && p.former.flags() != nil {
		wiring.Told = false
	}
	if wiring.Told {
		return nil
	}
	flags := flagsFor(wiring.BinDir, wiring.Config)
	if !p.NoFlags {
		found, err := giveFlags(p.Tree, p.plan.Platform, flags)
		if err != nil {
			return err
		}
		if found != nil {
			return p.putFlags(found)
		}
	}
	how := p.plan.Platform.Flags
	if how == "" {
		how = defaultFlags
	}
	p.plan.Restart = false // it does not look there
	wiring.Advice = fmt.Sprintf("start the kubelet with %s: %s", strings.Join(flags, " "), how)
	return nil
}

// putBack keeps an edited file as it is, with the base that others left.
func (p *planner) putBack(kept RecordedFile, b base, undone []byte) {
	kept.Before, kept.Backup = b.Before, p.keepText(kept.Path, undone)
	p.files = append(p.files, kept)
	p.view.files[kept.Path] = planned{state: b.current, text: b.text}
}

// accept takes a file that we made, and that somebody else changed since, for
// ours as it is.
func (p *planner) accept(recorded RecordedFile, b base) {
	recorded.After, recorded.Accepted = b.current, true
	p.plan.Notes = append(p.plan.Notes, recorded.Path+" was changed by somebody else since, and stays as it is")
	p.files = append(p.files, recorded)
	p.view.files[recorded.Path] = planned{state: b.current, text: b.text}
}

// keepText keeps a text that is nowhere on the disk: what somebody else wrote,
// without what is ours in it.
func (p *planner) keepText(name string, text []byte) (backup string) {
	backup, keep := p.backup(name, hashOf(text))
	if keep != "" {
		p.makeBackupDir()
		state := tree.State{Kind: tree.File, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid(), SHA256: hashOf(text)}
		p.changes = append(p.changes, change.Change{Path: keep, Before: tree.State{Kind: tree.Absent}, After: state, Content: change.Bytes(text)})
	}
	return backup
}

func (p *planner) putFlags(found *flagChange) error {
	resolved, err := p.Tree.Resolve(found.Path)
	if err != nil {
		return err
	}
	if err := p.Tree.CheckPath(found.Path); err != nil {
		return fmt.Errorf("refused, because who can write there can become root: %w", err)
	}
	current, err := p.Tree.State(resolved)
	if err != nil {
		return err
	}
	p.plan.Wiring.Told = true
	b := base{Before: current, Text: found.Old, current: current, text: found.Old}
	return p.putText(resolved, RoleFlags, b, found.New, found.Edit)
}

// putText plans a file of text.
func (p *planner) putText(target string, role Role, b base, text []byte, edit Edit) error {
	recorded := p.former.file(target)
	switch {
	case !bytes.Equal(text, b.Text):
	case recorded == nil:
		return nil // it is as it should be without us
	case recorded.Accepted && b.current.Same(recorded.After):
		p.view.files[target] = planned{state: b.current, text: b.text}
		p.keep(recorded)
		return nil
	case b.current.Same(recorded.After) || !bytes.Equal(b.Text, b.text):
		return p.restore(*recorded) // nothing of ours is wanted there any more
	case recorded.Before.Kind == tree.Absent:
		p.accept(*recorded, b)
		return nil
	default:
		p.plan.Notes = append(p.plan.Notes, target+" was changed by somebody else since, and stays as it is")
		p.view.files[target] = planned{state: b.current, text: b.text}
		p.keep(recorded)
		return nil
	}
	after := b.current
	if b.current.Kind == tree.Absent {
		after = tree.State{Kind: tree.File, Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}
	}
	after = withText(after, text)
	if recorded != nil && b.current.Kind == tree.File && bytes.Equal(text, b.text) {
		if b.current.Same(recorded.After) {
			p.view.files[target] = planned{state: b.current, text: text}
			p.keep(recorded)
			return nil
		}
		p.putBack(RecordedFile{Path: target, Role: role, After: b.current, Edit: edit, Changed: recorded.Changed}, b, b.Text)
		return nil
	}
	file := RecordedFile{Path: target, Role: role, Before: b.Before, After: after, Backup: b.Kept, Edit: edit, Changed: p.Now}
	keep := ""
	switch {
	case b.Before.Kind != tree.File || b.Kept != "":
		file.Accepted = recorded != nil && recorded.Accepted && b.current.Kind == tree.File
	case bytes.Equal(b.Text, b.text):
		file.Backup, keep = p.backup(target, b.Before.SHA256)
	default:
		file.Backup = p.keepText(target, b.Text)
	}
	p.put(file, b.current, keep, change.Bytes(text))
	p.changeText(role, Text{target, b.text, text})
	return nil
}

// withText is the state of a file that gets another text. What vouches for the
// former one does not vouch for it.
func withText(state tree.State, text []byte) tree.State {
	state.SHA256, state.Size, state.ModTime = hashOf(text), int64(len(text)), time.Time{}
	state.Attributes = maps.Clone(state.Attributes)
	delete(state.Attributes, "security.ima")
	delete(state.Attributes, "security.evm")
	return state
}

func (p *planner) changeText(role Role, text Text) {
	p.plan.Texts = append(p.plan.Texts, text)
	p.plan.Restart = true
	if role == RoleFlags {
		p.plan.Reload = true
	}
}

// put plans a file, and the directories that it takes.
func (p *planner) put(file RecordedFile, current tree.State, keep string, content func() (io.ReadCloser, error)) {
	if keep != "" {
		p.makeBackupDir()
	}
	p.makeDirectories(path.Dir(file.Path))
	p.files = append(p.files, file)
	p.changes = append(p.changes, change.Change{Path: file.Path, Before: current, After: file.After, Content: content, Keep: keep})
	p.view.files[file.Path] = planned{state: file.After}
	if file.Role != RolePlugin {
		text := p.view.files[file.Path]
		if reader, err := content(); err == nil {
			text.text, _ = io.ReadAll(reader)
			_ = reader.Close()
		}
		p.view.files[file.Path] = text
	}
}

// keep takes over what is recorded, as it is.
func (p *planner) keep(recorded *RecordedFile) { p.files = append(p.files, *recorded) }

// drop lets a file go that is of no use after the changes.
func (p *planner) drop(name string) {
	if name != "" {
		p.plan.Set.Drop = append(p.plan.Set.Drop, name)
	}
}

// dropBackups lets the backups go that nothing names any more.
func (p *planner) dropBackups(used []RecordedFile) {
	dir := path.Join(p.stateDir(), backupDir)
	names, err := p.Tree.Names(dir)
	if err != nil {
		return // there is none to tidy up
	}
	for _, name := range names {
		backup := path.Join(dir, name)
		if !slices.ContainsFunc(used, func(f RecordedFile) bool { return f.Backup == backup }) {
			p.drop(backup)
		}
	}
}

// backup is the path of a copy of what is at a path, and the same again if the
// copy has to be made.
func (p *planner) backup(name, hash string) (backup, keep string) {
	sum := sha256.Sum256([]byte(name))
	backup = path.Join(StateDir, backupDir, path.Base(name)+"-"+hex.EncodeToString(sum[:4])+"-"+hash[:16])
	resolved, err := p.Tree.Resolve(backup)
	if err != nil {
		resolved = backup
	}
	if state, err := p.Tree.State(resolved); err == nil && state.SHA256 == hash {
		return resolved, ""
	}
	return resolved, resolved
}

const backupDir = "backup"

func (p *planner) makeBackupDir() { p.makeDirectory(path.Join(p.stateDir(), backupDir), 0o700) }

func (p *planner) stateDir() string {
	if resolved, err := p.Tree.Resolve(StateDir); err == nil {
		return resolved
	}
	return StateDir
}

func (p *planner) makeDirectories(dir string) {
	for _, missing := range p.Tree.Missing(dir) {
		p.makeDirectory(missing, 0o755)
	}
}

func (p *planner) makeDirectory(dir string, mode uint32) {
	if p.Tree.IsDir(dir) || slices.ContainsFunc(p.changes, func(c change.Change) bool { return c.Path == dir }) {
		return
	}
	after := tree.State{Kind: tree.Directory, Mode: mode, UID: os.Geteuid(), GID: os.Getegid()}
	p.changes = append(p.changes, change.Change{Path: dir, Before: tree.State{Kind: tree.Absent}, After: after})
	p.directories = append(p.directories, dir)
}
