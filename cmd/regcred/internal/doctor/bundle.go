package doctor

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/term"
	"regcred/shared/kubelet"
	"regcred/shared/version"
)

// Bundle writes a report with what it was made from to a file that only its
// owner can read: a tar archive, compressed by gzip. Nothing in it is secret.
// The file must not be there yet.
func Bundle(ctx context.Context, o Options, report Report, path string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			_ = os.Remove(path)
			err = fmt.Errorf("write the bundle: %w", err)
		}
	}()
	o.System = o.System.orThis()
	return writeBundle(ctx, o, report, file)
}

func writeBundle(ctx context.Context, o Options, report Report, w io.Writer) error {
	s := newSubject(ctx, o)
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	var text bytes.Buffer
	report.Print(term.New(&text, func(string) string { return "" }), false)
	add := func(name string, data []byte) error {
		header := &tar.Header{Name: "regcred-doctor/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: report.Time, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(data)
		return err
	}
	files := []bundled{
		{"report.json", report.JSON()},
		{"report.txt", text.Bytes()},
		{"versions.txt", s.versions()},
		{"kubelet.json", s.kubeletFile()},
		{"pulls.json", s.pullsFile()},
		{"metrics.txt", s.metricsFile()},
	}
	for _, file := range append(files, s.configurationFiles()...) {
		if err := add(file.name, file.data); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

// bundled is a file of a bundle.
type bundled struct {
	name string
	data []byte
}

// versions tells of every program that plays a part.
func (s *subject) versions() []byte {
	lines := []string{fmt.Sprintf("regcred %s (%s, %s/%s)", version.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)}
	if text, err := s.version(); err == nil {
		lines = append(lines, "kubelet "+text)
	} else {
		lines = append(lines, "kubelet: "+err.Error())
	}
	for _, name := range []string{"/etc/os-release", "/proc/sys/kernel/osrelease"} {
		text, err := s.Node.Read(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "PRETTY_NAME=") || !strings.Contains(line, "=") {
				lines = append(lines, filepath.Base(name)+": "+line)
			}
		}
	}
	for _, p := range s.plugins() {
		if p.release != nil {
			lines = append(lines, fmt.Sprintf("%s: %s %s (%s, %s)", p.Name, p.release.Name, p.release.Version, p.release.GoVersion, p.release.Platform))
		} else {
			lines = append(lines, p.Name+": "+notAsked(p))
		}
	}
	return cleanLines(lines)
}

// kubeletFile tells what the kubelet was started with, as far as images are
// concerned. Of its environment there are the names.
func (s *subject) kubeletFile() []byte {
	n := s.Node
	variables := make([]string, 0, len(n.Env))
	for _, variable := range n.Env {
		name, _, _ := strings.Cut(variable, "=")
		variables = append(variables, clean(name))
	}
	slices.Sort(variables)
	configuration, _ := json.Marshal(n.Configuration) // It was decoded from text.
	var fields any
	_ = json.Unmarshal(configuration, &fields)
	process := ""
	if n.Process != nil {
		process = clean(n.Process.String())
	}
	return encode(map[string]any{
		"process":                       process,
		"imageCredentialProviderConfig": clean(n.ProviderConfig),
		"imageCredentialProviderBinDir": clean(n.BinDir),
		"kubeconfig":                    clean(n.Kubeconfig),
		"rootDir":                       clean(n.RootDir),
		"kubeletConfig":                 clean(n.KubeletConfig),
		"kubeletConfigDir":              clean(n.KubeletConfigDir),
		"workDir":                       clean(n.WorkDir),
		"node":                          clean(n.Name),
		"notes":                         cleanAll(n.Notes),
		"environment":                   variables,
		"configuration":                 cleanTree(fields),
	})
}

// pullsFile tells which images the kubelet has records of, and with which
// credentials pods may use them.
func (s *subject) pullsFile() []byte {
	listing := s.records()
	pulled := map[string]string{}
	for _, record := range listing.Records {
		for name, access := range record.Names {
			pulled[clean(name)] = clean(access.String())
		}
	}
	unknown := make([]string, 0, len(listing.Unknown))
	for _, file := range listing.Unknown {
		unknown = append(unknown, clean(file.File+": "+file.Reason))
	}
	return encode(map[string]any{
		"verificationPolicy": clean(s.Node.Configuration.Verification),
		"pulling":            cleanAll(listing.Pulling),
		"pulled":             pulled,
		"unknown":            unknown,
	})
}

// metricsFile has the lines of the kubelet's metrics about its providers.
func (s *subject) metricsFile() []byte {
	if s.Node.Process == nil {
		return []byte("no kubelet runs here\n")
	}
	m, from, err := s.metrics()
	if err != nil {
		return cleanLines([]string{err.Error()})
	}
	return cleanLines(append([]string{"# from " + from}, m.lines...))
}

// configurationFiles are the files of the providers' configuration, written
// again without the values of variables, of which any may be a secret. A file
// that cannot be decoded is left out: what is secret in it cannot be told.
func (s *subject) configurationFiles() []bundled {
	config := s.config()
	if config == nil {
		return nil
	}
	var files []bundled
	for i, file := range config.Files {
		name := fmt.Sprintf("configuration/%d-%s.yaml", i, safeName(filepath.Base(file.Path)))
		var providers []kubeletconfig.CredentialProvider
		for _, p := range config.Providers {
			if p.File == file.Path {
				providers = append(providers, withoutValues(p.CredentialProvider))
			}
		}
		text, err := kubelet.Encode(providers)
		if err != nil || file.APIVersion == "" {
			text = []byte("left out: it cannot be decoded, see report.txt\n")
		}
		header := fmt.Sprintf("# %s, %d bytes, %s, as it was decoded\n", clean(s.shown(file.Path)), file.Size, clean(file.APIVersion))
		files = append(files, bundled{name, append([]byte(header), text...)})
	}
	return files
}

func withoutValues(p kubeletconfig.CredentialProvider) kubeletconfig.CredentialProvider {
	p = *p.DeepCopy()
	for i := range p.Env {
		p.Env[i] = kubeletconfig.ExecEnvVar{Name: clean(p.Env[i].Name), Value: "[redacted]"}
	}
	p.Args, p.MatchImages = cleanAll(p.Args), cleanAll(p.MatchImages)
	return p
}

// safeName is a file's name that means nothing to an archive.
func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '/' && r != '\\' {
			return r
		}
		return '_'
	}, name)
}

// cleanLines is text of lines, each fit to print.
func cleanLines(lines []string) []byte {
	var b strings.Builder
	for _, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		b.WriteString(indent + clean(line[len(indent):]) + "\n")
	}
	return []byte(b.String())
}

func cleanAll(texts []string) []string {
	cleaned := make([]string, 0, len(texts))
	for _, text := range texts {
		cleaned = append(cleaned, clean(text))
	}
	return cleaned
}

// cleanTree makes every text of a document fit to print.
func cleanTree(value any) any {
	switch value := value.(type) {
	case string:
		return clean(value)
	case []any:
		for i := range value {
			value[i] = cleanTree(value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = cleanTree(value[name])
		}
	}
	return value
}

func encode(value any) []byte {
	text, _ := term.JSON(value) // texts and numbers always encode
	return text
}
