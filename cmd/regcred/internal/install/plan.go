package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/tree"
	"regcred/shared/kubelet"
)

// Options are what an installation is to be.
type Options struct {
	Tree *tree.Tree

	// Platform and Clouds are found if they are empty, and Providers are those
	// of the clouds, or those that were installed last.
	Platform  string
	Clouds    []string
	Providers []string

	// From is the directory with the plugins, of this process and not of the
	// tree.
	From string

	// Entries are providers' entries to add instead of the samples.
	Entries []kubeletconfig.CredentialProvider

	// MatchImages, Args and Env take the place of the sample's, of the only
	// provider there is.
	MatchImages []string
	Args        []string
	Env         []kubeletconfig.ExecEnvVar

	// BinDir and Config win over what is found.
	BinDir, Config string

	// NoFlags leaves it to others to tell the kubelet.
	NoFlags bool

	// Running is the kubelet of the tree, or nil.
	Running *Running

	// Minor is its minor version (33 is 1.33), or 0 if it is not known, and
	// Gates are its feature gates.
	Minor int
	Gates map[string]bool

	// Live means that the tree is mounted as the kubelet has it.
	Live bool

	// Release is that of the plugins.
	Release string
	Now     time.Time

	// Made are the directories that were made for the record.
	Made []string

	// Force takes what is ours away although somebody else changed it.
	Force bool
}

// RefusedError says that nothing can be installed on a platform, and what to
// do instead.
type RefusedError struct{ Platform Platform }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: nothing can be installed from here: %s", e.Platform.Title, e.Platform.Refusal)
}

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
		platform.BinDir, platform.Config = p.former.BinDir, p.former.Config
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

// choose returns the providers that our plugins are to answer for, and the
// entries that have to be added for them.
//
// Without a configuration there may be one to come: that of the platform, for
// its own plugin.
func (p *planner) choose(existing []kubelet.Provider, configured bool) ([]RecordedProvider, []kubeletconfig.CredentialProvider, error) {
	if len(p.Entries) > 0 {
		return p.chooseEntries(existing)
	}
	if p.former != nil && p.saysNothing() {
		return p.chooseAgain(existing)
	}
	chosen, err := p.chosen(existing)
	if err != nil {
		return nil, nil, err
	}
	changed := p.MatchImages != nil || p.Args != nil || p.Env != nil
	if changed && len(chosen) != 1 {
		return nil, nil, fmt.Errorf("--match-images, --arg and --env are for one provider, and there are %d: give --providers-from", len(chosen))
	}
	if own := p.plan.Platform.Own; !configured && !changed && len(chosen) == 1 && chosen[0].Name == own {
		p.plan.Notes = append(p.plan.Notes, p.plan.Wiring.Config+" is not there: it is written, with an entry for "+own+", when the node is set up")
		return []RecordedProvider{{Name: own, Plugin: own}}, nil, nil
	}
	var c choice
	for _, plugin := range chosen {
		if found := p.answers(plugin, existing); found != nil {
			if changed {
				return nil, nil, fmt.Errorf("%s has provider %s, whose entry stays as it is: change it there", found[0].File, found[0].Name)
			}
			c.take(p.former, plugin, found)
			continue
		}
		entry, err := plugin.sample()
		if err != nil {
			return nil, nil, err
		}
		p.adapt(&entry)
		c.add(RecordedProvider{Name: entry.Name, Plugin: plugin.Name}, entry, changed)
	}
	return c.providers, c.entries, nil
}

// saysNothing reports whether it is left to us what is installed.
func (p *planner) saysNothing() bool {
	return len(p.Clouds)+len(p.Providers)+len(p.Entries) == 0 && p.MatchImages == nil && p.Args == nil && p.Env == nil
}

// chooseAgain chooses what was installed last.
func (p *planner) chooseAgain(existing []kubelet.Provider) ([]RecordedProvider, []kubeletconfig.CredentialProvider, error) {
	var c choice
	for _, former := range p.former.Providers {
		plugin, err := pluginNamed(former.Plugin)
		if err != nil {
			return nil, nil, err
		}
		same := slices.DeleteFunc(slices.Clone(existing), func(e kubelet.Provider) bool { return e.Name != former.Name })
		switch {
		case len(same) > 0:
			c.take(p.former, plugin, same)
		case former.Entry != nil:
			c.add(former, *former.Entry, true)
		case !former.Added && p.plan.Platform.Own == plugin.Name && len(existing) == 0:
			c.providers = append(c.providers, former) // its entry is still to come
		default:
			entry, err := plugin.sample()
			if err != nil {
				return nil, nil, err
			}
			p.adapt(&entry)
			c.add(RecordedProvider{Name: entry.Name, Plugin: plugin.Name}, entry, false)
		}
	}
	return c.providers, c.entries, nil
}

