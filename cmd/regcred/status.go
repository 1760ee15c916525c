package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/install"
	"regcred/cmd/regcred/internal/suite"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/file"
	"regcred/shared/redact"
)

type statusFlags struct {
	rootFlags
	output   string
	textfile string
	every    time.Duration
}

func (a *app) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupNode,
		Short:   "What is installed here, and whether it is in use and as it was left",
		Long: `status shows what regcred install put onto the node, which of it somebody else
changed, and whether the kubelet runs with the configuration that is there: by the
hash that it publishes (Kubernetes 1.34 and later, through its read-only port), else
by the time of its start. It changes nothing.

The exit code is 0 if all is well, and 1 if not or if nothing is installed. With
--every it looks again and again until it is stopped, says what it found when that is
something else than before, and then the exit code is 0.`,
		Example: `  regcred status
  regcred status -o json
  regcred status --textfile /var/lib/node_exporter/textfile/regcred.prom
  regcred status --every 1m --textfile /var/lib/node_exporter/textfile/regcred.prom`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context(), &f) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "text", "`text|json`")
	flags.StringVar(&f.textfile, "textfile", "", "write metrics to this `file`, for the textfile collector of Prometheus' node exporter")
	flags.DurationVar(&f.every, "every", 0, "look again after this `time`, until stopped")
	f.add(flags)
	return cmd
}

func (a *app) status(ctx context.Context, f *statusFlags) error {
	if f.output != "text" && f.output != "json" {
		return usageError(fmt.Errorf("--output=%.40s: want text or json", f.output))
	}
	if f.every < 0 {
		return usageError(fmt.Errorf("--every=%s: want more than 0s", f.every))
	}
	if f.every > 0 {
		return a.statusEvery(ctx, f)
	}
	status, err := a.examine(ctx, f)
	if err != nil {
		return err
	}
	if err := a.showStatus(status, f.output); err != nil {
		return err
	}
	if len(status.Problems) > 0 {
		return exitCode(1)
	}
	return nil
}

// statusEvery looks again and again. What keeps it from looking may pass.
func (a *app) statusEvery(ctx context.Context, f *statusFlags) error {
	for last := ""; ctx.Err() == nil; {
		status, failure := a.examine(ctx, f)
		text, err := json.Marshal(status)
		if err != nil {
			return err
		}
		now := string(text)
		if failure != nil {
			now = failure.Error()
		}
		switch {
		case now == last, ctx.Err() != nil:
		case failure != nil:
			a.fail(failure)
		default:
			if err := a.showStatus(status, f.output); err != nil {
				return err
			}
		}
		last = now
		select {
		case <-ctx.Done():
		case <-time.After(f.every):
		}
	}
	return nil
}

// examine looks, and writes the metrics.
func (a *app) examine(ctx context.Context, f *statusFlags) (*install.Status, error) {
	target, err := a.openTarget(&f.rootFlags)
	if err != nil {
		return nil, err
	}
	defer target.close()
	status, err := install.Examine(target.tree, target.kubelet(ctx))
	if err != nil {
		return nil, err
	}
	target.askVersions(ctx, status.Files)
	if f.textfile != "" {
		if err := file.Replace(f.textfile, []byte(status.Metrics(time.Now())), 0o644); err != nil {
			return nil, fmt.Errorf("textfile: %s: %w", f.textfile, err)
		}
	}
	return status, nil
}

func (a *app) showStatus(status *install.Status, output string) error {
	if output == "json" {
		return printJSON(a.out, status)
	}
	a.printStatus(status)
	return nil
}

// askVersions asks the plugins that are as they were installed for their
// release. One that does not answer has none.
func (t *target) askVersions(ctx context.Context, files []install.FileStatus) {
	if !t.live {
		return
	}
	for i := range files {
		file := &files[i]
		if file.Role != install.RolePlugin || file.State != install.Unchanged {
			continue
		}
		if release, _ := suite.Ask(ctx, filepath.Join(t.dir, file.Path), nil, ""); release != nil {
			file.Release = release.Version
		}
	}
}

func (a *app) printStatus(s *install.Status) {
	if s.Installed {
		rows := make([][]string, 0, 5+len(s.Files))
		rows = append(rows, [][]string{
			{"installed", s.Since.Format(time.RFC3339) + ", release " + s.Release},
			{"platform", s.Platform},
			{"providers", providerNames(s.Providers)},
			{"configuration", strings.TrimSpace(s.Config + " " + s.ConfigHash)},
			{"kubelet", kubeletLine(&s.Kubelet)},
		}...)
		for _, file := range s.Files {
			what := file.Path + ", " + file.State
			if file.Release != "" {
				what += ", release " + file.Release
			}
			rows = append(rows, []string{string(file.Role), what})
		}
		for _, row := range rows {
			row[1] = redact.Line(row[1])
		}
		a.out.Table(rows)
	}
	for _, problem := range s.Problems {
		a.out.Line(a.out.Styled(term.Red, "problem: ") + redact.Line(problem))
	}
	if len(s.Problems) == 0 {
		a.out.Line(a.out.Styled(term.Green, "all is well"))
	}
}

func kubeletLine(k *install.KubeletStatus) string {
	switch {
	case !k.Running:
		return "none runs that could be found"
	case k.ConfigHash != "":
		return fmt.Sprintf("process %d, runs with %s", k.PID, k.ConfigHash)
	}
	return fmt.Sprintf("process %d", k.PID)
}
