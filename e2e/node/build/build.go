// Package build makes the programs that a node consists of, and keeps them for
// the next run.
//
// Each part's folder here holds a module whose tools are the part's programs
// at one version. They are modules of their own because what they require
// does not agree.
package build

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/mod/modfile"
)

// Programs are where a node's programs are.
type Programs struct {
	Kubelet    string
	APIServer  string
	Etcd       string
	Containerd string
	Runtime    string // folder of containerd-shim-runc-v2
	Registry   string
	Workload   string // the one program that containers run
}

// part is a module whose tools are built together.
type part struct {
	name string   // of its folder
	main string   // the module that its version is the version of
	tags []string // build constraints
}

var (
	kubernetes = part{name: "kubernetes", main: "k8s.io/kubernetes"}
	etcd       = part{name: "etcd", main: "go.etcd.io/etcd/server/v3"}
	// The btrfs snapshotter takes cgo.
	containerd = part{name: "containerd", main: "github.com/containerd/containerd/v2", tags: []string{"no_btrfs"}}
	registry   = part{name: "registry", main: "github.com/distribution/distribution/v3"}
)

// All builds what is missing under cache and returns where everything is.
// source is the folder of the module that this package belongs to. It takes
// minutes and the network the first time, and milliseconds from then on.
func All(source, cache string) (Programs, error) {
	if err := installRunc(); err != nil {
		return Programs{}, err
	}
	folders := map[string]string{}
	for _, part := range []part{containerd, registry, etcd, kubernetes} {
		folder, err := part.build(filepath.Join(source, "build", part.name), cache)
		if err != nil {
			return Programs{}, fmt.Errorf("build %s: %w", part.name, err)
		}
		folders[part.name] = folder
	}
	workload := filepath.Join(cache, "workload")
	if err := goBuild(source, workload, nil, "./workload"); err != nil {
		return Programs{}, fmt.Errorf("build the workload: %w", err)
	}
	return Programs{
		Kubelet:    filepath.Join(folders["kubernetes"], "kubelet"),
		APIServer:  filepath.Join(folders["kubernetes"], "kube-apiserver"),
		Etcd:       filepath.Join(folders["etcd"], "server"), // named as the last part of its package's path
		Containerd: filepath.Join(folders["containerd"], "containerd"),
		Runtime:    folders["containerd"],
		Registry:   filepath.Join(folders["registry"], "registry"),
		Workload:   workload,
	}, nil
}

// build returns the folder with the programs of a part. The folder appears
// when all of them are in it, so that a build that was interrupted is begun
// again.
func (p part) build(module, cache string) (string, error) {
	key, err := p.key(module)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, key)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	fmt.Fprintf(os.Stderr, "e2e/node: building %s, once\n", key)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(cache, "."+p.name+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	if err := goBuild(module, unfinished+"/", p.tags, "tool"); err != nil {
		return "", err
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return folder, nil // of this run, or of one that was faster
}

// key names a build: part, version, and a hash of all that goes into it.
func (p part) key(module string) (string, error) {
	path := filepath.Join(module, "go.mod")
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
func goBuild(module, output string, tags []string, packages string) error {
	arguments := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", output}
	for _, tag := range tags {
		arguments = append(arguments, "-tags", tag)
	}
	command := exec.Command("go", append(arguments, packages)...)
	command.Dir = module
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return command.Run()
}
