package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

func (a *app) execCommand() *cobra.Command {
	var f subjectFlags
	cmd := &cobra.Command{
		Use:     "exec [flags] IMAGE -- COMMAND [ARG...]",
		GroupID: groupAsk,
		Short:   "Run a command with an image's credential in its environment",
		Long: `exec runs a command that needs a login for an image, and hands it over in the ways
that clients read one: never in a command line, and in no file that stays.

  CRICTL_CREDS         crictl
  DOCKER_AUTH_CONFIG   docker from version 29
  DOCKER_CONFIG        docker, nerdctl, crane, oras, cosign, helm: a directory
  REGISTRY_AUTH_FILE   podman, skopeo, buildah: a file

The files are in memory, for this user alone, and are removed when the command ends,
also by a signal; signals are passed on. It is the first credential that the kubelet
would try; with --pull, the first one that the registry takes. An image that needs
none has none handed over, and a login that the variables had before is removed.

The exit code is the command's, or 128 and the signal that ended it; 1 where there is
no credential because a provider failed, 126 and 127 where the command cannot be run.`,
		Example: `  regcred exec 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1 -- \
      crictl pull 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1
  regcred exec --pull us.gcr.io/team/app -- crane manifest us.gcr.io/team/app
  regcred exec team.azurecr.io/app -- skopeo inspect docker://team.azurecr.io/app`,
		Args: usage(func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash != 1 || len(args) < 2 {
				return errors.New("want IMAGE -- COMMAND [ARG...]")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runExec(cmd.Context(), &f, args[0], args[1:])
		},
	}
	flags := cmd.Flags()
	f.add(flags)
	return cmd
}

func (a *app) runExec(ctx context.Context, f *subjectFlags, image string, command []string) error {
	got, err := a.ask(ctx, f, []string{image})
	if err != nil {
		return err
	}
	chosen := got.chosen(0)
	if report := got.report(false); !report.OK() && chosen == nil {
		return errors.New(report.Images[0].Message)
	}
	env := without(a.environ, "CRICTL_CREDS", "CRICTL_AUTH", "DOCKER_AUTH_CONFIG", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE")
	if chosen == nil {
		a.err.Line("regcred: " + redact.Line(image) + " has no credential: the command runs without")
		return a.pass(command, env)
	}
	config, _ := got.dockerConfig()
	credential.NewSecret(base64.StdEncoding.EncodeToString([]byte(chosen.Username + ":" + chosen.Password.Reveal())))
	dir, err := privateDir(a.getenv)
	if err != nil {
		return err
	}
	defer dir.remove()
	path, err := dir.write("config.json", config)
	if err != nil {
		return err
	}
	env = append(env,
		"DOCKER_AUTH_CONFIG="+strings.TrimSpace(string(config)),
		"DOCKER_CONFIG="+filepath.Dir(path),
		"REGISTRY_AUTH_FILE="+path,
	)
	if chosen.Username != "" { // which crictl does not take
		env = append(env, "CRICTL_CREDS="+chosen.Username+":"+chosen.Password.Reveal())
	}
	return a.pass(command, env)
}

// without is an environment without some variables.
func without(environ []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(names, name)
	})
}

// pass runs a command, with what this process has been started with, and passes
// signals on to it. The error is its exit code.
func (a *app) pass(command, env []string) error {
	// The context ends with a signal, which is the command's to handle.
	child := exec.Command(command[0], command[1:]...) //nolint:noctx
	child.Stdin, child.Stdout, child.Stderr, child.Env = os.Stdin, os.Stdout, os.Stderr, env
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn()...)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		a.err.Line("regcred: " + redact.Line(startError(command[0], err), credential.Known()...))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return exitCode(127)
		}
		return exitCode(126)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case s := <-signals:
			if !a.terminalSends(s) {
				_ = child.Process.Signal(s) // It may have ended.
			}
		case err := <-ended:
			return result(child.ProcessState, err)
		}
	}
}

// result is what a command's end means for this process.
func result(state *os.ProcessState, err error) error {
	if state == nil {
		return err
	}
	if code, ok := signalCode(state); ok {
		return exitCode(code)
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return err
	}
	return exitCode(state.ExitCode())
}

func startError(name string, err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	} else if lookup, ok := errors.AsType[*exec.Error](err); ok {
		err = lookup.Err
	}
	return fmt.Sprintf("run %s: %s", name, err)
}