// answers are the providers that a plugin of ours answers for.
func (p *planner) answers(plugin Plugin, existing []kubelet.Provider) []kubelet.Provider {
	var found []kubelet.Provider
	for i := range existing {
		if of, ok := pluginOf(existing[i].Name); ok && of.Name == plugin.Name {
			found = append(found, existing[i])
		}
	}
	return found
}

// choice is what is chosen, and the entries that it takes.
type choice struct {
	providers []RecordedProvider
	entries   []kubeletconfig.CredentialProvider
}

// take takes providers that are there. What was ours among them still is.
func (c *choice) take(former *Record, plugin Plugin, found []kubelet.Provider) {
	for i := range found {
		provider := RecordedProvider{Name: found[i].Name, Plugin: plugin.Name}
		if recorded := former.provider(provider.Name); recorded != nil {
			provider = *recorded
		}
		c.providers = append(c.providers, provider)
	}
}

// add adds an entry, which is the plugin's own unless it was changed.
func (c *choice) add(provider RecordedProvider, entry kubeletconfig.CredentialProvider, changed bool) {
	provider.Added = true
	if changed {
		provider.Entry = &entry
	}
	c.providers = append(c.providers, provider)
	c.entries = append(c.entries, entry)
}

// chosen are the plugins that were asked for.
func (p *planner) chosen(existing []kubelet.Provider) ([]Plugin, error) {
	var chosen []Plugin
	add := func(plugin Plugin) {
		if !slices.ContainsFunc(chosen, func(c Plugin) bool { return c.Name == plugin.Name }) {
			chosen = append(chosen, plugin)
		}
	}
	for _, name := range p.Providers {
		plugin, err := pluginNamed(name)
		if err != nil {
			return nil, err
		}
		add(plugin)
	}
	clouds := p.Clouds
	if len(chosen) == 0 && len(clouds) == 0 {
		if cloud := p.plan.Platform.Cloud; cloud != "" {
			clouds = []string{cloud}
		} else if cloud := DetectCloud(p.Tree); cloud != "" {
			clouds = []string{cloud}
		}
	}
	for _, cloud := range clouds {
		if !slices.Contains(Clouds(), cloud) {
			return nil, fmt.Errorf("cloud %.80q: want one of %s", cloud, strings.Join(Clouds(), ", "))
		}
		for _, plugin := range Plugins() {
			if plugin.Cloud == cloud {
				add(plugin)
			}
		}
	}
	if len(chosen) == 0 {
		for i := range existing {
			if plugin, ok := pluginOf(existing[i].Name); ok {
				add(plugin)
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("the machine does not say which cloud it runs in: give --cloud (%s) or --provider", strings.Join(Clouds(), ", "))
	}
	return chosen, nil
}

// adapt gives an entry what was asked for, or what the platform knows.
func (p *planner) adapt(entry *kubeletconfig.CredentialProvider) {
	if file := p.plan.Platform.Args[entry.Name]; file != "" && p.Tree.IsFile(file) {
		entry.Args = []string{file}
	}
	if p.MatchImages != nil {
		entry.MatchImages = p.MatchImages
	}
	if p.Args != nil {
		entry.Args = p.Args
	}
	if p.Env != nil {
		entry.Env = p.Env
	}
}

// chooseEntries takes the entries that were given.
func (p *planner) chooseEntries(existing []kubelet.Provider) ([]RecordedProvider, []kubeletconfig.CredentialProvider, error) {
	var c choice
	for i := range p.Entries {
		name := p.Entries[i].Name
		for j := range existing {
			if existing[j].Name == name {
				return nil, nil, fmt.Errorf("%s has provider %s already: change it there", existing[j].File, name)
			}
		}
		plugin, ok := pluginOf(name)
		if !ok {
			// A second name for one of ours, such as ecr-credential-provider-pods.
			for _, candidate := range Plugins() {
				if strings.HasPrefix(name, candidate.Name+"-") {
					plugin, ok = candidate, true
				}
			}
		}
		if !ok {
			return nil, nil, fmt.Errorf("provider %.80q: not one of ours: want a name such as ecr-credential-provider, or ecr-credential-provider-pods for a second one", name)
		}
		c.add(RecordedProvider{Name: name, Plugin: plugin.Name}, p.Entries[i], true)
	}
	return c.providers, c.entries, nil
}

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
	wiring.Advice = fmt.Sprintf("the kubelet has to be told of it with %s: %s", strings.Join(flags, " "), how)
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

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// hashFile returns what a program of this process's own tree has.
func hashFile(name string) (hash string, size int64, err error) {
	file, err := openRegular(name)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	size, err = io.Copy(sum, file)
	return hex.EncodeToString(sum.Sum(nil)), size, err
}

func openRegular(name string) (io.ReadCloser, error) {
	file, err := os.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: no such file", name)
		}
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, errors.Join(err, fmt.Errorf("%s: not a regular file", name))
	}
	return file, nil
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
