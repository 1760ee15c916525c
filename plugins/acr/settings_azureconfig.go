package acr

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/json"

	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/settings"
)

// azureConfig is the cloud provider's configuration, known as azure.json, as
// far as it says who pulls.
type azureConfig struct {
	cloud, tenantID string

	useManagedIdentityExtension bool
	userAssignedIdentityID      string

	useFederatedWorkloadIdentityExtension bool
	aadFederatedTokenFile                 string

	aadClientID           string
	aadClientSecret       string
	aadClientCertPath     string
	aadClientCertPassword string

	identitySystem string
}

// azureConfigPath returns where the azure.json is: the argument, as for the
// vendor's plugin, or the setting.
func (s *Settings) azureConfigPath(args []string) (string, error) {
	path := s.AzureConfig
	switch {
	case len(args) > 1:
		return "", errors.New("more than one argument; want azure.json alone")
	case len(args) == 1 && path != "" && path != args[0]:
		return "", errors.New("azure.json is named twice: by the argument and by azureConfig")
	case len(args) == 1:
		path = args[0]
	}
	if path != "" && !filepath.IsAbs(path) {
		return "", fmt.Errorf("azureConfig: %w: %q", errPath, path)
	}
	return path, nil
}

// withAzureConfig returns the node's identity with what is not said elsewhere
// than in the azure.json: cloud, tenant and, as a whole, the identity itself.
func (s *Settings) withAzureConfig(path string, getenv func(string) string) (nodeIdentity, error) {
	c, err := readAzureConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; leave it out to pull with the machine's managed identity", err)
	}
	if err != nil {
		return nodeIdentity{}, fmt.Errorf("azureConfig %s: %w", path, err)
	}
	// Azure Arc says how the file's managed identity is got, and not which
	// one it is.
	atArc := s.onlyArc() && c.useManagedIdentityExtension
	own := s.named() && !atArc
	cloud, err := s.cloudWith(c, path, own, getenv)
	if err != nil {
		return nodeIdentity{}, err
	}
	n := nodeIdentity{Identity: s.Identity, name: ownName}
	tenant := cmp.Or(s.TenantID, c.tenantID)
	if !own {
		n = c.identity(path, tenant)
	}
	if atArc {
		n.Credential = arc
	}
	n.Cloud, n.TenantID = cloud, tenant
	if own {
		err = n.check()
	}
	return n, err
}

// cloudWith returns the name of the node's cloud. The file's identity does not
// leave the file's cloud; but AzureStackCloud, without the file that describes
// it, says no more than that the vendor's components are told elsewhere.
func (s *Settings) cloudWith(c azureConfig, path string, own bool, getenv func(string) string) (string, error) {
	_, known := findCloud(c.cloud)
	stack := strings.EqualFold(c.cloud, stackCloud)
	switch {
	case c.cloud == "":
		return s.Cloud, nil
	case s.Cloud == "" && !known && !stack:
		return "", fmt.Errorf("azureConfig %s: %w", path, unknownCloud(c.cloud))
	case s.Cloud == "":
		return c.cloud, nil
	case own || stack && getenv(environmentVariable) == "":
		return s.Cloud, nil
	case cloudName(s.Cloud) != cloudName(c.cloud):
		return "", fmt.Errorf("cloud: %.80q is given, and azureConfig %s is of %.80q, where its identity is from: identities do not leave their cloud; name one with --credential", s.Cloud, path, c.cloud)
	}
	return s.Cloud, nil
}

// readAzureConfig reads the file.
func readAzureConfig(path string) (azureConfig, error) {
	text, err := file.Read(path)
	if err != nil {
		return azureConfig{}, err
	}
	return parseAzureConfig(text)
}

// parseAzureConfig reads the text of the file, which is JSON or YAML. Errors do
// not repeat it: it holds secrets.
func parseAzureConfig(text []byte) (azureConfig, error) {
	var c azureConfig
	fields, err := decodeObject(text)
	if err == nil {
		err = c.set(fields)
	}
	if err != nil {
		return azureConfig{}, err
	}
	if strings.EqualFold(c.tenantID, adfs) {
		// It is no tenant, and pods have their own.
		c.identitySystem, c.tenantID = adfs, ""
	}
	if c.tenantID != "" && !isTenant(c.tenantID) {
		return azureConfig{}, fmt.Errorf("tenantId: %w: %.80q", errTenant, c.tenantID)
	}
	return c, nil
}

