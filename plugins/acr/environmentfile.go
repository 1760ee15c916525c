package acr

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"

	"sigs.k8s.io/yaml"

	"regcred/shared/image"
	"regcred/shared/settings"
)

// environmentVariable names the file that describes a cloud which is no known
// one, as for all of Microsoft's tools.
const environmentVariable = "AZURE_ENVIRONMENT_FILEPATH"

// readEnvironment returns the cloud that a file describes.
func readEnvironment(file string) (cloud, error) {
	text, err := settings.ReadFile(file)
	if err != nil {
		return cloud{}, err
	}
	return parseEnvironment(text)
}

// parseEnvironment reads where registries and Entra are. The audiences in the
// file are of other services.
func parseEnvironment(text []byte) (cloud, error) {
	var file struct {
		ActiveDirectoryEndpoint    string `json:"activeDirectoryEndpoint"`
		ContainerRegistryDNSSuffix string `json:"containerRegistryDNSSuffix"`
	}
	if yaml.Unmarshal(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), &file) != nil {
		return cloud{}, errors.New("is not the JSON of an environment")
	}
	c := cloud{name: stackCloud}
	var err error
	if file.ContainerRegistryDNSSuffix != "" {
		if c.registries, err = parseSuffix(file.ContainerRegistryDNSSuffix); err != nil {
			return cloud{}, fmt.Errorf("containerRegistryDNSSuffix: %w", err)
		}
	}
	if file.ActiveDirectoryEndpoint != "" {
		if c.authority, err = parseAuthority(file.ActiveDirectoryEndpoint); err != nil {
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
		return "", fmt.Errorf("%.80q is not an https URL of a host alone", text)
	}
	r, err := image.ParseRegistry(u.Host)
	if err != nil {
		return "", fmt.Errorf("%.80q is not an https URL of a host alone", text)
	}
	return r.Canonical(), nil
}
