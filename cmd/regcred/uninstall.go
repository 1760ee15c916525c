package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/install"
	"regcred/shared/redact"
)

// cacheDir is where the plugins keep credentials unless they are told
// otherwise.
const cacheDir = "/run/regcred"

type uninstallFlags struct {
	changeFlags
	force bool
}

func (a *app) uninstallCommand() *cobra.Command {
	var f uninstallFlags
	cmd := &cobra.Command{
		Use:     "uninstall",
		GroupID: groupNode,
		Short:   "Make the node as it was before regcred install",
		Long: `uninstall takes away what regcred install put onto the node, and brings back what it
replaced: content, mode, owner, time and label. What somebody else changed since
stays, without what is ours in it. The plugins' cache, /run/regcred, goes too.

It refuses to leave a kubelet behind that does not start, as one that is told of a
configuration that would be gone.

The exit code is 0 if the node is as before or nothing was installed, and 1 if nothing
was changed or all of it was taken back.`,
		Example: `  regcred uninstall --dry-run
  regcred uninstall --restart`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.uninstall(cmd.Context(), &f) },
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&f.force, "force", false, "bring back what was there before even where somebody else changed it since, and whatever becomes of the kubelet")
	return cmd
}

func (a *app) uninstall(ctx context.Context, f *uninstallFlags) error {
	target, err := a.openTarget(&f.rootFlags)
	if err != nil {
		return err
	}
	defer target.close()
	service, err := target.service(ctx, &f.changeFlags, "")
	if err != nil {
		return err
	}
	store, err := a.lock(ctx, target, f.dryRun)
	if err != nil {
		return err
	}
	if store != nil {
		defer store.Unlock()
	}
	now := time.Now().UTC()
	plan, err := install.Uninstall(install.Options{Tree: target.tree, Running: target.running(), Now: now, Force: f.force})
	if err != nil {
		return err
	}
	if plan == nil {
		a.out.Line("nothing is installed here")
		return nil
	}
	a.describe(plan, target)
	if f.dryRun {
		a.diff(plan)
		return nil
	}
	store.Prune(plan.Former.Directories)
	run := &install.Run{
		Store: store, Now: now, Service: service, Limit: f.limit,
		Say: func(text string) { a.out.Line(text) },
	}
	restarted, err := run.Apply(ctx, plan)
	if err != nil {
		return err
	}
	for _, note := range plan.Notes {
		a.out.Line("note: " + redact.Line(note))
	}
	a.out.Line("uninstalled")
	if target.live {
		// Credentials that nobody is going to use any more.
		if err := target.tree.RemoveAll(cacheDir); err != nil {
			return err
		}
	}
	switch {
	case restarted:
		a.out.Line("the kubelet was restarted, and is back")
	case target.live && plan.Restart:
		a.out.Line(restartHint(plan.Reload))
	}
	return nil
}
