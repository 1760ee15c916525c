package dockerconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
	"regcred/shared/file"
)

// document is a docker configuration and where it was read.
type document struct {
	path   string
	config *dockerconfig.Config
}

// read reads a file of either form. Errors begin with its name, and repeat
// nothing that it says.
func read(path string) (document, error) {
	text, err := file.Read(path)
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", path, err)
	}
	return parse(path, text)
}

// parse reads what a file says. One that is empty has nothing to say, as for
// docker.
func parse(path string, text []byte) (document, error) {
	if strings.TrimSpace(string(text)) == "" {
		return document{path, &dockerconfig.Config{}}, nil
	}
	config, err := dockerconfig.Parse(text)
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", path, err)
	}
	return document{path, config}, nil
}

// readDefaults reads what is in the usual places. What is there and cannot be
// used stands in nobody's way: it is a problem of those images that nothing else
// has a credential for.
func (p *provider) readDefaults(rootDir string, getenv func(string) string) {
	for _, path := range defaultFiles(rootDir, getenv) {
		if slices.ContainsFunc(p.documents, func(d document) bool { return d.path == path }) {
			continue
		}
		switch d, err := read(path); {
		case err == nil:
			p.documents = append(p.documents, d)
		case !isAbsent(err):
			p.problems = append(p.problems, unreadable(path, err))
		}
	}
}

// isAbsent reports whether there is no such file, or no directory in which it
// could be.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotDirectory(err)
}

// defaultFiles are the usual places, each once: the eight of the kubelet in its
// order, which looks for the newer form everywhere before the older; and then
// those of docker and podman that the kubelet does not know.
//
// The kubelet's own working directory and environment are those of its plugins.
// Where it has no $HOME, as is usual for a service, it takes the working
// directory for that.
func defaultFiles(rootDir string, getenv func(string) string) []string {
	const config, cfg, auth = "config.json", ".dockercfg", "containers/auth.json"
	home := getenv("HOME")
	places := []string{
		filepath.Join(rootDir, config),
		config,
		filepath.Join(home, ".docker", config),
		filepath.Join("/", ".docker", config),
		filepath.Join(rootDir, cfg),
		cfg,
		filepath.Join(home, cfg),
		filepath.Join("/", cfg),
	}
	if dir := getenv("DOCKER_CONFIG"); filepath.IsAbs(dir) {
		places = append(places, filepath.Join(dir, config))
	}
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		places = append(places, filepath.Join(dir, auth))
	}
	places = append(places, filepath.Join("/run/containers", strconv.Itoa(os.Geteuid()), "auth.json"))
	switch dir := getenv("XDG_CONFIG_HOME"); {
	case filepath.IsAbs(dir):
		places = append(places, filepath.Join(dir, auth))
	case home != "":
		places = append(places, filepath.Join(home, ".config", auth))
	}
	places = append(places, filepath.Join("/etc", auth))

	var paths []string
	for _, place := range places {
		// A working directory that is gone has no files.
		if path, err := filepath.Abs(place); err == nil && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// unreadable is the failure of a file that cannot be used.
func unreadable(path string, err error) *credential.Failure {
	return &credential.Failure{
		Problem:   "a docker configuration cannot be used: " + err.Error(),
		Advice:    "correct or remove " + path,
		Evidence:  stageFile,
		Err:       err,
		Permanent: true,
	}
}
