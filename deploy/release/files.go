package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regcred/deploy/release/licences"
	"regcred/deploy/release/packages"
	"regcred/deploy/release/sbom"
	"regcred/deploy/release/tree"
)

// makeAll makes packages, archives, SBOMs, images and, of everything, checksums.
func (r release) makeAll() error {
	platforms, err := r.platforms()
	if err != nil {
		return err
	}
	return staged(func(stage tree.Stage) error {
		parts, err := r.collect(stage, platforms)
		if err != nil {
			return err
		}
		var made []string
		for _, p := range platforms {
			names, err := r.pack(p, parts)
			if err != nil {
				return err
			}
			lists, err := r.list(p, parts.modules)
			if err != nil {
				return err
			}
			made = append(made, append(names, lists...)...)
		}
		if err := r.layOut(stage, platforms, parts.modules); err != nil {
			return err
		}
		images, err := r.archiveImages()
		if err != nil {
			return err
		}
		chart, err := r.packChart(stage)
		if err != nil {
			return err
		}
		return r.writeChecksums(append(append(made, images...), chart))
	})
}

// pack makes the packages and the archive of a platform.
func (r release) pack(p platform, parts parts) ([]string, error) {
	files, err := parts.archived(p)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s_%s_%s_%s", p.name, r.label.Plain(), p.os, p.arch)
	archive := packages.Archive{
		Name:  name,
		Top:   name,
		Time:  r.time,
		Files: files,
	}
	if p.os == "windows" {
		name, err := archive.WriteZip(r.dist)
		return []string{name}, err
	}
	if name, err = archive.WriteTar(r.dist, ".tar.gz"); err != nil {
		return nil, err
	}
	made := []string{name}

	installed, err := parts.installed(p)
	if err != nil {
		return nil, err
	}
	pkg := packages.Package{
		Name:       p.name,
		Conflicts:  fips.name,
		Arch:       p.arch,
		Version:    r.label.Package,
		Time:       r.time,
		Maintainer: r.maintainer,
		Homepage:   r.homepage,
		Files:      installed,
	}
	if p.name == fips.name {
		pkg.Conflicts = standard.name
	}
	for _, format := range []string{packages.Deb, packages.RPM} {
		name, err := pkg.Write(format, r.dist)
		if err != nil {
			return nil, err
		}
		made = append(made, name)
	}
	return made, nil
}

// list makes an SBOM of every binary of a platform.
func (r release) list(p platform, modules []licences.Module) ([]string, error) {
	known := map[string][]string{}
	for _, module := range modules {
		known[module.Path] = module.Licences
	}
	if err := os.MkdirAll(filepath.Join(r.dist, "sbom"), 0o755); err != nil {
		return nil, err
	}
	var made []string
	for _, name := range p.names {
		content, err := sbom.Of(filepath.Join(p.dir, name), r.label.Text, r.time, known)
		if err != nil {
			return nil, err
		}
		suffix := ""
		if p.name == fips.name {
			suffix = "_fips"
		}
		file := fmt.Sprintf("sbom/%s_%s_%s_%s%s.cdx.json", strings.TrimSuffix(name, ".exe"), r.label.Plain(), p.os, p.arch, suffix)
		if err := os.WriteFile(filepath.Join(r.dist, file), content, 0o644); err != nil {
			return nil, err
		}
		made = append(made, file)
	}
	return made, nil
}

// writeChecksums makes the one file that has to be signed.
func (r release) writeChecksums(names []string) error {
	if len(names) == 0 {
		return errors.New("checksums: nothing was made")
	}
	slices.Sort(names)
	var sums strings.Builder
	for _, name := range names {
		hash, err := hashOf(filepath.Join(r.dist, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", hash, name)
	}
	return os.WriteFile(filepath.Join(r.dist, "checksums.txt"), []byte(sums.String()), 0o644)
}

func hashOf(file string) ([]byte, error) {
	content, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return nil, err
	}
	return hash.Sum(nil), nil
}
