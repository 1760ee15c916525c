package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/replay"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/cache"
	"regcred/shared/credential"
	"regcred/shared/explain"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
	"regcred/shared/settings"
)

// cacheFlags are what the verbs of the cache are told.
type cacheFlags struct {
	node   nodeFlags
	pod    podFlags
	dirs   []string
	images []string
	states []string
	output string
}

func (f *cacheFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.dirs, "cache-dir", nil, "`directory` of a cache, in the place of those that the node's plugins have; may be given more than once")
	flags.StringArrayVar(&f.images, "image", nil, "only what is for this `image`, as the node asks or the pod that other flags name; a registry alone is good enough where its credential is for all of it")
	flags.StringArrayVar(&f.states, "state", nil, "only what is `fresh|due|expired|failed`; may be given more than once")
	flags.StringVarP(&f.output, "output", "o", "text", "`text|json`")
	f.pod.add(flags)
	f.node.add(flags)
	completeFlag(cmd, "state", string(cache.Fresh), string(cache.Due), string(cache.Expired), string(cache.Failed))
	completeFlag(cmd, "output", "text", "json")
}

func (f *cacheFlags) check() error {
	for _, state := range f.states {
		switch cache.State(state) {
		case cache.Fresh, cache.Due, cache.Expired, cache.Failed:
		default:
			return usageError(fmt.Errorf("--state %q: want fresh, due, expired or failed", state))
		}
	}
	for _, dir := range f.dirs {
		if !filepath.IsAbs(dir) {
			return usageError(fmt.Errorf("--cache-dir %q: not an absolute path", dir))
		}
	}
	return checkOutput(f.output)
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return usageError(fmt.Errorf("--output %q: want text or json", output))
	}
	return nil
}

func (a *app) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cache",
		GroupID: groupAsk,
		Short:   "Show or forget what the plugins keep",
		Long: `cache shows what the plugins of this node keep, without its secrets, and forgets it.

The directories are those that the plugins in the kubelet's configuration name, or
/run/regcred where no kubelet is found.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var list, purge cacheFlags
	listCmd := &cobra.Command{
		Use:   "list",
		Short: "Show what is kept: whose it is, when it ends, what failed",
		Long: `list shows what is kept: of whom, when it was obtained, when it is refreshed and when
it ends, and the last failure. No secret is in it.

Files that are damaged, or that others could have written, serve nobody. They are
told. The exit code is 1 if a directory is not trusted.`,
		Example: `  regcred cache list
  regcred cache list --state failed
  regcred cache list --image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app -o json`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.cacheList(cmd.Context(), list) },
	}
	list.add(listCmd)
	purgeCmd := &cobra.Command{
		Use:   "purge",
		Short: "Forget what is kept, so that the cloud is asked again",
		Long: `purge removes what is kept, and says how many entries that were. Without --image and
--state it is everything, of other releases too. The next pull asks the cloud again;
what is being asked for meanwhile is not kept either.

