package kubelet

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/shared/file"
)

const (
	// maxConfig bounds a file. The kubelet has no bound; a file of a thousand
	// providers has 1 MiB.
	maxConfig = 16 << 20

	// maxFiles bounds the files of a directory.
	maxFiles = 1000
)

// Config is a CredentialProviderConfig as far as it could be read.
type Config struct {
	// Path is the file or directory.
	Path string

	// Files are those that were read, in the kubelet's order.
	Files []File

	// Providers are those of all files that could be decoded, in the kubelet's
	// order.
	Providers []Provider

	// Hash is what the kubelet publishes with the metric
	// kubelet_credential_provider_config_info: "sha256:" and the digest of all
	// files. Empty means that a file could not be read.
	Hash string

	// Problems are all that is wrong with it. The kubelet reports the first
	// alone, and nothing that is not of level Error.
	Problems Problems
}

// File is a file of a configuration.
type File struct {
	Path string

	// APIVersion is the version of the configuration, such as
	// kubelet.config.k8s.io/v1. Empty means that the file could not be decoded.
	APIVersion string

	// Size is in bytes.
	Size int
}

// Provider is a provider as the kubelet's own type has it, in its newest
// version, and where it is written.
type Provider struct {
	kubeletconfig.CredentialProvider

	// File is where it is, and Index its place there, from 0.
	File  string
	Index int
}

// field is the path of a field of the provider.
func (p *Provider) field(format string, args ...any) string {
	path := fmt.Sprintf("providers[%d]", p.Index)
	if format == "" {
		return path
	}
	return path + "." + fmt.Sprintf(format, args...)
}

// Provider returns the provider of a name, or nil.
func (c *Config) Provider(name string) *Provider {
	for i := range c.Providers {
		if c.Providers[i].Name == name {
			return &c.Providers[i]
		}
	}
	return nil
}

// Load reads what --image-credential-provider-config names: a file, or a
// directory whose files .json, .yaml and .yml are read in the order of their
// names.
//
// The error is not nil if the kubelet would not start with it, and then is an
// *InvalidError. The Config is there in either case, with all that could be
// read and all Problems.
func Load(path string) (*Config, error) {
	c := &Config{Path: path}
	paths, problems := configFiles(path)
	c.Problems = problems
	hash, complete := sha256.New(), len(paths) > 0
	for _, name := range paths {
		text, err := readConfig(name)
		if err != nil {
			complete = false
			c.Problems = append(c.Problems, unreadable(name, err))
			continue
		}
		// Writing to a hash does not fail.
		_ = binary.Write(hash, binary.BigEndian, uint64(len(text)))
		_, _ = hash.Write(text)
		c.add(name, text)
	}
	if complete {
		c.Hash = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	}
	c.validate()
	c.Problems = c.Problems.bounded(maxProblems)
	return c, c.Problems.Err()
}

// Parse is Load for the text of a single file. The name is for Problems.
func Parse(name string, text []byte) (*Config, error) {
	c := &Config{Path: name}
	hash := sha256.New()
	_ = binary.Write(hash, binary.BigEndian, uint64(len(text)))
	_, _ = hash.Write(text)
	c.Hash = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	c.add(name, text)
	c.validate()
	c.Problems = c.Problems.bounded(maxProblems)
	return c, c.Problems.Err()
}

// add decodes a file.
func (c *Config) add(name string, text []byte) {
	decoded, version, problems := decodeConfig(text)
	for _, problem := range problems {
		problem.File = name
		c.Problems = append(c.Problems, problem)
	}
	c.Files = append(c.Files, File{Path: name, APIVersion: version, Size: len(text)})
	for i, provider := range decoded {
		c.Providers = append(c.Providers, Provider{CredentialProvider: provider, File: name, Index: i})
	}
}

// configFiles returns the files that the kubelet reads, in its order.
func configFiles(path string) ([]string, Problems) {
	if path == "" {
		return nil, Problems{problemf(Error, "config-missing", "",
			"give the kubelet --image-credential-provider-config as well", "no path of a configuration")}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, Problems{unreadable(path, err)}
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, Problems{unreadable(path, err)}
	}
	var paths []string
	for _, entry := range entries {
		if !entry.IsDir() && slices.Contains(extensions, filepath.Ext(entry.Name())) {
			paths = append(paths, filepath.Join(path, entry.Name()))
		}
	}
	problems := ignored(path, entries)
	slices.Sort(paths)
	switch {
	case len(paths) == 0:
		empty := problemf(Error, "config-directory-empty", "",
			"put a file there, or start the kubelet without the flag", "no file .json, .yaml or .yml in the directory")
		empty.File = path
		problems = append(problems, empty)
	case len(paths) > maxFiles:
		many := problemf(Error, "config-unreadable", "", "", "more than %d files", maxFiles)
		many.File = path
		return nil, append(problems, many)
	}
	return paths, problems
}

// extensions are those of files that count in a directory. Their case does too.
var extensions = []string{".json", ".yaml", ".yml"}

// readConfig reads a file whoever wrote it: whether that was somebody who may
// is another question than what the kubelet does with it.
func readConfig(path string) ([]byte, error) { return file.ReadAny(path, maxConfig) }

func unreadable(path string, err error) Problem {
	code, fix := "config-unreadable", ""
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code, fix = "config-not-found", "write it, or correct the path, which is --image-credential-provider-config of a kubelet; a link counts as what it points to"
	case errors.Is(err, fs.ErrPermission):
		fix = "the kubelet runs as root; run this as root too"
	}
	problem := problemf(Error, code, "", fix, "read the configuration: %v", err)
	problem.File = path
	return problem
}
