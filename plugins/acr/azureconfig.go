package acr

import (
	"bytes"
	"encoding/json"
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
	c, err := decodeAzureConfig(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) // which Windows' tools write
	if err != nil {
		return azureConfig{}, err
	}
	if strings.EqualFold(c.TenantID, adfs) {
		// It is no tenant, and pods have their own.
		c.IdentitySystem, c.TenantID = adfs, ""
	}
	if c.TenantID != "" && !isTenant(c.TenantID) {
		return azureConfig{}, fmt.Errorf("tenantId: %.80q is neither the id of a tenant nor a domain", c.TenantID)
	}
	return c, nil
}

// decodeAzureConfig decodes the text as JSON, which it mostly is, or else as
// YAML. Every run reads the file, and reading JSON as YAML would make those that
// find their answer in the cache longer by a tenth.
func decodeAzureConfig(text []byte) (azureConfig, error) {
	var c azureConfig
	if isObject(text) && json.Unmarshal(text, &c) == nil {
		return c, nil
	}
	data, err := yaml.YAMLToJSON(text)
	switch {
	case err != nil:
		return azureConfig{}, errors.New("is not JSON or YAML")
	case !isObject(data):
		return azureConfig{}, errors.New("is not a JSON or YAML object")
	}
	c = azureConfig{}
	if err := yaml.Unmarshal(data, &c); err != nil {
		name := "unknown"
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			name = wrong.Field
		}
		return azureConfig{}, errors.New("has a field of the wrong type: booleans and texts must be such: " + name)
	}
	return c, nil
}

// isObject reports whether JSON is an object.
func isObject(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == '{'
}

// adfs is what stands for Active Directory Federation Services, which an Azure
// Stack may have instead of Entra.
const adfs = "adfs"

// holder returns the identity that the file names. What it lacks is an error of
// the holder, since pods have their own. A file that wants no managed identity
// and names no application is not one that means the managed identity.
func (c azureConfig) holder(file string) holder {
	h := holder{azureConfig: file}
	h.TenantID = c.TenantID
	client := notMSI(c.AADClientID)
	secret := notMSI(c.AADClientSecret)
	switch {
	case strings.EqualFold(c.IdentitySystem, adfs):
		h.err = fmt.Errorf("%s is of Active Directory Federation Services (adfs), which are not supported: registries take Entra tokens alone", file)
		return h
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
	i := h.Identity
	if !h.secret.Empty() {
		i.ClientSecretFile = h.azureConfig
	}
	err := i.check()
	wrong, ok := errors.AsType[fieldError](err)
	if !ok {
		return err
	}
	their := map[string]string{
		"tenantID": "tenantId", "clientID": "aadClientId", "resourceID": "userAssignedIdentityID",
		"clientCertificateFile": "aadClientCertPath", "federatedTokenFile": "aadFederatedTokenFile",
	}
	if h.ofMachine() {
		their["clientID"] = "userAssignedIdentityID"
	}
	return fieldError{their[wrong.field], wrong.text}
}

// notMSI returns the value, or empty for msi, which nodes with managed identities
// write in fields that must not be empty.
func notMSI(value string) string {
	if strings.EqualFold(value, "msi") {
		return ""
	}
	return value
}