The kubelet keeps answers by itself, for ten minutes or what --max-kubelet-cache says,
and does not forget them.`,
		Example: `  regcred cache purge
  regcred cache purge --state failed
  regcred cache purge --image myregistry.azurecr.io/app --service-account team/app`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.cachePurge(cmd.Context(), purge) },
	}
	purge.add(purgeCmd)
	cmd.AddCommand(listCmd, purgeCmd)
	return cmd
}

// caches are the directories of caches, and which of what is there is meant.
type caches struct {
	dirs  []replay.CacheDir
	notes []string
	// match is nil if all is meant.
	match func(cache.Entry) bool
}

// caches finds the caches that the flags mean.
func (a *app) caches(ctx context.Context, f cacheFlags) (caches, error) {
	var c caches
	for _, dir := range f.dirs {
		c.dirs = append(c.dirs, replay.CacheDir{Path: dir})
	}
	n, err := f.node.find()
	if err != nil {
		return caches{}, err
	}
	var node replay.Node
	if len(f.dirs) == 0 || len(f.images) > 0 {
		if node, err = a.providers(n); err != nil && (len(f.images) > 0 || n.ProviderConfig != "") {
			return caches{}, err
		}
	}
	switch {
	case len(c.dirs) > 0:
	case node.Config != nil:
		c.dirs, c.notes = node.CacheDirs(ctx)
	default:
		var common settings.Common
		common.SetDefaults(a.getenv)
		c.dirs = []replay.CacheDir{{Path: common.CacheDir}}
		c.notes = append(c.notes, "no kubelet with credential providers is found here: this is where plugins keep what they have unless they are told otherwise")
	}
	var keys []credential.Key
	if len(f.images) > 0 {
		who, err := a.subject(ctx, n, node.Config, &f.pod, f.images)
		if err != nil {
			return caches{}, err
		}
		if keys, err = keysOf(ctx, node, f.images, who.pod); err != nil {
			return caches{}, err
		}
	}
	if len(c.dirs) == 0 {
		c.notes = append(c.notes, "none of the node's providers keeps anything that this tool knows of: they are not of this suite, or have --cache-dir empty")
	}
	if len(f.images) > 0 || len(f.states) > 0 {
		c.match = func(e cache.Entry) bool {
			return (len(f.states) == 0 || slices.Contains(f.states, string(e.State))) && (len(f.images) == 0 || isOf(keys, e))
		}
	}
	return c, nil
}

// keysOf are what the credentials for images depend on.
func keysOf(ctx context.Context, node replay.Node, images []string, pod kubelet.Pod) ([]credential.Key, error) {
	var keys []credential.Key
	for _, image := range images {
		name, err := imageOrRegistry(image)
		if err != nil {
			return nil, err
		}
		var reasons []string
		found := false
		for _, match := range node.Config.Match(name) {
			if !match.Matched {
				continue
			}
			e := node.Explain(ctx, match.Provider, name, pod)
			switch {
			case e.Explanation != nil && len(e.Explanation.Key) > 0:
				keys, found = append(keys, e.Explanation.Key), true
			default:
				reasons = append(reasons, match.Provider.Name+" "+why(e))
			}
		}
		if !found {
			if reasons == nil {
				reasons = []string{"no provider is for it"}
			}
			return nil, fmt.Errorf("--image %s: nothing is kept for it: %s", redact.Line(image), strings.Join(reasons, "; "))
		}
	}
	return keys, nil
}

// imageOrRegistry is what the kubelet asks for: of an image, or of any image of a
// registry.
func imageOrRegistry(written string) (string, error) {
	if !strings.Contains(written, "/") && strings.ContainsAny(written, ".:") && !strings.Contains(written, "@") {
		if name, err := kubelet.ImageName(written + "/regcred/any"); err == nil {
			return name, nil
		}
	}
	return kubelet.ImageName(written)
}

// why is why a provider has no key.
func why(e replay.Explained) string {
	switch {
	case e.Foreign:
		return "is not of this suite"
	case e.Skipped != "":
		return "is not run: " + e.Skipped
	case e.Err != nil:
		return "fails: " + e.Err.Error()
	case e.Explanation.Refused != "":
		return "refuses it: " + e.Explanation.Refused
	default:
		return "says that the registry is somebody else's"
	}
}

// isOf reports whether an entry is used for one of the keys.
func isOf(keys []credential.Key, e cache.Entry) bool {
	return slices.ContainsFunc(keys, func(key credential.Key) bool { return slices.Equal(key, e.Key) || key.Contains(e.Key) })
}

// keptDir is what is told of a directory.
type keptDir struct {
	Directory string   `json:"directory"`
	Providers []string `json:"providers,omitempty"`
	// Problem is why nothing in it is trusted, or what could not be removed.
	Problem string `json:"problem,omitempty"`

	Entries []cache.Entry   `json:"entries,omitempty"`
	Ignored []cache.Ignored `json:"ignored,omitempty"`
	Removed *int            `json:"removed,omitempty"`
}

type cacheReport struct {
	APIVersion  string    `json:"apiVersion"`
	Kind        string    `json:"kind"`
	Notes       []string  `json:"notes,omitempty"`
	Directories []keptDir `json:"directories"`
}

func (a *app) cacheList(ctx context.Context, f cacheFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	c, err := a.caches(ctx, f)
	if err != nil {
		return err
	}
	report := cacheReport{APIVersion: reportVersion, Kind: "CacheList", Notes: c.notes, Directories: []keptDir{}}
	failed := false
	for _, dir := range c.dirs {
		listing, err := cache.New(cache.Options{Dir: dir.Path}).List()
		told := keptDir{Directory: dir.Path, Providers: dir.Providers, Ignored: listing.Ignored}
		if err != nil {
			failed, told.Problem = true, redact.Line(err.Error())
		}
		for _, e := range listing.Entries {
			if c.match == nil || c.match(e) {
				told.Entries = append(told.Entries, e)
			}
		}
		slices.SortFunc(told.Entries, func(a, b cache.Entry) int { return slices.Compare(a.Key, b.Key) })
		report.Directories = append(report.Directories, told)
	}
	if f.output == "json" {
		err = printJSON(a.out, report)
	} else {
		report.text(a.out, time.Now())
	}
	if failed && err == nil {
		return exitCode(1)
	}
	return err
}

// text prints what is kept, for people.
func (r cacheReport) text(p *term.Printer, now time.Time) {
	r.printNotes(p)
	for i, dir := range r.Directories {
		if i > 0 {
			p.Line("")
		}
		p.Line(p.Styled(term.Bold, redact.Line(dir.Directory)) + keptBy(dir.Providers))
		if dir.Problem != "" {
			p.Line(p.Styled(term.Red, "  not trusted, so that every run asks its cloud: ") + dir.Problem)
			continue
		}
		if len(dir.Entries) == 0 {
			p.Line("  nothing")
		}
		for _, e := range dir.Entries {
			p.Line("  " + e.Kind + " " + redact.Line(strings.Join(e.Key, " ")))
			p.Line("    " + p.Styled(stateStyle(e.State), string(e.State)) + strings.TrimPrefix(explain.Kept(e, now), string(e.State)))
		}
		for _, file := range dir.Ignored {
			p.Line(p.Styled(term.Yellow, "  not trusted: ") + redact.Line(file.File) + ": " + file.Reason)
		}
	}
}

func (r cacheReport) printNotes(p *term.Printer) {
	for _, note := range r.Notes {
		p.Line("note: " + redact.Line(note))
	}
}

func keptBy(providers []string) string {
	if len(providers) == 0 {
		return ""
	}
	return " of " + redact.Line(strings.Join(providers, ", "))
}

func stateStyle(s cache.State) term.Style {
	switch s {
	case cache.Fresh:
		return term.Green
	case cache.Due:
		return term.Yellow
	default:
		return term.Red
	}
}

func (a *app) cachePurge(ctx context.Context, f cacheFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	c, err := a.caches(ctx, f)
	if err != nil {
		return err
	}
	report := cacheReport{APIVersion: reportVersion, Kind: "CachePurge", Notes: c.notes, Directories: []keptDir{}}
	var failed []error
	for _, dir := range c.dirs {
		store := cache.New(cache.Options{Dir: dir.Path})
		purge := store.Purge
		if c.match != nil {
			purge = func() (int, error) { return store.PurgeIf(c.match) }
		}
		removed, err := purge()
		told := keptDir{Directory: dir.Path, Providers: dir.Providers, Removed: &removed}
		if err != nil {
			told.Problem = redact.Line(err.Error())
			failed = append(failed, err)
		}
		report.Directories = append(report.Directories, told)
	}
	if f.output == "json" {
		if err := printJSON(a.out, report); err != nil {
			return err
		}
	} else {
		report.printNotes(a.out)
		for _, dir := range report.Directories {
			a.out.Line(fmt.Sprintf("%s: removed %s", redact.Line(dir.Directory), entries(*dir.Removed)))
		}
	}
	return errors.Join(failed...)
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
