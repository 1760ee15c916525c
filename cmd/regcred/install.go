package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/install"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
	"regcred/shared/version"
)

// rootFlags are the flags of the verbs that change a node, or an image of one.
type rootFlags struct {
	root string
	pid  int
}

func (f *rootFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.root, "root", "/", "`directory` where the node's file system is mounted, as for the build of an image: nothing outside of it is touched")
	flags.IntVar(&f.pid, "kubelet-pid", 0, "`process` of the kubelet, where several run or it runs in a container")
}

// changeFlags are those of the verbs that change something.
type changeFlags struct {
	rootFlags
	dryRun, restart bool
	limit           time.Duration
}

func (f *changeFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.dryRun, "dry-run", false, "change nothing: show what would be changed")
	flags.BoolVar(&f.restart, "restart", false, "restart the kubelet if it has to know of what changed, watch it, and take everything back if it does not come back")
	flags.DurationVar(&f.limit, "timeout", 2*time.Minute, "how long the kubelet may take to come back")
	f.rootFlags.add(flags)
}

type installFlags struct {
	changeFlags
	options     install.Options
	from        string
	entriesFrom string
	env         []string
}

func (a *app) installCommand() *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:     "install",
		GroupID: groupNode,
		Short:   "Put the plugins and their configuration onto this node, or into an image",
		Long: `install puts the plugins where this node's kubelet looks for them, and what it has
to know into its configuration. Everything is checked beforehand as the kubelet
checks it, and is changed at once or not at all: a run that is stopped anywhere is
taken back by the next one. A second run changes nothing.

Where things go is found out: from the kubelet that runs, from the files that start
it, or from the platform. Of a configuration that is there already nothing changes
but that providers are added at its end; where it is a directory, they get a file of
their own. A plugin of a vendor keeps its name, entry and arguments, and ours takes
the place of its program; regcred uninstall brings it back to the letter.

The kubelet learns of a changed configuration when it is restarted, which --restart
does, and of a changed program at its next use.

The exit code is 0 if it is installed, also where nothing had to be changed, and 1 if
nothing was changed, all of it was taken back, or the kubelet that was restarted does
not use it.`,
		Example: `  regcred install --dry-run
  regcred install --restart
  regcred install --root /mnt/image --cloud aws
  regcred install --provider acr --arg /etc/kubernetes/azure.json --match-images registry.example.com
  regcred install --providers-from pods.yaml --restart`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.install(cmd.Context(), &f) },
	}
	flags := cmd.Flags()
	f.add(flags)
	o := &f.options
	flags.StringVar(&f.from, "from", "", "`directory` with the plugins; that of regcred, or that of the packages")
	flags.StringVar(&o.Platform, "platform", "", "`name` of what the node is set up by: "+strings.Join(install.PlatformNames(), ", ")+"; found by its files")
	flags.StringSliceVar(&o.Clouds, "cloud", nil, "install the plugins of these `clouds`: "+strings.Join(install.Clouds(), ", ")+"; that of the machine, by its firmware")
	flags.StringSliceVar(&o.Providers, "provider", nil, "install these `plugins`, such as ecr or dockerconfig")
	flags.StringVar(&f.entriesFrom, "providers-from", "", "`file` with a CredentialProviderConfig, whose providers are added in the place of the plugins' own samples")
	flags.StringSliceVar(&o.MatchImages, "match-images", nil, "`patterns` of images for the only provider, in the place of its sample's")
	flags.StringArrayVar(&o.Args, "arg", nil, "`argument` of the only provider; may be repeated")
	flags.StringArrayVar(&f.env, "env", nil, "`NAME=VALUE` in the environment of the only provider; may be repeated")
	flags.StringVar(&o.Config, "config", "", "file or `directory` of the credential providers, the kubelet's --image-credential-provider-config; found by what starts the kubelet, else the platform's")
	flags.StringVar(&o.BinDir, "bin-dir", "", "`directory` of their binaries, the kubelet's --image-credential-provider-bin-dir; found in the same way")
	flags.BoolVar(&o.NoFlags, "no-flags", false, "leave it to others to give the kubelet its flags")
	return cmd
}

func (a *app) install(ctx context.Context, f *installFlags) error {
	target, err := a.openTarget(&f.rootFlags)
	if err != nil {
		return err
	}
	defer target.close()
	if err := f.complete(ctx, target); err != nil {
		return err
	}
	service, err := target.service(ctx, &f.changeFlags, f.options.Platform)
	if err != nil {
		return err
	}
	store, err := a.lock(ctx, target, f.dryRun)
	if err != nil {
		return err
	}
	if store != nil {
		defer store.Unlock()
		f.options.Made = store.Made()
	}
	plan, err := install.Install(f.options)
	if err != nil {
		return err
	}
	a.describe(plan, target)
	if f.dryRun {
		a.diff(plan)
		return nil
	}
	pending := target.restartPending()
	run := &install.Run{
		Store: store, Now: f.options.Now, Service: service, Limit: f.limit, Pending: pending,
		Say: func(text string) { a.out.Line(text) },
	}
	restarted, err := run.Apply(ctx, plan)
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: give --bin-dir and --config where can be written, and have the kubelet told of them", err)
	}
	if err != nil {
		return err
	}
	a.finishInstall(plan, target, restarted, pending)
	if restarted {
		return a.verify(ctx, &f.rootFlags)
	}
	return nil
}

