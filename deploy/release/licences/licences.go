// Package licences collects what the licences of the modules in a binary want
// to accompany it.
package licences

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// Module is a module that is part of a binary.
type Module struct {
	Path, Version string
	Licences      []string // as SPDX names them, each once
	texts         []string
}

// names are files that say who may do what with a module. LICENSE.docs is about
// its documentation.
var names = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|notice|copyright|patents|authors)([-._].*)?$`)

// free are the licences under which a binary may be passed on by anybody with
// nothing but their texts.
var free = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "UPL-1.0", "Unlicense", "CC0-1.0"}

// Read finds the licences of the modules in binaries, and of Go itself. They are
// read from the module cache of the repository, into which missing ones are
// downloaded. A module without a licence, or with one that nobody has thought
// about yet, is an error.
func Read(repository string, binaries []string) ([]Module, error) {
	wanted, err := in(binaries)
	if err != nil {
		return nil, err
	}
	root, err := command(repository, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var modules []Module
	var names []string
	for _, name := range wanted {
		version, isStandard := strings.CutPrefix(name, standard)
		if !isStandard {
			names = append(names, name)
			continue
		}
		library := Module{Path: strings.TrimSuffix(standard, "@"), Version: version}
		if err := library.read(strings.TrimSpace(string(root)), false); err != nil {
			return nil, err
		}
		modules = append(modules, library)
	}
	directories, err := download(repository, names)
	if err != nil {
		return nil, err
	}
	for _, found := range directories {
		module := Module{Path: found.Path, Version: found.Version}
		if err := module.read(found.Dir, true); err != nil {
			return nil, err
		}
		modules = append(modules, module)
	}
	return modules, nil
}

// standard begins the name of the standard library.
const standard = "std@"

// in is the modules in binaries, and the standard library, each as PATH@VERSION.
func in(binaries []string) ([]string, error) {
	var names []string
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return nil, err
		}
		names = append(names, standard+info.GoVersion)
		for _, module := range info.Deps {
			if module.Replace != nil {
				return nil, fmt.Errorf("%s: %s is replaced", binary, module.Path)
			}
			names = append(names, module.Path+"@"+module.Version)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

type directory struct{ Path, Version, Dir, Error string }

// download is where the modules' files are.
func download(repository string, modules []string) ([]directory, error) {
	output, err := command(repository, "go", append([]string{"mod", "download", "-json"}, modules...)...)
	if err != nil {
		return nil, err
	}
	var found []directory
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var next directory
		if err := decoder.Decode(&next); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if next.Error != "" {
			return nil, errors.New(next.Error)
		}
		found = append(found, next)
	}
	if len(found) != len(modules) {
		return nil, fmt.Errorf("download modules: got %d of %d", len(found), len(modules))
	}
	return found, nil
}

func command(directory, name string, arguments ...string) ([]byte, error) {
	run := exec.Command(name, arguments...)
	run.Dir = directory
	run.Stderr = os.Stderr
	output, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, arguments[0], err)
	}
	return output, nil
}

// read collects the texts in a module's directory: those of code that was copied
// into it too, if deep.
func (m *Module) read(directory string, deep bool) error {
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if path != directory && (!deep || slices.Contains([]string{"testdata", "vendor", "test", "tests"}, entry.Name())) {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular() || !names.MatchString(entry.Name()) || slices.Contains([]string{".go", ".docs"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return m.add(filepath.Base(path), string(text))
	})
	if err != nil {
		return fmt.Errorf("licences of %s: %w", m.Path, err)
	}
	if len(m.Licences) == 0 {
		return fmt.Errorf("licences of %s: none found", m.Path)
	}
	slices.Sort(m.Licences)
	return nil
}

// add adds a text, unless it is there already.
func (m *Module) add(name, text string) error {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if slices.Contains(m.texts, text) {
		return nil
	}
	m.texts = append(m.texts, text)
	for _, match := range licensecheck.Scan([]byte(text)).Match {
		if match.IsURL || slices.Contains(m.Licences, match.ID) || match.ID == "GooglePatentClause" || match.ID == "GooglePatentsFile" {
			continue
		}
		if !slices.Contains(free, match.ID) {
			return fmt.Errorf("%s has %s, which is not among those that were looked at", name, match.ID)
		}
		m.Licences = append(m.Licences, match.ID)
	}
	return nil
}

// Texts is the texts of those modules that are in binaries, each once, under the
// names of the modules that have it.
func Texts(modules []Module, binaries []string) ([]byte, error) {
	wanted, err := in(binaries)
	if err != nil {
		return nil, err
	}
	var order []string
	of := map[string][]string{}
	for _, module := range modules {
		if !slices.Contains(wanted, module.Path+"@"+module.Version) {
			continue
		}
		for _, text := range module.texts {
			if of[text] == nil {
				order = append(order, text)
			}
			of[text] = append(of[text], module.Path+" "+module.Version)
		}
	}
	var all bytes.Buffer
	all.WriteString("The binaries of regcred contain the modules that are named here, under these licences.\n")
	for _, text := range order {
		fmt.Fprintf(&all, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 78), strings.Join(of[text], "\n"), text)
	}
	return all.Bytes(), nil
}
