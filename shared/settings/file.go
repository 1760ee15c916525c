package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// APIVersion is the version of the configuration files.
const APIVersion = "regcred/v1"

// maxFile bounds a file that an operator wrote.
const maxFile = 1 << 20

// decodeFile reads a YAML or JSON configuration file over the defaults that
// settings hold. Whatever is not understood is an error that names the field:
// a setting that is silently dropped is found at the next incident.
func decodeFile(path, kind string, settings Settings) error {
	if err := decode(path, kind, settings); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	return nil
}

func decode(path, kind string, settings Settings) error {
	text, err := ReadFile(path)
	if err != nil {
		return err
	}
	if hasSecondDocument(text) {
		return errors.New("holds more than one YAML document")
	}
	data, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	var header struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(data, &header); err != nil {
		return errors.New("is not a YAML or JSON object")
	}
	if header.APIVersion != APIVersion || header.Kind != kind {
		return fmt.Errorf("is of apiVersion %q and kind %q; want %q and %q", header.APIVersion, header.Kind, APIVersion, kind)
	}
	strict, err := json.UnmarshalStrict(data, settings)
	return errors.Join(append(strict, err)...)
}

// ReadFile reads a file that an operator wrote and that decides who gets what:
// a regular file of at most 1 MiB that nobody else could have written. Its
// errors say what is wrong with the file, without its name.
func ReadFile(path string) ([]byte, error) {
	// Opening a pipe would wait for its other end.
	if info, err := os.Stat(path); err != nil {
		return nil, errors.Unwrap(err)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if err := trust(info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, errors.New("is larger than 1 MiB")
	}
	return text, nil
}

// hasSecondDocument reports whether a document separator follows content: the
// YAML decoder would stop there without a word.
func hasSecondDocument(text []byte) bool {
	content := false
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, " \t\r\n")
		if content && (bytes.Equal(line, []byte("---")) || bytes.HasPrefix(line, []byte("--- "))) {
			return true
		}
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			content = true
		}
	}
	return false
}
