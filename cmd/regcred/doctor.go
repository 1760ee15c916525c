package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/doctor"
	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/registry"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

// doctorFlags are the flags of "regcred doctor".
type doctorFlags struct {
	node   nodeFlags
	output string
	failOn string
	bundle string
	list   bool
	before time.Duration
	images []string
	skip   []string

	hostsDirs []string
}

func (a *app) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:     "doctor [NAME...]",
		GroupID: groupAsk,
		Short:   "Look this node over: what keeps it from private images, and how to mend it",
		Long: `doctor looks at everything that a pull of a private image needs from this node: the
kubelet's flags and configuration, the providers' programs and settings, the cloud's
metadata service and the node's identity, proxy, clock, cache, the permission to request
service account tokens, what the kubelet counts and logs, and what ends soon.

Every check is made, whatever the others find. Each result has a code that stays the
same, what was seen, and a fix to paste; docs/doctor.md has a row for each code. Plugins
of this suite ask their clouds past the cache, so that what is reported is how it is now.
Nothing secret is printed: the output can go into an issue.

Run it as root: the kubelet's environment and files are root's. The exit code is 0 if
all is well, 1 for warnings and 2 for errors, whatever the output.`,
		Example: `  regcred doctor                             everything
  regcred doctor binaries identity           these checks alone; --list has their names
  regcred doctor --skip RC1204,journal       all but these
  regcred doctor --image ghcr.io/team/app    whether this image's credential can be had, too
  regcred doctor -o short                    only what is wrong
  regcred doctor --bundle doctor.tgz         a file for an issue: report, redacted
                                             configuration, flags, records, metrics`,
		ValidArgsFunction: completeChecks,
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.runDoctor(cmd.Context(), f, names)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "text", "`form`: text, short (only what is wrong) or json")
	flags.BoolVar(&f.list, "list", false, "list the checks and their findings, and make none")
	flags.StringSliceVar(&f.skip, "skip", nil, "`names` or codes of checks and findings to leave out")
	flags.StringSliceVar(&f.images, "image", nil, "`images` whose credential to try; without it, those that the kubelet has pulled")
	flags.StringSliceVar(&f.hostsDirs, "hosts-dir", nil, "`directory` of containerd's registry configuration (hosts.toml); those that are usual")
	flags.DurationVar(&f.before, "before", doctor.DefaultBefore, "tell of what ends within this `duration`")
	flags.StringVar(&f.failOn, "fail-on", "warning", "least `level` that is no success: warning, error or never")
	flags.StringVar(&f.bundle, "bundle", "", "also write a `file` (tar, gzip) for an issue, with the report and what it was made from; nothing secret is in it")
	f.node.add(flags)
	return cmd
}

func completeChecks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names := make([]string, 0, 20)
	for _, check := range doctor.Catalogue()[1:] {
		names = append(names, check.Name+"\t"+check.About)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) runDoctor(ctx context.Context, f doctorFlags, names []string) error {
	switch f.output {
	case "text", "short", "json":
	default:
		return usageError(fmt.Errorf("--output=%s: want text, short or json", f.output))
	}
	switch f.failOn {
	case "warning", "error", "never":
	default:
		return usageError(fmt.Errorf("--fail-on=%s: want warning, error or never", f.failOn))
	}
	if err := doctor.Names(append(append([]string{}, names...), f.skip...)...); err != nil {
		return usageError(err)
	}
	for _, image := range f.images {
		if _, err := kubelet.ImageName(image); err != nil {
			return usageError(err)
		}
	}
	if f.before <= 0 {
		return usageError(fmt.Errorf("--before=%s: want a duration such as 24h", f.before))
	}
	if f.list && f.output == "json" {
		return usageError(errors.New("--list is for people: not with -o json"))
	}
	if f.list {
		a.listChecks()
		return nil
	}
	n, err := f.node.find()
	if err != nil {
		return err
	}
	going := newGoing(a.err)
	proxy, _ := a.pullProxy(ctx, n)
	options := doctor.Options{
		Node: n, Hosts: registry.Hosts{Dirs: hostsDirs(n, &subjectFlags{hostsDirs: f.hostsDirs})}, Proxy: proxy, Images: f.images, Before: f.before, Only: names, Skip: f.skip, Progress: going.tell,
		Cluster: func(ctx context.Context) (*cluster.Client, error) { return a.kubeletsCluster(ctx, n) },
	}
	report := doctor.Examine(ctx, options)
	going.end()
	if f.bundle != "" {
		if err := doctor.Bundle(ctx, options, report, f.bundle); err != nil {
			return err
		}
		a.err.Line("written to " + f.bundle)
	}
	if f.output == "json" {
		_, _ = a.out.Write(report.JSON())
	} else {
		report.Print(a.out, f.output == "short")
	}
	code := report.ExitCode()
	if code > 0 && (f.failOn == "never" || f.failOn == "error" && report.Level != doctor.Error) {
		code = 0
	}
	return exitCode(code)
}

// kubeletsCluster is the API server as the node's kubelet asks it.
func (a *app) kubeletsCluster(ctx context.Context, n *node.Node) (*cluster.Client, error) {
	if n.Kubeconfig == "" {
		return nil, fmt.Errorf("the kubelet has no kubeconfig: give --kubeconfig")
	}
	return a.apiServer(ctx, n)
}

// listChecks prints the catalogue.
func (a *app) listChecks() {
	for _, check := range doctor.Catalogue() {
		a.out.Line(a.out.Styled(term.Bold, check.Name) + "  " + a.out.Styled(term.Faint, check.Code) + "  " + check.About)
		rows := make([][]string, 0, len(check.Findings))
		for _, f := range check.Findings {
			rows = append(rows, []string{"  " + f.Code, f.Name, string(f.Level), f.About})
		}
		a.out.Table(rows)
	}
}

// going says on a terminal, in one line, what goes on.
type going struct {
	mu    sync.Mutex
	out   *term.Printer
	width int
}

func newGoing(out *term.Printer) *going { return &going{out: out} }

func (g *going) tell(running []string) {
	if !g.out.IsTerminal() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	text := lookingAt(running)
	_, _ = fmt.Fprintf(g.out, "\r%-*s\r%s", g.width, "", text)
	g.width = len(text)
}

// lookingAt is a line about what is looked at. What a pod calls its image is
// anybody's, and the terminal's only once it was made one line.
func lookingAt(running []string) string {
	if len(running) == 0 {
		return ""
	}
	text := redact.Line("looking at " + strings.Join(running, ", ") + " ...")
	if len(text) > 78 {
		text = strings.ToValidUTF8(text[:74], "") + " ..."
	}
	return text
}

// end takes the line away.
func (g *going) end() { g.tell(nil) }
