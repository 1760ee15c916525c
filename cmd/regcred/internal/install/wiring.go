package install

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"regcred/cmd/regcred/internal/tree"
)

// Wiring is how the kubelet is told where its providers are.
type Wiring struct {
	BinDir, Config string

	// Source says where that was learned, for people.
	Source string

	// Told means that the kubelet is told, or needs not be.
	Told bool

	// Advice is how a person tells it, where Told is false.
	Advice string
}

// Running is what is known of the kubelet's process.
type Running struct {
	PID            int
	BinDir, Config string
}

// maxText bounds files of settings.
const maxText = 4 << 20

// findWiring finds out what the kubelet is told, or is going to be: given on
// the command line, by the kubelet that runs, by files that start it, or by
// the platform.
func findWiring(t *tree.Tree, platform Platform, binDir, config string, running *Running) (Wiring, error) {
	found, err := toldWiring(t, platform, running)
	if err != nil {
		return Wiring{}, err
	}
	if found.Config == "" {
		found = Wiring{BinDir: platform.BinDir, Config: platform.Config, Source: platform.Title, Told: platform.Given}
	}
	given := Wiring{BinDir: binDir, Config: config, Source: "the command line", Told: found.Told}
	if binDir != "" && path.Clean(binDir) != path.Clean(found.BinDir) || config != "" && path.Clean(config) != path.Clean(found.Config) {
		// The kubelet looks elsewhere, or nowhere yet.
		given.Told = false
		if found.Told {
			given.Source += ", although " + found.Source + " has others"
		}
	}
	if given.BinDir == "" {
		given.BinDir = found.BinDir
	}
	if given.Config == "" {
		given.Config = found.Config
	}
	if binDir == "" && config == "" {
		given = found
	}
	for _, name := range []string{given.BinDir, given.Config} {
		if !path.IsAbs(name) || strings.ContainsAny(name, " \t\r\n\"'\\$%") {
			return Wiring{}, fmt.Errorf("path %q: want an absolute one without blanks and quotes", name)
		}
	}
	given.BinDir, given.Config = path.Clean(given.BinDir), path.Clean(given.Config)
	return given, nil
}

// toldWiring is what the kubelet is told already. Config is empty if it is
// told nothing.
func toldWiring(t *tree.Tree, platform Platform, running *Running) (Wiring, error) {
	if running != nil && (running.BinDir != "" || running.Config != "") {
		found := Wiring{BinDir: running.BinDir, Config: running.Config, Source: fmt.Sprintf("the kubelet that runs (process %d)", running.PID), Told: true}
		return found, found.complete()
	}
	for _, name := range flagFiles(t, platform) {
		text, err := t.Read(name, maxText)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return Wiring{}, err
		}
		found := Wiring{BinDir: flagIn(text, binDirFlag), Config: flagIn(text, ConfigFlag), Source: name, Told: true}
		if found.BinDir != "" || found.Config != "" {
			return found, found.complete()
		}
	}
	return Wiring{}, nil
}

// complete refuses one flag without the other: a kubelet does not start with
// that.
func (w Wiring) complete() error {
	if w.BinDir == "" || w.Config == "" {
		return fmt.Errorf("%s has one of %s and %s without the other, and a kubelet does not start with that: give it both", w.Source, ConfigFlag, binDirFlag)
	}
	return nil
}

// flagFiles are those in which the kubelet's flags may be.
func flagFiles(t *tree.Tree, platform Platform) []string {
	names := []string{"/etc/default/kubelet", "/etc/sysconfig/kubelet", "/var/lib/kubelet/kubeadm-flags.env", "/etc/rancher/k3s/config.yaml", "/etc/rancher/rke2/config.yaml"}
	if platform.Arguments != "" {
		names = append(names, platform.Arguments)
	}
	units := platform.Units
	if units == nil {
		units = []string{kubeletUnit}
	}
	for _, unit := range units {
		names = append(names, unitFiles(t, unit)...)
	}
	return names
}

// flagIn returns the value of a flag in a text, or "": as an argument, or as
// the field of the same name in the configuration of k3s. What is commented
// out does not count.
func flagIn(text []byte, flag string) string {
	value := ""
	pattern := regexp.MustCompile(`(?:^|[\s"'=,\[])(?:--)?` + regexp.QuoteMeta(strings.TrimPrefix(flag, "--")) + `(?:=|\s+|\s*:\s*)["']?([^\s"'\\,\]]+)`)
	for line := range strings.Lines(string(text)) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
			continue
		}
		if match := pattern.FindAllStringSubmatch(line, -1); match != nil {
			value = match[len(match)-1][1]
		}
	}
	return value
}

const (
	kubeletUnit = "kubelet.service"
	extraArgs   = "KUBELET_EXTRA_ARGS"
	dropInName  = "90-regcred.conf"
)