// decodeObject decodes the text as JSON or YAML.
func decodeObject(text []byte) (map[string]any, error) {
	data, err := settings.ToJSON(text)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if json.UnmarshalCaseSensitivePreserveInts(data, &fields) != nil {
		return nil, errors.New("not a JSON or YAML object")
	}
	return fields, nil
}

// set takes from an object what is known, as what else reads the file does: in
// any case, and passing over the rest.
func (c *azureConfig) set(fields map[string]any) error {
	texts := map[string]*string{
		"cloud": &c.cloud, "tenantid": &c.tenantID, "userassignedidentityid": &c.userAssignedIdentityID,
		"aadfederatedtokenfile": &c.aadFederatedTokenFile, "aadclientid": &c.aadClientID, "aadclientsecret": &c.aadClientSecret,
		"aadclientcertpath": &c.aadClientCertPath, "aadclientcertpassword": &c.aadClientCertPassword, "identitysystem": &c.identitySystem,
	}
	switches := map[string]*bool{
		"usemanagedidentityextension":           &c.useManagedIdentityExtension,
		"usefederatedworkloadidentityextension": &c.useFederatedWorkloadIdentityExtension,
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value, right := fields[name], true
		if value == nil {
			continue
		}
		if text, known := texts[strings.ToLower(name)]; known {
			*text, right = value.(string)
		} else if on, known := switches[strings.ToLower(name)]; known {
			*on, right = value.(bool)
		}
		if !right {
			return fmt.Errorf("%s: of the wrong type: booleans and texts must be such", name)
		}
	}
	return nil
}

// adfs is what stands for Active Directory Federation Services, which an Azure
// Stack may have instead of Entra.
const adfs = "adfs"

// identity returns the identity that the file names. What it lacks is an error
// of the identity, since pods have their own. A file that wants no managed
// identity and names no application is not one that means the managed identity.
func (c azureConfig) identity(path, tenant string) nodeIdentity {
	n := nodeIdentity{azureConfig: path, name: namesIn(path, map[string]string{ //nolint:gosec // Names of fields.
		"tenantID": "tenantId", "clientID": "aadClientId", "clientSecretFile": "aadClientSecret",
		"clientCertificateFile": "aadClientCertPath", "clientCertificatePasswordFile": "aadClientCertPassword",
		"federatedTokenFile": "aadFederatedTokenFile",
	})}
	n.TenantID = tenant
	client, secret := notMSI(c.aadClientID), notMSI(c.aadClientSecret)
	switch {
	case strings.EqualFold(c.identitySystem, adfs):
		n.err = fmt.Errorf("%s is of Active Directory Federation Services (adfs), which are not supported: registries take Entra tokens alone", path)
		return n
	case c.useManagedIdentityExtension:
		n.Credential = managed
		n.name = namesIn(path, map[string]string{"clientID": "userAssignedIdentityID", "resourceID": "userAssignedIdentityID"})
		if id := c.userAssignedIdentityID; strings.Contains(strings.ToLower(id), "/subscriptions/") {
			n.ResourceID = id
		} else {
			n.ClientID = id
		}
	case c.useFederatedWorkloadIdentityExtension:
		n.Credential, n.ClientID, n.FederatedTokenFile = workload, client, c.aadFederatedTokenFile
	case client != "" && secret != "":
		n.Credential, n.ClientID, n.secret = clientSecret, client, credential.NewSecret(secret)
	case client != "" && c.aadClientCertPath != "":
		n.Credential, n.ClientID, n.ClientCertificateFile = clientCertificate, client, c.aadClientCertPath
		n.password = credential.NewSecret(c.aadClientCertPassword)
	default:
		n.err = fmt.Errorf("%s names no identity: useManagedIdentityExtension is not true, and there is no aadClientId with aadClientSecret or aadClientCertPath; correct it, or set --credential", path)
		return n
	}
	n.err = n.check()
	return n
}

// namesIn names the fields of an identity that a file calls otherwise.
func namesIn(path string, their map[string]string) func(string) string {
	return func(field string) string { return cmp.Or(their[field], field) + " in " + path }
}

// notMSI returns the value, or empty for msi, which nodes with managed identities
// write in fields that must not be empty.
func notMSI(value string) string {
	if strings.EqualFold(value, "msi") {
		return ""
	}
	return value
}
