// Package image makes container images of the binaries, for all architectures
// under one name, and pushes them. It needs neither Docker nor root, and makes the
// same images every time.
package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"regcred/deploy/release/packages"
	"regcred/deploy/release/tree"
)

// Release is what images say of themselves.
type Release struct {
	Version  string // as the binaries have it
	Revision string // the commit, if it is known
	Homepage string // URL, if there is one
	Time     time.Time
}

// Platform is the binaries of one architecture of Linux, by their directory and
// names.
type Platform struct {
	Arch  string
	Dir   string
	Names []string
	// Licences are the texts that accompany the binaries.
	Licences []tree.File
}

// user is nobody in particular: the image only carries files. Who installs them
// on a node runs it as root, and says so.
const user = "65532:65532"

// Plain makes the image that carries the binaries, at the places that they have
// on a machine where the package is installed, with the certificate authorities
// that they need where nothing is mounted over them. There is nothing else in it,
// no shell above all.
func Plain(stage tree.Stage, release Release, platforms []Platform) (v1.ImageIndex, error) {
	trusted, err := stage.Write("/etc/ssl/certs/ca-certificates.crt", authorities())
	if err != nil {
		return nil, err
	}
	common, err := layer([]tree.File{trusted}, release.Time)
	if err != nil {
		return nil, err
	}
	return release.index("regcred", "Image credential provider plugins for the kubelet, and the tool regcred", platforms, func(p Platform) (v1.Image, error) {
		files := tree.Programs(p.Dir, p.Names)
		for _, licence := range p.Licences {
			licence.Path = path.Join("/usr/share/doc/regcred", licence.Path)
			files = append(files, licence)
		}
		own, err := layer(files, release.Time)
		if err != nil {
			return nil, err
		}
		config := v1.Config{User: user, WorkingDir: "/", Env: []string{"PATH=" + tree.ToolDir + ":" + tree.PluginDir}}
		if slices.Contains(p.Names, tree.Tool) {
			config.Entrypoint = []string{path.Join(tree.ToolDir, tree.Tool)}
		}
		return release.image(p.Arch, config, map[string]v1.Layer{"certificate authorities": common, "binaries": own}, "certificate authorities", "binaries")
	})
}

// talosDir is where Talos' kubelet looks for plugins. Only a system extension puts
// them there.
const talosDir = "/rootfs/usr/local/lib/kubelet/credentialproviders"

// Talos makes a system extension of Talos, which has the plugins alone.
func Talos(stage tree.Stage, release Release, platforms []Platform) (v1.ImageIndex, error) {
	manifest, err := stage.Write("/manifest.yaml", fmt.Appendf(nil, `version: v1alpha1
metadata:
  name: regcred
  version: %q
  author: The regcred authors
  description: |
    Image credential provider plugins for the kubelet: Amazon ECR, Google Artifact
    Registry, Azure Container Registry, Oracle's and IBM's registry.
  compatibility:
    talos:
      version: ">= v1.6.0"
`, release.Version))
	if err != nil {
		return nil, err
	}
	// Talos runs on no other architectures.
	platforms = slices.DeleteFunc(slices.Clone(platforms), func(p Platform) bool { return p.Arch != "amd64" && p.Arch != "arm64" })
	return release.index("regcred-talos", "The plugins of regcred as a system extension of Talos", platforms, func(p Platform) (v1.Image, error) {
		files := []tree.File{manifest}
		for _, name := range p.Names {
			if tree.IsPlugin(name) {
				files = append(files, tree.File{Path: path.Join(talosDir, name), Mode: 0o755, Source: filepath.Join(p.Dir, name)})
			}
		}
		for _, licence := range p.Licences {
			licence.Path = path.Join("/rootfs/usr/local/share/doc/regcred", licence.Path)
			files = append(files, licence)
		}
		own, err := layer(files, release.Time)
		if err != nil {
			return nil, err
		}
		return release.image(p.Arch, v1.Config{}, map[string]v1.Layer{"extension": own}, "extension")
	})
}

// index makes an image for each platform, and an index over them.
func (r Release) index(title, description string, platforms []Platform, compose func(Platform) (v1.Image, error)) (v1.ImageIndex, error) {
	about := r.annotations(title, description)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		image, err := compose(p)
		if err != nil {
			return nil, fmt.Errorf("image %s for %s: %w", title, p.Arch, err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		config = config.DeepCopy()
		config.Config.Labels = about
		if image, err = mutate.ConfigFile(image, config); err != nil {
			return nil, err
		}
		image = mutate.Annotations(image, about).(v1.Image)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.Arch}},
		})
	}
	return mutate.Annotations(index, about).(v1.ImageIndex), nil
}

// annotations say what an image is, by the names that OCI has for it.
func (r Release) annotations(title, description string) map[string]string {
	about := map[string]string{
		"title":         title,
		"description":   description,
		"version":       r.Version,
		"revision":      r.Revision,
		"url":           r.Homepage,
		"source":        r.Homepage,
		"documentation": r.Homepage,
		"licenses":      "Apache-2.0",
		"created":       r.Time.Format(time.RFC3339),
	}
	maps.DeleteFunc(about, func(_, value string) bool { return value == "" })
	named := map[string]string{}
	for name, value := range about {
		named["org.opencontainers.image."+name] = value
	}
	return named
}

// image is an image of layers, in order, each of which was made by what it is
// called.
func (r Release) image(arch string, config v1.Config, layers map[string]v1.Layer, order ...string) (v1.Image, error) {
	base := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	created := v1.Time{Time: r.Time}
	image, err := mutate.ConfigFile(base, &v1.ConfigFile{
		OS: "linux", Architecture: arch, Created: created, Config: config,
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	for _, name := range order {
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   layers[name],
			History: v1.History{Created: created, CreatedBy: "make image: " + name},
		})
		if err != nil {
			return nil, err
		}
	}
	return image, nil
}

// layer is files in the order of their places, and the directories that they are
// in.
func layer(files []tree.File, at time.Time) (v1.Layer, error) {
	complete := map[string]tree.File{}
	for _, file := range files {
		complete[file.Path] = file
		for directory := path.Dir(file.Path); directory != "/"; directory = path.Dir(directory) {
			complete[directory] = tree.File{Path: directory, Mode: fs.ModeDir | 0o755}
		}
	}
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	for _, place := range slices.Sorted(maps.Keys(complete)) {
		if err := packages.WriteTarEntry(archive, complete[place], strings.TrimPrefix(place, "/"), at); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
