// Package packages makes deb and rpm packages, and archives for machines that
// have neither.
package packages

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // as a format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // as a format

	"regcred/deploy/release/tree"
)

// Formats are the kinds of packages.
const (
	Deb = "deb"
	RPM = "rpm"
)

//go:embed scripts
var scripts embed.FS

// Package is what a package says of itself.
type Package struct {
	Name       string
	Conflicts  string // a package that has the same files
	Arch       string // as Go names it
	Version    string
	Time       time.Time
	Maintainer string
	Homepage   string
	Files      []tree.File
}

const (
	summary     = "Image credential provider plugins for the kubelet"
	description = `The kubelet runs these plugins to get credentials for private images: from
Amazon ECR, Google Artifact Registry, Azure Container Registry, and the
registries of Oracle and IBM. The tool regcred shows, checks and installs them.

The installation starts and configures nothing. Two of the kubelet's flags tell
it of the plugins; the documentation says how.`
)

// Write makes a package of a format in a directory, and returns its name.
func (p Package) Write(format, directory string) (string, error) {
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	hooks, err := os.MkdirTemp("", "scripts")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(hooks)
	if err := os.CopyFS(hooks, scripts); err != nil {
		return "", err
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name:          p.Name,
		Arch:          p.Arch,
		Platform:      "linux",
		Version:       p.Version,
		VersionSchema: "none",
		Release:       map[string]string{RPM: "1"}[format], // a deb without one is no distribution's
		Section:       "admin",
		Priority:      "optional",
		Maintainer:    p.Maintainer,
		Description:   summary + "\n" + description,
		Homepage:      p.Homepage,
		License:       "Apache-2.0",
		MTime:         p.Time,
		// The names of files are meant as they are.
		DisableGlobbing: true,
		Overridables: nfpm.Overridables{
			Contents: contents(p.Files, format),
			Scripts: nfpm.Scripts{
				PreRemove:  filepath.Join(hooks, "scripts", "before-removal.sh"),
				PostRemove: filepath.Join(hooks, "scripts", "after-removal.sh"),
			},
			RPM: nfpm.RPM{BuildHost: "localhost", Summary: summary, Group: "System Environment/Base"},
		},
	})
	if format == RPM {
		info.Description = description // it has the summary apart
	}
	if p.Conflicts != "" {
		info.Conflicts = []string{p.Conflicts}
		if format == Deb {
			// With which one package takes the other's place in one step.
			info.Replaces = []string{p.Conflicts}
		}
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return "", fmt.Errorf("%s of %s: %w", format, p.Arch, err)
	}
	name := packager.ConventionalFileName(info)
	return name, create(filepath.Join(directory, name), func(w io.Writer) error { return packager.Package(info, w) })
}

func contents(list []tree.File, format string) files.Contents {
	var made files.Contents
	for _, file := range list {
		if file.Only != "" && file.Only != format {
			continue
		}
		content := &files.Content{
			Source:      file.Source,
			Destination: file.Path,
			FileInfo:    &files.ContentFileInfo{Mode: file.Mode.Perm()},
		}
		switch {
		case format == RPM && strings.HasPrefix(file.Path, "/usr/share/doc/") && path.Base(file.Path) == "LICENSE":
			content.Type = files.TypeRPMLicense
		case format == RPM && strings.HasPrefix(file.Path, "/usr/share/doc/"):
			content.Type = files.TypeRPMDoc
		case file.Target != "":
			content.Type, content.Source = files.TypeSymlink, file.Target
		case file.Mode.IsDir():
			content.Type = files.TypeDir
		case file.Config:
			content.Type = files.TypeConfigNoReplace
		}
		made = append(made, content)
	}
	if format != RPM {
		return made
	}
	for _, directory := range directories(made) {
		made = append(made, &files.Content{Type: files.TypeDir, Destination: directory, FileInfo: &files.ContentFileInfo{Mode: 0o755}})
	}
	return made
}

// shared are directories that every system has. Any other one that a file needs
// belongs to the package: rpm leaves behind what belongs to none.
var shared = []string{
	"/", "/etc", "/usr", "/usr/bin", "/usr/libexec", "/usr/share", "/usr/share/doc",
	"/usr/share/man", "/usr/share/man/man1", "/usr/share/man/man8",
}

// directories are those that contents need, in order, and that are not among
// them.
func directories(contents files.Contents) []string {
	var found []string
	for _, content := range contents {
		for directory := path.Dir(content.Destination); !slices.Contains(shared, directory); directory = path.Dir(directory) {
			found = append(found, directory)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return slices.DeleteFunc(found, func(directory string) bool {
		return slices.ContainsFunc(contents, func(content *files.Content) bool { return content.Destination == directory })
	})
}

// create makes a file, and leaves none that is not whole.
func create(path string, write func(io.Writer) error) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path) // the error is the one that made it useless
		}
	}()
	if err := write(file); err != nil {
		_ = file.Close()
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return file.Close()
}
