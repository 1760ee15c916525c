package main

import (
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"regcred/deploy/release/image"
	"regcred/deploy/release/licences"
	"regcred/deploy/release/packages"
	"regcred/deploy/release/tree"
)

// layouts are the images, by the names of their directories in dist.
var layouts = map[string]struct {
	archive string // the name of the file that has all of it
	make    func(tree.Stage, image.Release, []image.Platform) (v1.ImageIndex, error)
}{
	"image": {"regcred", image.Plain},
	"talos": {"regcred-talos", image.Talos},
}

// makeImages makes the images alone.
func (r release) makeImages() error {
	platforms, err := r.platforms()
	if err != nil {
		return err
	}
	return staged(func(stage tree.Stage) error {
		var binaries []string
		for _, p := range platforms {
			binaries = append(binaries, p.binaries()...)
		}
		modules, err := licences.Read(r.repository, binaries)
		if err != nil {
			return err
		}
		return r.layOut(stage, platforms, modules)
	})
}

// layOut writes the images' layouts.
func (r release) layOut(stage tree.Stage, platforms []platform, modules []licences.Module) error {
	var carried []image.Platform
	for _, p := range platforms {
		if p.os != "linux" || p.name != standard.name {
			continue
		}
		texts, err := r.texts(stage, p, modules)
		if err != nil {
			return err
		}
		carried = append(carried, image.Platform{Arch: p.arch, Dir: p.dir, Names: p.names, Licences: texts})
	}
	about := image.Release{Version: r.label.Text, Revision: r.revision, Homepage: r.homepage, Time: r.time}
	for directory, each := range layouts {
		index, err := each.make(stage, about, carried)
		if err != nil {
			return err
		}
		if err := image.WriteLayout(filepath.Join(r.dist, directory), r.label.Text, index); err != nil {
			return err
		}
	}
	return nil
}

// archiveImages makes one file of each layout, as skopeo, podman and containerd
// take them.
func (r release) archiveImages() ([]string, error) {
	var made []string
	for directory, each := range layouts {
		name, err := packages.WriteLayout(filepath.Join(r.dist, directory), r.dist, fmt.Sprintf("%s_%s_oci.tar", each.archive, r.label.Plain()), r.time)
		if err != nil {
			return nil, err
		}
		made = append(made, name)
	}
	return made, nil
}

// staged has something done with a place for files.
func staged(do func(tree.Stage) error) error {
	directory, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	return do(tree.Stage{Dir: directory})
}
