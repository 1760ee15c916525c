package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/install"
	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/tree"
	"regcred/shared/redact"
)

// lock takes the node for this run, and ends one that was stopped. Nothing is
// locked for a dry run.
func (a *app) lock(ctx context.Context, target *target, dryRun bool) (*change.Store, error) {
	if dryRun {
		return nil, nil
	}
	if target.live && os.Geteuid() != 0 {
		return nil, errors.New("only root may change a node: run it as root, or with --dry-run")
	}
	store, err := change.Lock(ctx, target.tree, install.StateDir, func() { a.err.Line("waiting for another run of regcred") })
	if err != nil {
		return nil, err
	}
	stopped, err := store.Recover()
	if err != nil {
		store.Unlock()
		return nil, err
	}
	if stopped != nil {
		what := "finished"
		if stopped.Undone {
			what = "taken back; if the kubelet was restarted since, restart it again"
		}
		a.out.Line(redact.Line(fmt.Sprintf("a run of %s that was stopped at %s was %s", stopped.Verb, stopped.Begun.Format(time.RFC3339), what)))
	}
	return store, nil
}

// target is a node or an image of one.
type target struct {
	dir  string
	tree *tree.Tree

	// live means that the tree is that of the machine that runs.
	live bool
	node *node.Node // nil if it is not live
}

func (a *app) openTarget(f *rootFlags) (*target, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.New("nodes of Windows are not installed by this tool: put the plugins and the configuration there by hand")
	}
	dir, err := filepath.Abs(f.root)
	if err != nil {
		return nil, err
	}
	opened, err := tree.Open(dir)
	if err != nil {
		return nil, err
	}
	t := &target{dir: dir, tree: opened, live: isLive(dir)}
	if !t.live {
		return t, nil
	}
	if t.node, err = node.Find(node.Options{Root: dir, PID: f.pid}); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *target) close() { _ = t.tree.Close() }

// isLive reports whether a directory is the root of the machine that runs:
// this process's, or that of the first one, as in a container of the node's. Where
// the container has processes of its own, the directory's /proc has the node's.
func isLive(dir string) bool {
	if dir == "/" {
		return true
	}
	here, err := os.Stat(dir)
	if err != nil {
		return false
	}
	for _, proc := range []string{"/proc", filepath.Join(dir, "proc")} {
		// An image may have anything in a directory of that name, and what is
		// taken for a kubelet is run.
		if !isProc(proc) {
			continue
		}
		first, err := os.Stat(proc + "/1/root/.")
		if err == nil && os.SameFile(here, first) {
			return true
		}
	}
	return false
}

// running is the kubelet that runs, or nil.
func (t *target) running() *install.Running {
	if t.node == nil || t.node.Process == nil {
		return nil
	}
	return &install.Running{PID: t.node.Process.PID, BinDir: t.node.BinDir, Config: t.node.ProviderConfig}
}

// version is the minor version of the kubelet that runs, or 0, and its feature
// gates.
func (t *target) version(ctx context.Context) (minor int, gates map[string]bool) {
	if t.running() == nil {
		return 0, nil
	}
	text, err := t.node.Version(ctx)
	if err != nil {
		return 0, nil
	}
	parts := strings.Split(strings.TrimPrefix(text, "v"), ".")
	if len(parts) < 2 {
		return 0, nil
	}
	minor, _ = strconv.Atoi(parts[1])
	return minor, t.node.Configuration.FeatureGates
}

// kubelet is what is known of the kubelet that runs, or nil.
func (t *target) kubelet(ctx context.Context) *install.Kubelet {
	running := t.running()
	if running == nil {
		return nil
	}
	k := &install.Kubelet{Running: *running}
	k.Started, _ = install.StartTime(t.tree, running.PID) // zero if it cannot be known
	for _, url := range t.node.Configuration.MetricsURLs() {
		if metrics, err := install.Get(ctx, itself(), url); err == nil {
			k.ConfigHash = install.ConfigHash(metrics)
			break
		}
	}
	return k
}

// itself is a client for this machine's kubelet, past every proxy. It is sent
// nothing, and its certificate is its own.
func itself() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
}

// restartPending reports whether the kubelet does not know of what was installed
// before.
func (t *target) restartPending() bool {
	if !t.live {
		return false
	}
	status, err := install.Examine(t.tree, t.kubelet(context.Background()))
	return err == nil && status.Kubelet.RestartPending
}

// service is the kubelet's, if it is to be restarted.
func (t *target) service(ctx context.Context, f *changeFlags, platform string) (*install.Service, error) {
	if !f.restart || f.dryRun {
		return nil, nil
	}
	if !t.live {
		return nil, usageError(fmt.Errorf("--restart: no kubelet runs in %s", t.dir))
	}
	if f.limit <= 0 {
		return nil, usageError(errors.New("--timeout: want more than 0s"))
	}
	run, err := t.systemctl()
	if err != nil {
		return nil, err
	}
	unit, err := install.FindUnit(ctx, t.tree, platform, t.running(), run)
	if err != nil {
		return nil, err
	}
	healthy := func(ctx context.Context) error {
		_, err := install.Get(ctx, itself(), "http://127.0.0.1:10248/healthz")
		return err
	}
	return &install.Service{Unit: unit, Run: run, Healthy: healthy}, nil
}

// systemctl is that of the tree.
func (t *target) systemctl() (install.Systemctl, error) {
	program := "systemctl"
	if t.dir == "/" {
		found, err := exec.LookPath(program)
		if err != nil {
			return nil, errors.New("--restart: no systemctl here: restart the kubelet by hand")
		}
		program = found
	} else if program = "/usr/bin/systemctl"; !t.tree.IsFile(program) {
		return nil, fmt.Errorf("--restart: no %s in %s: restart the kubelet by hand", program, t.dir)
	}
	return func(ctx context.Context, args ...string) (string, error) {
		command := exec.CommandContext(ctx, program, args...)
		if t.dir != "/" {
			inRoot(command, t.dir)
		}
		command.WaitDelay = time.Second
		var failure strings.Builder
		command.Stderr = &failure
		out, err := command.Output()
		if err != nil {
			err = fmt.Errorf("systemctl %s: %w", strings.Join(args, " "), err)
			if said := redact.Line(strings.TrimSpace(failure.String())); said != "" {
				const most = 500
				err = fmt.Errorf("%w: %.*s", err, most, said)
			}
			return "", err
		}
		return string(out), nil
	}, nil
}