// unitDirs are where systemd looks for units, the most important first.
func unitDirs() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// unitFiles are the files of a unit in the order in which systemd reads them.
func unitFiles(t *tree.Tree, unit string) []string {
	var files []string
	for _, dir := range unitDirs() {
		if name := path.Join(dir, unit); t.IsFile(name) {
			files = append(files, name)
			break
		}
	}
	dropIns := map[string]string{}
	for _, dir := range unitDirs() {
		names, err := t.Names(path.Join(dir, unit+".d"))
		if err != nil {
			continue
		}
		for _, name := range names {
			if _, ok := dropIns[name]; !ok && strings.HasSuffix(name, ".conf") {
				dropIns[name] = path.Join(dir, unit+".d", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(dropIns)) {
		files = append(files, dropIns[name])
	}
	return files
}

// service is what a unit says of the kubelet's start.
type service struct {
	exec        string
	environment []string // NAME=VALUE
	files       []string // of such lines
}

// readUnit reads a unit with its drop-ins. Nil means that there is none.
func readUnit(t *tree.Tree, unit string) (*service, error) {
	files := unitFiles(t, unit)
	if len(files) == 0 || !strings.HasSuffix(files[0], "/"+unit) {
		return nil, nil
	}
	var s service
	for _, name := range files {
		text, err := t.Read(name, maxText)
		if err != nil {
			return nil, err
		}
		s.read(string(text))
	}
	return &s, nil
}

func (s *service) read(text string) {
	text = strings.NewReplacer("\r\n", "\n", "\\\n", " ").Replace(text)
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
			continue
		case line[0] == '[':
			section = line
			continue
		case section != "[Service]":
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "ExecStart":
			s.exec = value
		case "Environment":
			s.environment = extend(s.environment, value)
		case "EnvironmentFile":
			s.files = extend(s.files, strings.TrimPrefix(value, "-"))
		}
	}
}

// extend adds a value to a list; an empty one clears it.
func extend(list []string, value string) []string {
	if value == "" {
		return nil
	}
	return append(list, value)
}

// flagChange is how the kubelet can be given flags: a file with its text as it
// is, and as it is to be.
type flagChange struct {
	Path     string
	Old, New []byte // Old is nil if there is no file
	Edit     Edit
}

// giveFlags finds a safe way to give the kubelet flags. Nil means that there
// is none: what starts it is not understood well enough, or somebody else's.
func giveFlags(t *tree.Tree, platform Platform, flags []string) (*flagChange, error) {
	if platform.Arguments != "" && t.IsFile(platform.Arguments) {
		return addLines(t, platform.Arguments, flags)
	}
	// Those in between write the kubelet's start themselves.
	if !slices.Contains([]string{"kubeadm", "generic", "capz", "image-builder"}, platform.Name) {
		return nil, nil
	}
	s, err := readUnit(t, kubeletUnit)
	if err != nil || s == nil {
		return nil, err
	}
	// In braces it would be one argument.
	if !slices.Contains(strings.Fields(s.exec), "$"+extraArgs) {
		return nil, nil
	}
	// A file's assignment wins over the unit's, whatever their order.
	for _, name := range slices.Backward(s.files) {
		text, err := t.Read(name, maxText)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		if change, found := addToVariable(name, text, flags); found {
			return change, nil
		}
	}
	if slices.ContainsFunc(s.environment, func(v string) bool { return strings.Contains(v, extraArgs) }) {
		return nil, nil // ours would take its place
	}
	text := header + "[Service]\nEnvironment=\"" + extraArgs + "=" + strings.Join(flags, " ") + "\"\n"
	return &flagChange{Path: path.Join(unitDirs()[0], kubeletUnit+".d", dropInName), New: []byte(text)}, nil
}

// addLines adds lines to the end of a file.
func addLines(t *tree.Tree, name string, lines []string) (*flagChange, error) {
	text, err := t.Read(name, maxText)
	if err != nil {
		return nil, err
	}
	piece := strings.Join(lines, "\n") + "\n"
	if len(text) > 0 && text[len(text)-1] != '\n' {
		piece = "\n" + piece
	}
	return &flagChange{Path: name, Old: text, New: append(slices.Clone(text), piece...), Edit: Edit{New: piece}}, nil
}

// assignment is a line that sets the variable.
var assignment = regexp.MustCompile(`(?m)^[ \t]*` + extraArgs + `=(.*)$`)

// addToVariable adds flags to the variable's value in a file of assignments.
// It reports false if the file does not assign it. The change is nil if how it
// does so is beyond us.
func addToVariable(name string, text []byte, flags []string) (*flagChange, bool) {
	matches := assignment.FindAllSubmatchIndex(text, -1)
	if len(matches) == 0 {
		return nil, false
	}
	last := matches[len(matches)-1]
	line, value := string(text[last[0]:last[1]]), strings.TrimSpace(string(text[last[2]:last[3]]))
	inner, quote := value, `"`
	if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		inner, quote = value[1:len(value)-1], value[:1]
	}
	if strings.ContainsAny(inner, "\"'\\`") || len(matches) > 1 && strings.Count(string(text), line) > 1 {
		return nil, true
	}
	fresh := line[:strings.Index(line, "=")+1] + quote + strings.TrimSpace(inner+" "+strings.Join(flags, " ")) + quote
	if strings.HasSuffix(line, "\r") {
		fresh += "\r"
	}
	edit := Edit{Old: line, New: fresh}
	result := slices.Concat(text[:last[0]], []byte(fresh), text[last[1]:])
	if undone, ok := edit.undo(result); !ok || string(undone) != string(text) {
		edit = Edit{}
	}
	return &flagChange{Path: name, Old: text, New: result, Edit: edit}, true
}
