// Package tree says what a release puts where on a Linux machine.
package tree

import (
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Where things are, in packages and in images.
const (
	// PluginDir is the kubelet's --image-credential-provider-bin-dir, named after
	// the directory that the kubelet's volume plugins have. Nothing but plugins is
	// in it, and a package may write there, which it may not to /usr/local.
	PluginDir = "/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec"
	// ToolDir is on everybody's PATH.
	ToolDir = "/usr/bin"
	// ConfigDir is the operator's.
	ConfigDir = "/etc/regcred"
)

// Tool is the tool's name, and Helper the one by which docker and its relatives
// know it.
const (
	Tool   = "regcred"
	Helper = "docker-credential-regcred"
)

const pluginSuffix = "-credential-provider"

// File is a file, a directory or a symbolic link.
type File struct {
	Path   string      // absolute, with slashes
	Mode   fs.FileMode // permissions and, of a directory, fs.ModeDir
	Source string      // where a file's content is on this machine
	Target string      // what a symbolic link leads to
	Config bool        // the operator may change it, and keeps what was changed
	Only   string      // the kind of package that has it, "deb" or "rpm"; empty: every one
}

// IsPlugin reports whether a binary is one that the kubelet runs.
func IsPlugin(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(name, ".exe"), pluginSuffix)
}

// Binaries lists the binaries in a directory.
func Binaries(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			return nil, fmt.Errorf("%s: not a binary", filepath.Join(directory, entry.Name()))
		}
		names = append(names, entry.Name())
	}
	if !slices.ContainsFunc(names, IsPlugin) {
		return nil, fmt.Errorf("%s: no plugins", directory)
	}
	return names, nil
}

// Programs is binaries of a directory where they belong, and the tool under its
// second name.
func Programs(directory string, names []string) []File {
	var files []File
	for _, name := range names {
		place := ToolDir
		if IsPlugin(name) {
			place = PluginDir
		}
		files = append(files, File{Path: path.Join(place, name), Mode: 0o755, Source: filepath.Join(directory, name)})
		if name == Tool {
			files = append(files, File{Path: path.Join(place, Helper), Target: Tool})
		}
	}
	return files
}

// Stage makes files whose content is not in the repository, in a directory.
type Stage struct {
	Dir string
}

// Write adds a file with a content.
func (s Stage) Write(place string, content []byte) (File, error) {
	source := filepath.Join(s.Dir, filepath.FromSlash(place))
	if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
		return File{}, err
	}
	return File{Path: place, Mode: 0o644, Source: source}, os.WriteFile(source, content, 0o644)
}

// Compress adds a file with a content, compressed, as Debian's policy has
// manuals and long texts. The place has no .gz yet.
func (s Stage) Compress(place string, content []byte) (File, error) {
	var compressed strings.Builder
	writer, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return File{}, err
	}
	// No name and no time, so that the same content is the same file.
	if _, err := writer.Write(content); err != nil {
		return File{}, err
	}
	if err := writer.Close(); err != nil {
		return File{}, err
	}
	return s.Write(place+".gz", []byte(compressed.String()))
}
