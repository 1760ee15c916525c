package main

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"regcred/deploy/release/licences"
	"regcred/deploy/release/manual"
	"regcred/deploy/release/packages"
	"regcred/deploy/release/tree"
)

// parts are what goes with the binaries, which is the same for every platform.
type parts struct {
	stage       tree.Stage
	release     release
	config      tree.File   // the kubelet's, to begin with
	documents   []tree.File // pages and samples, by paths that lead from one to another
	pages       []tree.File // for man, where man looks
	completions []manual.Completion
	modules     []licences.Module
}

// collect finds the parts, and makes those that are made of the binaries.
func (r release) collect(stage tree.Stage, platforms []platform) (parts, error) {
	made := parts{
		stage:   stage,
		release: r,
		config:  tree.File{Path: "credential-providers.yaml", Mode: 0o644, Source: filepath.Join(r.repository, "deploy", "credential-providers.yaml")},
	}
	var binaries []string
	for _, p := range platforms {
		binaries = append(binaries, p.binaries()...)
	}
	var err error
	if made.modules, err = licences.Read(r.repository, binaries); err != nil {
		return parts{}, err
	}
	if made.documents, err = r.documents(); err != nil {
		return parts{}, err
	}
	book := manual.Book{Dir: filepath.Join(r.dist, runtime.GOOS, runtime.GOARCH), Version: r.label.Text, Date: r.time}
	if made.pages, err = book.Pages(stage); err != nil {
		return parts{}, err
	}
	made.completions, err = book.Completions()
	return made, err
}

