package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"regcred/cmd/regcred/internal/tree"
	"regcred/shared/kubelet"
)

// view is a tree as it is going to be.
type view struct {
	tree  *tree.Tree
	files map[string]planned
}

// planned is what becomes of a path.
type planned struct {
	state tree.State
	text  []byte // of a configuration
}

// configFiles are the files that the kubelet is going to read for a path, in
// its order.
func (v *view) configFiles(config string) ([]string, error) {
	if !v.tree.IsDir(config) {
		return []string{config}, nil
	}
	dir, err := v.tree.Resolve(config)
	if err != nil {
		return nil, err
	}
	names, err := v.tree.Names(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range names {
		if file := path.Join(dir, name); isConfigName(name) && !v.tree.IsDir(file) && v.files[file].state.Kind != tree.Absent {
			files = append(files, file)
		}
	}
	for file, planned := range v.files {
		if path.Dir(file) == dir && isConfigName(file) && planned.state.Kind == tree.File && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return files, nil
}

// isConfigName reports whether the kubelet reads a file of a directory.
func isConfigName(name string) bool {
	return slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(name))
}

// read reads a file as it is going to be.
func (v *view) read(name string) ([]byte, error) {
	resolved, err := v.tree.Resolve(name)
	if err != nil {
		return nil, err
	}
	if p, ok := v.files[resolved]; ok {
		if p.state.Kind != tree.File {
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return p.text, nil
	}
	return v.tree.Read(name, maxText)
}

// executable reports whether there is going to be a program at a path.
func (v *view) executable(name string) bool { return v.program(name, 0) }

// program is executable after so many links that are still to be made.
func (v *view) program(name string, links int) bool {
	at, err := v.tree.ResolveDir(name)
	if err != nil {
		return false
	}
	if p, ok := v.files[at]; ok && p.state.Kind == tree.Link {
		target := p.state.Target
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(at), target)
		}
		const most = 40
		return links < most && v.program(target, links+1)
	}
	p, ok := v.files[at]
	if !ok {
		if at, err = v.tree.Resolve(name); err != nil {
			return false
		}
		if p, ok = v.files[at]; !ok {
			if p.state, err = v.tree.State(at); err != nil {
				return false
			}
		}
	}
	return p.state.Kind == tree.File && p.state.Mode&0o111 != 0
}

// check returns why the kubelet would not start with a configuration as it is
// going to be. One that is not there is an fs.ErrNotExist.
func (v *view) check(config, binDir string) error {
	files, err := v.configFiles(config)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no file .json, .yaml or .yml: %w", config, fs.ErrNotExist)
	}
	where := map[string]string{}
	for _, name := range files {
		text, err := v.read(name)
		if err != nil {
			return err
		}
		parsed, err := kubelet.Parse(name, text)
		if err != nil && !emptyList(parsed, len(files)) {
			return fmt.Errorf("the kubelet would not start: %w", err)
		}
		for i := range parsed.Providers {
			provider := parsed.Providers[i].Name
			if first, again := where[provider]; again {
				return fmt.Errorf("the kubelet would not start: %s: provider %.80q again, after %s", name, provider, first)
			}
			where[provider] = name
			if !v.executable(path.Join(binDir, provider)) {
				return fmt.Errorf("the kubelet would not start: %s: provider %.80q has no program in %s", name, provider, binDir)
			}
		}
	}
	if len(where) == 0 {
		return fmt.Errorf("the kubelet would not start: %s: no provider", config)
	}
	return nil
}

// emptyList reports whether all that is wrong with a file is that it has no
// provider, which is fine for one among several.
func emptyList(c *kubelet.Config, files int) bool {
	if files < 2 || c == nil || len(c.Providers) > 0 {
		return false
	}
	for _, problem := range c.Problems.At(kubelet.Error) {
		if problem.Code != "providers-missing" {
			return false
		}
	}
	return true
}

// errChanged is for files that somebody else changed.
var errChanged = errors.New("changed since it was installed")

// undoText is a text without what is ours.
func undoText(text []byte, edit Edit) ([]byte, bool) {
	undone, ok := edit.undo(text)
	return bytes.Clone(undone), ok
}
