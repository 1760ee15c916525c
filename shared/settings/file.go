package settings

import (
	"errors"
	"fmt"

	"sigs.k8s.io/json"

	"regcred/shared/file"
)

// APIVersion is the version of the configuration files.
const APIVersion = "regcred/v1"

// Foreign are settings that the file of the tool that the plugin stands in for
// can set too. Such a file has neither apiVersion nor kind.
type Foreign interface {
	DecodeForeign(json []byte) error
}

// DecodeFile reads a YAML or JSON configuration file over the defaults that
// settings hold. Whatever is not understood is an error that names the field:
// a setting that is silently dropped is found at the next incident.
func DecodeFile(path, kind string, settings any) error {
	if err := decode(path, kind, settings); err != nil {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	return nil
}

func decode(path, kind string, settings any) error {
	text, err := file.Read(path)
	if err != nil {
		return err
	}
	data, err := ToJSON(text)
	if err != nil {
		return err
	}
	var header struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(data, &header); err != nil {
		return errors.New("not a YAML or JSON object")
	}
	if foreign, ok := settings.(Foreign); ok && header.APIVersion == "" && header.Kind == "" {
		return foreign.DecodeForeign(data)
	}
	if header.APIVersion != APIVersion || header.Kind != kind {
		return fmt.Errorf("apiVersion %.80q and kind %.80q; want %q and %q", header.APIVersion, header.Kind, APIVersion, kind)
	}
	strict, err := json.UnmarshalStrict(data, settings)
	strict = append(strict, err)
	for i, problem := range strict {
		strict[i] = FieldError(problem)
	}
	return errors.Join(strict...)
}