// documents are the pages with what they link to, as far apart from one another
// as in the repository, and the sample configurations.
func (r release) documents() ([]tree.File, error) {
	var files []tree.File
	for _, pattern := range []string{
		"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md",
		"deploy/chart/README.md", "deploy/chart/values*", "deploy/manifests/*",
	} {
		pages, err := filepath.Glob(filepath.Join(r.repository, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		for _, page := range pages {
			files = append(files, tree.File{Path: path.Join(path.Dir(pattern), filepath.Base(page)), Mode: 0o644, Source: page})
		}
	}
	samples, err := filepath.Glob(filepath.Join(r.repository, "plugins", "*", "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, sample := range samples {
		name := filepath.Base(filepath.Dir(sample)) + "-" + filepath.Base(sample)
		files = append(files, tree.File{Path: "examples/" + name, Mode: 0o644, Source: sample})
	}
	return files, nil
}

// shellPlaces is where shells look for completions. That of zsh is another one in
// Debian than it is elsewhere.
var shellPlaces = map[string][]struct{ path, only string }{
	"bash": {{"/usr/share/bash-completion/completions/regcred", ""}},
	"fish": {{"/usr/share/fish/vendor_completions.d/regcred.fish", ""}},
	"zsh": {
		{"/usr/share/zsh/vendor-completions/_regcred", packages.Deb},
		{"/usr/share/zsh/site-functions/_regcred", packages.RPM},
	},
}

// installed is a package of a platform.
func (p parts) installed(on platform) ([]tree.File, error) {
	files := tree.Programs(on.dir, on.names)
	config := p.config
	config.Path, config.Config = path.Join(tree.ConfigDir, config.Path), true
	files = append(files, tree.File{Path: tree.ConfigDir, Mode: fs.ModeDir | 0o755}, config)
	files = append(files, p.pages...)
	for _, completion := range p.completions {
		for _, place := range shellPlaces[completion.Shell] {
			file, err := p.stage.Write(place.path, completion.Text)
			if err != nil {
				return nil, err
			}
			file.Only = place.only
			files = append(files, file)
		}
	}
	documents := path.Join("/usr/share/doc", on.name)
	for _, document := range p.documents {
		document.Path = path.Join(documents, document.Path)
		files = append(files, document)
	}
	legal, err := p.legal(on, documents)
	return append(files, legal...), err
}

// thirdParty is the name of the licences that are not ours.
const thirdParty = "THIRD-PARTY-LICENCES.txt"

// legal is what has to be known of a package, in the way of its distribution.
func (p parts) legal(on platform, documents string) ([]tree.File, error) {
	texts, err := licences.Texts(p.modules, on.binaries())
	if err != nil {
		return nil, err
	}
	notices, err := p.stage.Compress(path.Join(documents, thirdParty), texts)
	if err != nil {
		return nil, err
	}
	licence := p.release.licence()
	licence.Path, licence.Only = path.Join(documents, licence.Path), packages.RPM
	files := []tree.File{notices, licence}
	for place, text := range map[string]string{
		path.Join(documents, "copyright"): "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n" +
			"Upstream-Name: regcred\n\nFiles: *\nCopyright: " + p.release.time.Format("2006") + " The regcred authors\nLicense: Apache-2.0\n" +
			" The text of this license is in /usr/share/common-licenses/Apache-2.0.\n" +
			" .\n The licences of the modules that the binaries contain are in\n " + notices.Path + ".\n",
		// Programs in Go are.
		path.Join("/usr/share/lintian/overrides", on.name): on.name + ": statically-linked-binary\n",
	} {
		file, err := p.stage.Write(place, []byte(text))
		if err != nil {
			return nil, err
		}
		file.Only = packages.Deb
		files = append(files, file)
	}
	changelog, err := p.stage.Compress(path.Join(documents, "changelog"), fmt.Appendf(nil,
		"%s (%s) stable; urgency=medium\n\n  * Version %s.\n\n -- %s  %s\n", on.name, p.release.label.Package,
		p.release.label.Text, p.release.maintainer, p.release.time.Format("Mon, 02 Jan 2006 15:04:05 -0700")))
	changelog.Only = packages.Deb
	return append(files, changelog), err
}

// texts are the licences that accompany a platform's binaries: ours, and those of
// the modules in them.
func (r release) texts(stage tree.Stage, on platform, modules []licences.Module) ([]tree.File, error) {
	texts, err := licences.Texts(modules, on.binaries())
	if err != nil {
		return nil, err
	}
	notices, err := stage.Write(path.Join(on.name, on.os, on.arch, thirdParty), texts)
	notices.Path = thirdParty
	return []tree.File{r.licence(), notices}, err
}

// licence is ours.
func (r release) licence() tree.File {
	return tree.File{Path: "LICENSE", Mode: 0o644, Source: filepath.Join(r.repository, "LICENSE")}
}

// archived is an archive for a platform: bin, docs, examples and completions as
// directories, and man on Linux.
func (p parts) archived(on platform) ([]tree.File, error) {
	files, err := p.release.texts(p.stage, on, p.modules)
	if err != nil {
		return nil, err
	}
	files = append(files, p.config)
	for _, name := range on.names {
		file := tree.File{Path: "bin/" + name, Mode: 0o755, Source: filepath.Join(on.dir, name)}
		files = append(files, file)
		switch name {
		case tree.Tool:
			files = append(files, tree.File{Path: "bin/" + tree.Helper, Target: name})
		case tree.Tool + ".exe":
			// Windows lets only administrators make symbolic links.
			file.Path = "bin/" + tree.Helper + ".exe"
			files = append(files, file)
		}
	}
	files = append(files, p.documents...)
	if on.os == "windows" {
		scripts, err := p.scripts("powershell")
		return append(files, scripts...), err
	}
	for _, page := range p.pages {
		page.Path = strings.TrimPrefix(page.Path, "/usr/share/")
		files = append(files, page)
	}
	scripts, err := p.scripts("bash", "fish", "zsh")
	return append(files, scripts...), err
}

// scripts are completions in a directory that no shell knows, by names that say
// which is whose.
func (p parts) scripts(shells ...string) ([]tree.File, error) {
	names := map[string]string{"bash": "regcred.bash", "fish": "regcred.fish", "powershell": "regcred.ps1", "zsh": "_regcred"}
	var files []tree.File
	for _, completion := range p.completions {
		if !slices.Contains(shells, completion.Shell) {
			continue
		}
		file, err := p.stage.Write("completions/"+names[completion.Shell], completion.Text)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}
