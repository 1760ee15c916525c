package install

import (
	"fmt"
	"slices"
	"strings"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/shared/image"
	"regcred/shared/kubelet"
)

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
			if err := p.compare(plugin, found); err != nil {
				return nil, nil, err
			}
			c.take(p.former, plugin, found)
			continue
		}
		entry, err := p.entry(plugin)
		if err != nil {
			return nil, nil, err
		}
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
			entry, err := p.entry(plugin)
			if err != nil {
				return nil, nil, err
			}
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

// compare notes which images a plugin's sample is for and the providers that are
// there are not: their entries stay as they are.
func (p *planner) compare(plugin Plugin, found []kubelet.Provider) error {
	if plugin.Cloud == "" {
		return nil // whose sample has examples alone
	}
	sample, err := plugin.sample()
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(sample.MatchImages, func(pattern string) bool {
		one := strings.ReplaceAll(pattern, "*", "any") + "/any"
		return slices.ContainsFunc(found, func(provider kubelet.Provider) bool {
			return slices.ContainsFunc(provider.MatchImages, func(there string) bool {
				matched, err := image.Match(there, one)
				return err == nil && matched
			})
		})
	})
	if len(missing) > 0 {
		p.plan.Notes = append(p.plan.Notes, fmt.Sprintf("%s: the entry of %s stays as it is, without %s: add there what images are from",
			found[0].File, found[0].Name, strings.Join(missing, ", ")))
	}
	return nil
}

// entry is a plugin's entry to add: its sample with what was asked for, or what
// the platform knows.
func (p *planner) entry(plugin Plugin) (kubeletconfig.CredentialProvider, error) {
	entry, err := plugin.sample()
	if err != nil {
		return entry, err
	}
	if plugin.Cloud == "" && p.MatchImages == nil {
		return entry, fmt.Errorf("%s has no registries of its own: give --match-images with those that it is for, or --providers-from with its whole entry", plugin.Name)
	}
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
	return entry, nil
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
