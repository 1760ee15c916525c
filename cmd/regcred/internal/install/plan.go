package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/tree"
	"regcred/shared/kubelet"
)

// Plan is what is going to be changed. Nothing was yet.
type Plan struct {
	Platform Platform
	Wiring   Wiring

	// Set are the changes. No changes mean that everything is as it should be.
	Set change.Set

	// Former is what was installed, and Record what is going to be. Nil means
	// nothing.
	Former, Record *Record

	// Texts are the texts that change, for people.
	Texts []Text

	// Plugins are the programs that change, for people, one a line.
	Plugins []string

	// Notes are what people have to know.
	Notes []string

	// Restart means that the kubelet has to be restarted to know of it, and
	// Reload that systemd has to read its units again.
	Restart, Reload bool
}

// Text is a file of text that changes. Nil is no file.
type Text struct {
	Path     string
	Old, New []byte
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Set.Changes) == 0 }

// planner makes a Plan.
type planner struct {
	Options
	plan   *Plan
	former *Record // what was installed, or nil
	view   view

	files       []RecordedFile // of the new record
	changes     []change.Change
	directories []string
}

// Install plans an installation.
func Install(o Options) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	former, err := ReadRecord(o.Tree)
	if err != nil {
		return nil, err
	}
	p := newPlanner(o, former)
	if err := p.locate(); err != nil {
		return nil, err
	}
	return p.plan, p.install()
}

func newPlanner(o Options, former *Record) *planner {
	p := &planner{Options: o, former: former, plan: &Plan{Former: former}}
	p.view = view{tree: o.Tree, files: map[string]planned{}}
	return p
}

// locate finds out where everything is to be.
func (p *planner) locate() error {
	name := p.Platform
	if name == "" && p.former != nil {
		name = p.former.Platform
	}
	platform, err := findPlatform(p.Tree, name)
	if err != nil {
		return err
	}
	if platform.Refusal != "" {
		return &RefusedError{platform}
	}
	p.plan.Platform = platform
	if p.former != nil { // as last time, unless somebody tells the kubelet something else
		platform = platform.withPlaces(p.former)
	}
	if p.plan.Wiring, err = findWiring(p.Tree, platform, p.BinDir, p.Config, p.Running); err != nil {
		return err
	}
	flags := p.former.flags()
	if flags != nil && (p.former.BinDir != p.plan.Wiring.BinDir || p.former.Config != p.plan.Wiring.Config) {
		return fmt.Errorf("the kubelet is told of %s and %s by %s, which was installed: uninstall first to move them", p.former.BinDir, p.former.Config, flags.Path)
	}
	return nil
}

