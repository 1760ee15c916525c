package acr

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"regcred/shared/file"
	"regcred/shared/image"
	"regcred/shared/settings"
)

// environmentVariable names the file that describes a cloud which is no known
// one, as for all of Microsoft's tools.
const environmentVariable = "AZURE_ENVIRONMENT_FILEPATH"

// notAvailable is what Microsoft's tools write for what a cloud does not have.
const notAvailable = "N/A"

// readEnvironment returns the cloud that a file describes.
func readEnvironment(path string) (cloud, error) {
	text, err := file.Read(path)
	if err != nil {
		return cloud{}, err
	}
	return parseEnvironment(text)
}

// parseEnvironment reads where registries and Entra are. The audiences in the
// file are of other services.
func parseEnvironment(text []byte) (cloud, error) {
	var fields struct {
		ActiveDirectoryEndpoint    string `json:"activeDirectoryEndpoint"`
		ContainerRegistryDNSSuffix string `json:"containerRegistryDNSSuffix"`
	}
	data, err := settings.ToJSON(text)
	if err != nil || json.Unmarshal(data, &fields) != nil {
		return cloud{}, errors.New("not the JSON of an environment")
	}
	c := cloud{name: stackCloud}
	if suffix := fields.ContainerRegistryDNSSuffix; suffix != "" && suffix != notAvailable {
		if c.registries, err = parseSuffix(suffix); err != nil {
			return cloud{}, fmt.Errorf("containerRegistryDNSSuffix: %w", err)
		}
	}
	if fields.ActiveDirectoryEndpoint != "" {
		if c.authority, err = parseAuthority(fields.ActiveDirectoryEndpoint); err != nil {
			return cloud{}, fmt.Errorf("activeDirectoryEndpoint: %w", err)
		}
	}
	return c, nil
}

// parseAuthority reads the URL of an Entra: a host over TLS and nothing else.
// That of Active Directory Federation Services, which ends in /adfs, is asked
// in other ways.
func parseAuthority(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("not an https URL of a host alone: %.80q", text)
	}
	r, err := image.ParseRegistry(u.Host)
	if err != nil {
		return "", fmt.Errorf("not an https URL of a host alone: %.80q", text)
	}
	return r.Canonical(), nil
}