// verify looks at the kubelet that was restarted: what starts it may not be
// what it was taken for.
func (a *app) verify(ctx context.Context, f *rootFlags) error {
	again := *f
	again.pid = 0 // that process has ended
	target, err := a.openTarget(&again)
	if err != nil {
		return err
	}
	defer target.close()
	status, err := install.Examine(target.tree, target.kubelet(ctx))
	if err != nil {
		return err
	}
	if target.running() == nil || len(status.Problems) == 0 {
		return nil
	}
	for _, problem := range status.Problems {
		a.out.Line(a.out.Styled(term.Red, "problem: ") + redact.Line(problem))
	}
	return exitCode(1)
}

// complete makes the options of flags.
func (f *installFlags) complete(ctx context.Context, target *target) error {
	o := &f.options
	if err := o.Check(); err != nil {
		return usageError(err)
	}
	o.Live = target.live
	o.Minor, o.Gates = target.version(ctx)
	o.Tree, o.Running, o.Release, o.Now = target.tree, target.running(), version.Version(), time.Now().UTC()
	for _, text := range f.env {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usageError(fmt.Errorf("--env: want NAME=VALUE"))
		}
		o.Env = append(o.Env, kubeletconfig.ExecEnvVar{Name: name, Value: value})
	}
	if f.entriesFrom != "" {
		if len(o.Clouds)+len(o.Providers)+len(o.MatchImages)+len(o.Args)+len(o.Env) > 0 {
			return usageError(errors.New("--providers-from says everything: not with --cloud, --provider, --match-images, --arg or --env"))
		}
		config, err := kubelet.Load(f.entriesFrom)
		if err != nil {
			return err
		}
		for i := range config.Providers {
			o.Entries = append(o.Entries, config.Providers[i].CredentialProvider)
		}
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	if resolved, err := filepath.EvalSymlinks(executable); err == nil {
		executable = resolved
	}
	o.From, err = install.FindBinaries(f.from, executable)
	return err
}

// describe says what a plan is.
func (a *app) describe(plan *install.Plan, target *target) {
	where := plan.Platform.Title
	if target.dir != "/" {
		where += ", in " + target.dir
	}
	a.out.Line(redact.Line("platform: " + where))
	if target.node != nil && target.node.Process == nil {
		for _, note := range target.node.Notes {
			a.out.Line("note: " + redact.Line(note))
		}
	}
	a.out.Line(redact.Line(fmt.Sprintf("plugins in %s, configuration %s (from %s)", plan.Wiring.BinDir, plan.Wiring.Config, plan.Wiring.Source)))
	for _, line := range plan.Summary() {
		a.out.Line("  " + redact.Line(line))
	}
}

// diff shows the texts that change.
func (a *app) diff(plan *install.Plan) {
	secrets := plan.Secrets()
	for _, text := range plan.Texts {
		from, to := text.Path, text.Path
		if text.Old == nil {
			from = os.DevNull
		}
		if text.New == nil {
			to = os.DevNull
		}
		for line := range strings.Lines(string(diff.Diff(from, text.Old, to, text.New))) {
			line = strings.TrimRight(line, "\r\n")
			if strings.HasPrefix(line, "diff ") {
				continue
			}
			style := term.Style("")
			switch {
			case strings.HasPrefix(line, "+"):
				style = term.Green
			case strings.HasPrefix(line, "-"):
				style = term.Red
			}
			a.out.Line(a.styled(style, diffLine(line, secrets)))
		}
	}
	for _, note := range plan.Notes {
		a.out.Line("note: " + redact.Line(note))
	}
	if advice := plan.Wiring.Advice; advice != "" {
		a.out.Line("note: " + redact.Line(advice))
	}
	if plan.Empty() {
		a.out.Line("nothing to change")
	}
}

// diffLine is a line that is fit to print, with its indentation.
func diffLine(line string, secrets []string) string {
	indent := len(line) - len(strings.TrimLeft(line, " +-\t"))
	begin, rest := strings.ReplaceAll(line[:indent], "\t", "    "), line[indent:]
	if !strings.Contains(rest, install.ConfigFlag+"=") {
		return begin + redact.Line(rest, secrets...)
	}
	// A line of flags looks like a token, and is what has to be seen.
	return begin + strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, rest)
}

func (a *app) styled(style term.Style, text string) string {
	if style == "" {
		return text
	}
	return a.out.Styled(style, text)
}

func (a *app) finishInstall(plan *install.Plan, target *target, restarted, pending bool) {
	for _, note := range plan.Notes {
		a.out.Line("note: " + redact.Line(note))
	}
	list := providerNames(plan.Record.Providers)
	word := "installed"
	if plan.Empty() {
		word = "nothing to change: installed already"
	}
	a.out.Line(redact.Line(word + ": " + list))
	switch {
	case plan.Wiring.Advice != "":
		a.out.Line(redact.Line("left to do: " + plan.Wiring.Advice))
	case restarted:
		a.out.Line("the kubelet was restarted, and is back")
	case target.live && (plan.Restart || pending):
		a.out.Line(restartHint(plan.Reload))
	}
}

// restartHint says how the kubelet learns of what changed.
func restartHint(reload bool) string {
	if reload {
		return "left to do: systemctl daemon-reload, and restart the kubelet (or give --restart)"
	}
	return "left to do: restart the kubelet (or give --restart)"
}

func providerNames(providers []install.RecordedProvider) string {
	names := make([]string, 0, len(providers))
	for _, provider := range providers {
		names = append(names, provider.Name)
	}
	return strings.Join(names, ", ")
}