func (p *planner) install() error {
	wiring := p.plan.Wiring
	binDir, err := p.Tree.Resolve(wiring.BinDir)
	if err != nil {
		return err
	}
	config, err := p.Tree.Resolve(wiring.Config)
	if err != nil {
		return err
	}
	if err := errors.Join(p.Tree.CheckPath(wiring.BinDir), p.Tree.CheckPath(wiring.Config)); err != nil {
		return fmt.Errorf("refused, because who can write there can become root: %w", oneLine(err))
	}
	if p.Live && p.Tree.NoExec(binDir) {
		return fmt.Errorf("%s: on a file system from which no program runs (noexec): give another --bin-dir", wiring.BinDir)
	}
	inDirectory := p.Tree.IsDir(config)
	if inDirectory && p.plan.Platform.FileOnly {
		return fmt.Errorf("%s: a directory: %s reads a file alone", wiring.Config, p.plan.Platform.Title)
	}
	target := config
	if inDirectory {
		target = path.Join(config, "regcred.yaml")
	}
	b, err := p.base(target, RoleConfig)
	if err != nil {
		return err
	}
	existing, err := p.existing(wiring.Config, target, b)
	if err != nil {
		return err
	}
	providers, entries, err := p.choose(existing, inDirectory || b.Text != nil)
	if err != nil {
		return err
	}
	if err := p.addPlugins(binDir, providers); err != nil {
		return err
	}
	if err := p.addConfig(target, b, entries); err != nil {
		return err
	}
	if err := p.addFlags(); err != nil {
		return err
	}
	// What was installed and is no more, once nothing names it any more.
	if err := p.restoreOthers(); err != nil {
		return err
	}
	err = p.view.check(wiring.Config, wiring.BinDir)
	if err != nil && (len(entries) > 0 || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	if err := p.checkVersion(wiring.Config); err != nil {
		return err
	}
	return p.finish(&Record{
		Version: recordVersion, Release: p.Release, Platform: p.plan.Platform.Name, BinDir: wiring.BinDir, Config: wiring.Config,
		Told: p.plan.Wiring.Told, Advice: p.plan.Wiring.Advice, Providers: providers,
	})
}

// checkVersion returns why this node's kubelet would not start with a
// configuration that the newest one takes.
func (p *planner) checkVersion(config string) error {
	if p.Minor == 0 {
		return nil
	}
	files, err := p.view.configFiles(config)
	if err != nil {
		return err
	}
	for _, name := range files {
		text, err := p.view.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		parsed, _ := kubelet.Parse(name, text) // check has seen it
		if err := parsed.CheckVersion(p.Minor, p.Gates).Err(); err != nil {
			return fmt.Errorf("the kubelet (1.%d) would not start: %w", p.Minor, err)
		}
	}
	return nil
}

// base is a text file without what is ours: Before is how it is to be again
// after uninstall, and Text what it has then. Kept is the backup that is there
// already.
type base struct {
	Before tree.State
	Text   []byte
	Kept   string

	current tree.State
	text    []byte // as it is
}

// base returns a text file as it would be without us.
func (p *planner) base(name string, role Role) (base, error) {
	current, err := p.Tree.State(name)
	if err != nil {
		return base{}, err
	}
	b := base{Before: current, current: current}
	switch current.Kind {
	case tree.Absent:
	case tree.File:
		if b.text, err = p.Tree.Read(name, maxText); err != nil {
			return base{}, err
		}
		b.Text = b.text
	default:
		return base{}, fmt.Errorf("%s: not a regular file", name)
	}
	recorded := p.former.file(name)
	switch {
	case recorded == nil || recorded.Role != role:
	case recorded.Accepted:
		b.Before = recorded.Before
	case current.Same(recorded.After):
		b.Before, b.Text, b.Kept = recorded.Before, nil, recorded.Backup
		if recorded.Before.Kind == tree.File {
			if b.Text, err = p.readBackup(recorded); err != nil {
				return base{}, err
			}
		}
	default:
		// Somebody else wrote it since. What they wrote is to stay.
		if undone, ok := undoText(b.text, recorded.Edit); ok {
			b.Text = undone
			b.Before = withText(b.Before, undone)
		}
	}
	return b, nil
}

func (p *planner) readBackup(recorded *RecordedFile) ([]byte, error) {
	text, err := p.Tree.Read(recorded.Backup, maxText)
	if err != nil {
		return nil, fmt.Errorf("backup of %s: %w", recorded.Path, err)
	}
	if hashOf(text) != recorded.Before.SHA256 {
		return nil, fmt.Errorf("backup of %s: %s was changed", recorded.Path, recorded.Backup)
	}
	return text, nil
}

// existing are the providers that are there without us.
func (p *planner) existing(config, target string, b base) ([]kubelet.Provider, error) {
	files, err := p.view.configFiles(config)
	if err != nil {
		return nil, err
	}
	var providers []kubelet.Provider
	for _, name := range files {
		text := b.Text
		if resolved, err := p.Tree.Resolve(name); err != nil {
			return nil, err
		} else if resolved != target {
			if text, err = p.Tree.Read(name, maxText); err != nil {
				return nil, err
			}
		}
		if text == nil {
			continue
		}
		parsed, err := kubelet.Parse(name, text)
		if err != nil && !emptyList(parsed, len(files)) {
			return nil, fmt.Errorf("what is there already keeps the kubelet from starting: %w", err)
		}
		providers = append(providers, parsed.Providers...)
	}
	return providers, nil
}

// finish plans the record, unless nothing changes.
func (p *planner) finish(record *Record) error {
	record.Files, record.Installed = p.files, p.Now
	p.dropBackups(p.files)
	if p.former != nil {
		for _, dir := range p.former.Directories {
			if p.Tree.IsDir(dir) {
				record.Directories = append(record.Directories, dir)
			}
		}
	}
	for _, dir := range slices.Concat(p.Made, p.directories) {
		if dir != p.stateDir() && !slices.Contains(record.Directories, dir) {
			record.Directories = append(record.Directories, dir)
		}
	}
	p.plan.Record = record
	if platform := p.plan.Platform; platform.Note != "" {
		p.plan.Notes = append(p.plan.Notes, platform.Note)
	}
	text, err := record.encode()
	if err != nil {
		return err
	}
	name := path.Join(p.stateDir(), recordFile)
	current, err := p.Tree.State(name)
	if err != nil {
		return err
	}
	if p.former != nil && len(p.changes) == 0 {
		same := *record
		same.Installed = p.former.Installed
		before, err := p.former.encode()
		if err != nil {
			return err
		}
		if text, err = same.encode(); err != nil {
			return err
		}
		if bytes.Equal(before, text) {
			p.plan.Record = p.former
			return nil
		}
		if text, err = record.encode(); err != nil {
			return err
		}
	}
	after := tree.State{Kind: tree.File, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid(), SHA256: hashOf(text), Size: int64(len(text))}
	p.changes = append(p.changes, change.Change{Path: name, Before: current, After: after, Content: change.Bytes(text)})
	p.plan.Set.Verb, p.plan.Set.Changes = "install", p.changes
	return nil
}

// label is the SELinux label of a program: that of the one in whose place it is
// put, or, where there are labels, that of programs.
func label(t *tree.Tree, target string, current tree.State) []byte {
	if value := current.Attributes["security.selinux"]; value != nil {
		return value
	}
	for dir := path.Dir(target); ; dir = path.Dir(dir) {
		if t.IsDir(dir) {
			if t.Label(dir) == nil {
				return nil
			}
			return []byte("system_u:object_r:bin_t:s0\x00")
		}
	}
}

// oneLine makes one line of joined errors.
func oneLine(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}
