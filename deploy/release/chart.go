package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"regcred/deploy/release/packages"
	"regcred/deploy/release/tree"
)

// chartFile has a chart's versions.
const chartFile = "Chart.yaml"

// packChart makes what helm package makes of the chart, with the release's
// version.
func (r release) packChart(stage tree.Stage) (string, error) {
	source := filepath.Join(r.repository, "deploy", "chart")
	description, err := os.ReadFile(filepath.Join(source, chartFile))
	if err != nil {
		return "", err
	}
	for field, value := range map[string]string{"version": r.label.Semver(), "appVersion": r.label.Text} {
		line := regexp.MustCompile("(?m)^" + field + ": .*$")
		if len(line.FindAll(description, -1)) != 1 {
			return "", fmt.Errorf("chart: want one %s in %s", field, chartFile)
		}
		description = line.ReplaceAll(description, fmt.Appendf(nil, "%s: %q", field, value))
	}
	named, err := stage.Write("chart/"+chartFile, description)
	if err != nil {
		return "", err
	}
	named.Path = chartFile
	archive := packages.Archive{Name: "regcred-" + r.label.Semver(), Top: "regcred", Time: r.time, Files: []tree.File{named}}
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		place, err := filepath.Rel(source, path)
		if err != nil || place == chartFile || place == ".helmignore" {
			return err
		}
		archive.Files = append(archive.Files, tree.File{Path: filepath.ToSlash(place), Mode: 0o644, Source: path})
		return nil
	})
	if err != nil {
		return "", err
	}
	return archive.WriteTar(r.dist, ".tgz")
}
