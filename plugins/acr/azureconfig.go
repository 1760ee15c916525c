package acr

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"regcred/shared/credential"
	"regcred/shared/settings"
)

// azureConfig is the cloud provider's configuration, known as azure.json, as
// far as it says who pulls. What reads it takes its keys in any case, and
// passes over those that it does not know.
type azureConfig struct {
	Cloud    string `json:"cloud"`
	TenantID string `json:"tenantId"`

	UseManagedIdentityExtension bool   `json:"useManagedIdentityExtension"`
	UserAssignedIdentityID      string `json:"userAssignedIdentityID"`

	UseFederatedWorkloadIdentityExtension bool   `json:"useFederatedWorkloadIdentityExtension"`
	AADFederatedTokenFile                 string `json:"aadFederatedTokenFile"`

	AADClientID           string `json:"aadClientId"`
	AADClientSecret       string `json:"aadClientSecret"`
	AADClientCertPath     string `json:"aadClientCertPath"`
	AADClientCertPassword string `json:"aadClientCertPassword"`

	IdentitySystem string `json:"identitySystem"`
}

// readAzureConfig reads the file.
func readAzureConfig(file string) (azureConfig, error) {
	text, err := settings.ReadFile(file)
	if err != nil {
		return azureConfig{}, err
	}
	return parseAzureConfig(text)
}

// parseAzureConfig reads the text of the file, which is JSON or YAML. Errors do
// not repeat it: it holds secrets.
func parseAzureConfig(text []byte) (azureConfig, error) {
	// Windows' tools write a byte order mark.
	data, err := yaml.YAMLToJSON(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if err != nil {
		return azureConfig{}, errors.New("is not JSON or YAML")
	}
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return azureConfig{}, errors.New("is not a JSON or YAML object")
	}
	var c azureConfig
	if err := yaml.Unmarshal(data, &c); err != nil {
		return azureConfig{}, errors.New("has a field of the wrong type: booleans and texts must be such: " + fieldOf(err))
	}
	if c.TenantID != "" && !isTenant(c.TenantID) {
		return azureConfig{}, fmt.Errorf("tenantId: %.80q is neither the id of a tenant nor a domain", c.TenantID)
	}
	return c, nil
}

// fieldOf returns the name of the field that an error of decoding is about.
func fieldOf(err error) string {
	_, rest, _ := strings.Cut(err.Error(), "azureConfig.")
	name, _, found := strings.Cut(rest, " ")
	if !found {
		return "unknown"
	}
	return name
}

// holder returns the identity that the file names. What it lacks is an error of
// the holder, since pods have their own. A file that wants no managed identity
// and names no application is not one that means the managed identity.
func (c azureConfig) holder(file string) holder {
	h := holder{azureConfig: file}
	h.TenantID = c.TenantID
	client := notMSI(c.AADClientID)
	secret := notMSI(c.AADClientSecret)
	switch {
	case c.UseManagedIdentityExtension:
		h.Credential = managed
		if id := c.UserAssignedIdentityID; strings.Contains(strings.ToLower(id), "/subscriptions/") {
			h.ResourceID = id
		} else {
			h.ClientID = id
		}
	case c.UseFederatedWorkloadIdentityExtension:
		h.Credential, h.ClientID, h.FederatedTokenFile = workload, client, c.AADFederatedTokenFile
	case client != "" && secret != "":
		h.Credential, h.ClientID, h.secret = clientSecret, client, credential.NewSecret(secret)
	case client != "" && c.AADClientCertPath != "":
		h.Credential, h.ClientID, h.ClientCertificateFile = clientCertificate, client, c.AADClientCertPath
		h.password = credential.NewSecret(c.AADClientCertPassword)
	default:
		h.err = fmt.Errorf("%s names no identity: useManagedIdentityExtension is not true, and there is no aadClientId with aadClientSecret or aadClientCertPath; correct it, or set --credential", file)
		return h
	}
	if err := c.check(h); err != nil {
		h.err = fmt.Errorf("%s: %w", file, err)
	}
	return h
}

// check finds what can not be an identity, by the names that the file has for
// the fields.
func (c azureConfig) check(h holder) error {
	if strings.EqualFold(c.IdentitySystem, "adfs") && !h.ofMachine() {
		return errors.New("identitySystem: adfs is not supported")
	}
	i := h.Identity
	if !h.secret.Empty() {
		i.ClientSecretFile = h.azureConfig
	}
	err := i.check()
	if err == nil {
		return nil
	}
	name, text, _ := strings.Cut(err.Error(), ": ")
	their := map[string]string{
		"tenantID": "tenantId", "clientID": "aadClientId", "resourceID": "userAssignedIdentityID",
		"clientCertificateFile": "aadClientCertPath", "federatedTokenFile": "aadFederatedTokenFile",
	}[name]
	if name == "clientID" && h.kind() == managed {
		their = "userAssignedIdentityID"
	}
	return fmt.Errorf("%s: %s", their, text)
}

// notMSI returns what nodes with managed identities have in fields that must
// not be empty as the nothing that it means.
func notMSI(value string) string {
	if strings.EqualFold(value, "msi") {
		return ""
	}
	return value
}
