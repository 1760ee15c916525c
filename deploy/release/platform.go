package main

import (
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"regcred/deploy/release/tree"
)

// edition is a way in which the binaries are built.
type edition struct {
	name   string // of its packages
	dir    string // of its platforms, in dist
	module string // the FIPS 140-3 module that it uses
}

var (
	standard = edition{name: "regcred", dir: ".", module: "off"}
	fips     = edition{name: "regcred-fips", dir: "fips", module: "v1.0.0"}
)

// platform is the binaries of one edition for one kind of machine.
type platform struct {
	edition
	os, arch string
	dir      string
	names    []string // of the binaries in it
}

// platforms are those of all editions for which there are binaries, in order.
func (r release) platforms() ([]platform, error) {
	var found []platform
	for _, edition := range []edition{standard, fips} {
		for _, system := range []string{"linux", "windows"} {
			directories, err := filepath.Glob(filepath.Join(r.dist, edition.dir, system, "*"))
			if err != nil {
				return nil, err
			}
			for _, directory := range directories {
				p := platform{edition: edition, os: system, arch: filepath.Base(directory), dir: directory}
				if p.names, err = tree.Binaries(directory); err != nil {
					return nil, err
				}
				if err := p.check(); err != nil {
					return nil, err
				}
				found = append(found, p)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no binaries; run make release", r.dist)
	}
	return found, nil
}

// binaries are the paths of the binaries.
func (p platform) binaries() []string {
	var paths []string
	for _, name := range p.names {
		paths = append(paths, filepath.Join(p.dir, name))
	}
	return paths
}

// check makes sure that the binaries are what their place says.
func (p platform) check() error {
	for _, binary := range p.binaries() {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return err
		}
		got := map[string]string{"GOFIPS140": "off"}
		for _, setting := range info.Settings {
			got[setting.Key] = setting.Value
		}
		for key, want := range map[string]string{"GOOS": p.os, "GOARCH": p.arch, "CGO_ENABLED": "0", "GOFIPS140": p.module} {
			// Behind the module's version there is its hash.
			if value, _, _ := strings.Cut(got[key], "-"); value != want {
				return fmt.Errorf("%s: built with %s=%s, want %s", binary, key, got[key], want)
			}
		}
	}
	return nil
}

// checkVersion makes sure that the binaries that can be asked here are of the
// release's version.
func (r release) checkVersion() error {
	platforms, err := r.platforms()
	if err != nil {
		return err
	}
	for _, p := range platforms {
		if p.os != runtime.GOOS || p.arch != runtime.GOARCH {
			continue
		}
		for _, binary := range p.binaries() {
			output, err := exec.Command(binary, "--version").Output()
			if err != nil {
				return fmt.Errorf("%s --version: %w", binary, err)
			}
			if words := strings.Fields(string(output)); len(words) < 2 || words[1] != r.label.Text {
				return fmt.Errorf("%s says that it is %q, want version %s", binary, strings.TrimSpace(string(output)), r.label.Text)
			}
		}
	}
	return nil
}
