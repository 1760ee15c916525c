// Package build makes the programs that a node consists of, and keeps them for
// the next run.
//
// Each part's directory here holds a module whose tools are the part's programs
// at one version. They are modules of their own because what they require
// does not agree.
package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/mod/modfile"
)

// Programs are where a node's programs are.
type Programs struct {
	Kubelet           string
	APIServer         string
	ControllerManager string
	Etcd              string
	Containerd        string
	Runtime           string // directory of containerd-shim-runc-v2
	Registry          string
	Workload          string // the one program that containers run
}

// ErrMissing says that a program has not been built yet, or not at the version
// that is to be used.
var ErrMissing = errors.New("missing")

// part is a module whose tools are built together.
type part struct {
	name string   // of its directory
	main string   // the module that its version is the version of
	tags []string // build constraints
}

// parts is all of them, the one that takes longest at the end.
func parts() []part {
	return []part{
		// The btrfs snapshotter takes cgo.
		{name: "containerd", main: "github.com/containerd/containerd/v2", tags: []string{"no_btrfs"}},
		{name: "registry", main: "github.com/distribution/distribution/v3"},
		{name: "etcd", main: "go.etcd.io/etcd/server/v3"},
		{name: "kubernetes", main: "k8s.io/kubernetes"},
	}
}

// Find returns where everything is that Make has left under cache. The error is
// ErrMissing when something is not there.
func Find(source, cache string) (Programs, error) {
	if _, err := exec.LookPath("runc"); err != nil {
		return Programs{}, fmt.Errorf("runc: %w", ErrMissing)
	}
	directories := map[string]string{}
	for _, part := range parts() {
		key, err := part.key(source)
		if err != nil {
			return Programs{}, err
		}
		directories[part.name] = filepath.Join(cache, key)
	}
	programs := Programs{
		Kubelet:           filepath.Join(directories["kubernetes"], "kubelet"),
		APIServer:         filepath.Join(directories["kubernetes"], "kube-apiserver"),
		ControllerManager: filepath.Join(directories["kubernetes"], "kube-controller-manager"),
		Etcd:              filepath.Join(directories["etcd"], "server"), // named as the last part of its package's path
		Containerd:        filepath.Join(directories["containerd"], "containerd"),
		Runtime:           directories["containerd"],
		Registry:          filepath.Join(directories["registry"], "registry"),
		Workload:          workload(cache),
	}
	for _, path := range []string{
		programs.Kubelet, programs.APIServer, programs.ControllerManager, programs.Etcd, programs.Containerd, programs.Registry, programs.Workload,
	} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return Programs{}, fmt.Errorf("%s: %w", path, ErrMissing)
		} else if err != nil {
			return Programs{}, err
		}
	}
	return programs, nil
}

// Make builds what is missing under cache. Source is the directory of the module
// that this package belongs to. It takes the network and many minutes the first
// time, of which out is told, and seconds from then on. With the context it stops,
// and leaves nothing of the part that it was at.
func Make(ctx context.Context, source, cache string, out io.Writer) error {
	if err := installRunc(); err != nil {
		return err
	}
	missing, err := missing(source, cache)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		fmt.Fprintln(out, "building a node: kubelet, kube-apiserver, kube-controller-manager, containerd, etcd and a registry; some 15 minutes the first time")
	}
	for i, part := range missing {
		begin := time.Now()
		fmt.Fprintf(out, "building %s (%d of %d)\n", part.name, i+1, len(missing))
		if err := part.build(ctx, source, cache); err != nil {
			return fmt.Errorf("build %s: %w", part.name, err)
		}
		fmt.Fprintf(out, "built %s in %s\n", part.name, time.Since(begin).Round(time.Second))
	}
	if err := goBuild(ctx, source, workload(cache), nil, "./workload"); err != nil {
		return fmt.Errorf("build the workload: %w", err)
	}
	return nil
}

// missing is the parts that have to be built.
func missing(source, cache string) ([]part, error) {
	var missing []part
	for _, part := range parts() {
		key, err := part.key(source)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(cache, key)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, part)
		} else if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

func workload(cache string) string { return filepath.Join(cache, "workload") }

// build makes the directory with the programs of a part. It appears when all of
// them are in it, so that a build that was interrupted is begun again.
func (p part) build(ctx context.Context, source, cache string) error {
	key, err := p.key(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(cache, "."+p.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := goBuild(ctx, p.module(source), unfinished+"/", p.tags, "tool"); err != nil {
		return err
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	if err := os.Rename(unfinished, filepath.Join(cache, key)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // of this run, or of one that was faster
}

// module is the directory of the part's module.
func (p part) module(source string) string { return filepath.Join(source, "build", p.name) }

// key names a build: part, version, and a hash of all that goes into it.
func (p part) key(source string) (string, error) {
	path := filepath.Join(p.module(source), "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	file, err := modfile.Parse(path, content, nil)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(file.Require, func(r *modfile.Require) bool { return r.Mod.Path == p.main })
	if at < 0 {
		return "", fmt.Errorf("%s does not require %s", path, p.main)
	}
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), p.tags, len(content))
	hash.Write(content)
	return fmt.Sprintf("%s-%s-%x", p.name, file.Require[at].Mod.Version, hash.Sum(nil)[:4]), nil
}

// goBuild makes static programs: they run in containers that hold nothing
// else, and on a machine without a C compiler.
func goBuild(ctx context.Context, module, output string, tags []string, packages string) error {
	arguments := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", output}
	for _, tag := range tags {
		arguments = append(arguments, "-tags", tag)
	}
	command := exec.CommandContext(ctx, "go", append(arguments, packages)...)
	command.Dir = module
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	// Its compilers end with it.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	return command.Run()
}
