package acr

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"
)

// Kinds of credentials, the values of --credential.
const (
	managed           = "managed-identity"
	arc               = "azure-arc"
	clientSecret      = "client-secret" //nolint:gosec // The name of a kind.
	clientCertificate = "client-certificate"
	workload          = "workload-identity"
	federatedManaged  = "federated-managed-identity"
)

// Identity is as whom Entra is asked for a token, and how that is proved. The zero
// value is the system-assigned managed identity of the virtual machine.
type Identity struct {
	// Credential is the kind: managed-identity, azure-arc, client-secret,
	// client-certificate, workload-identity or federated-managed-identity.
	// Empty means managed-identity.
	Credential string `json:"credential,omitempty"`

	// TenantID is the tenant (directory) of the application. A managed
	// identity needs none; where there is one the registry is told of it.
	TenantID string `json:"tenantID,omitempty"`

	// ClientID is the application's, or a user-assigned managed identity's.
	ClientID string `json:"clientID,omitempty"`

	// ObjectID and ResourceID name a user-assigned managed identity in other
	// ways. At most one of the three is set; none means the system-assigned.
	ObjectID   string `json:"objectID,omitempty"`
	ResourceID string `json:"resourceID,omitempty"`

	// ClientSecretFile holds the application's secret.
	ClientSecretFile string `json:"clientSecretFile,omitempty"`

	// ClientCertificateFile holds the application's certificate and private
	// key, as PEM or PFX. ClientCertificatePasswordFile holds a PFX's
	// password; empty means that it has none.
	ClientCertificateFile         string `json:"clientCertificateFile,omitempty"`
	ClientCertificatePasswordFile string `json:"clientCertificatePasswordFile,omitempty"`

	// FederatedTokenFile holds a Kubernetes token that vouches for the
	// application. It is read at each refresh.
	FederatedTokenFile string `json:"federatedTokenFile,omitempty"`

	// ManagedIdentityClientID is the client id of the user-assigned managed
	// identity that vouches for the application.
	ManagedIdentityClientID string `json:"managedIdentityClientID,omitempty"`

	// Cloud is whose Entra is asked. Empty means AzurePublicCloud, or for a
	// registry's own identity the node's cloud.
	Cloud string `json:"cloud,omitempty"`
}

// flags defines the flags of the node's identity.
func (i *Identity) flags(fs *pflag.FlagSet) {
	fs.StringVar(&i.Credential, "credential", i.Credential, "`kind` of the node's credential: managed-identity (the default), azure-arc, client-secret, client-certificate, workload-identity or federated-managed-identity")
	fs.StringVar(&i.TenantID, "tenant-id", i.TenantID, "`tenant` of the application, by id or domain; also of pods that name none")
	fs.StringVar(&i.ClientID, "client-id", i.ClientID, "client `id` of the application or the user-assigned managed identity")
	fs.StringVar(&i.ObjectID, "object-id", i.ObjectID, "object `id` of the user-assigned managed identity, instead of the client id")
	fs.StringVar(&i.ResourceID, "resource-id", i.ResourceID, "resource `id` of the user-assigned managed identity, instead of the client id")
	fs.StringVar(&i.ClientSecretFile, "client-secret-file", i.ClientSecretFile, "`file` with the application's secret")
	fs.StringVar(&i.ClientCertificateFile, "client-certificate-file", i.ClientCertificateFile, "PEM or PFX `file` with the application's certificate and private key")
	fs.StringVar(&i.ClientCertificatePasswordFile, "client-certificate-password-file", i.ClientCertificatePasswordFile, "`file` with the password of the PFX file")
	fs.StringVar(&i.FederatedTokenFile, "federated-token-file", i.FederatedTokenFile, "`file` with a Kubernetes token that vouches for the application")
	fs.StringVar(&i.ManagedIdentityClientID, "managed-identity-client-id", i.ManagedIdentityClientID, "client `id` of the user-assigned managed identity that vouches for the application")
	fs.StringVar(&i.Cloud, "cloud", i.Cloud, "`name` of the cloud (default AzurePublicCloud): "+cloudNames())
}

// named reports whether the identity says who it is. Tenant and cloud alone say
// only where.
func (i Identity) named() bool {
	i.TenantID, i.Cloud = "", ""
	return i != Identity{}
}

// onlyArc reports whether the identity says no more than where to ask for a
// managed one.
func (i Identity) onlyArc() bool {
	i.TenantID, i.Cloud = "", ""
	return i == Identity{Credential: arc}
}

// kind returns the kind of the credential.
func (i Identity) kind() string {
	if i.Credential == "" {
		return managed
	}
	return i.Credential
}

// ownName is how a field is called that was set in our own settings.
func ownName(field string) string { return field }

var (
	errGUID   = errors.New("not an id such as 00000000-0000-0000-0000-000000000000")
	errTenant = errors.New("neither the id of a tenant nor a domain")
	errPath   = errors.New("not an absolute path")
)

// check finds what the kind of the credential needs and lacks, or has and does
// not use: a field that is silently dropped is another identity than was meant.
func (n nodeIdentity) check() error {
	type field struct{ name, value string }
	fields := []field{
		{"clientID", n.ClientID}, {"objectID", n.ObjectID}, {"resourceID", n.ResourceID},
		{"clientSecretFile", n.ClientSecretFile}, {"clientCertificateFile", n.ClientCertificateFile},
		{"clientCertificatePasswordFile", n.ClientCertificatePasswordFile},
		{"federatedTokenFile", n.FederatedTokenFile}, {"managedIdentityClientID", n.ManagedIdentityClientID},
	}
	const required, optional = 2, 1
	uses := map[string]map[string]int{
		managed:           {"clientID": optional, "objectID": optional, "resourceID": optional},
		arc:               {"clientID": optional, "objectID": optional, "resourceID": optional},
		clientSecret:      {"clientID": required, "clientSecretFile": required},
		clientCertificate: {"clientID": required, "clientCertificateFile": required, "clientCertificatePasswordFile": optional},
		workload:          {"clientID": required, "federatedTokenFile": required},
		federatedManaged:  {"clientID": required, "managedIdentityClientID": required},
	}[n.kind()]
	if uses == nil {
		return fmt.Errorf("%s: none of %s, %s, %s, %s, %s, %s: %.80q", n.name("credential"), managed, arc, clientSecret, clientCertificate, workload, federatedManaged, n.Credential)
	}
	if !n.secret.Empty() {
		uses["clientSecretFile"] = optional // it is in azure.json itself
	}
	for _, f := range fields {
		switch use := uses[f.name]; {
		case f.value == "" && use == required:
			return fmt.Errorf("%s: missing, and credential %s needs it", n.name(f.name), n.kind())
		case f.value != "" && use == 0:
			return fmt.Errorf("%s: not used with credential %s", n.name(f.name), n.kind())
		}
	}
	if n.TenantID == "" && !n.ofMachine() {
		return fmt.Errorf("%s: missing, and credential %s needs it", n.name("tenantID"), n.kind())
	}
	return n.checkValues()
}

func (n nodeIdentity) checkValues() error {
	for _, id := range [][2]string{{"clientID", n.ClientID}, {"objectID", n.ObjectID}, {"managedIdentityClientID", n.ManagedIdentityClientID}} {
		if id[1] != "" && !isGUID(id[1]) {
			return fmt.Errorf("%s: %w: %.80q", n.name(id[0]), errGUID, id[1])
		}
	}
	for _, file := range [][2]string{
		{"clientSecretFile", n.ClientSecretFile}, {"clientCertificateFile", n.ClientCertificateFile},
		{"clientCertificatePasswordFile", n.ClientCertificatePasswordFile}, {"federatedTokenFile", n.FederatedTokenFile},
	} {
		if file[1] != "" && !filepath.IsAbs(file[1]) {
			return fmt.Errorf("%s: %w: %q", n.name(file[0]), errPath, file[1])
		}
	}
	switch {
	case n.TenantID != "" && !isTenant(n.TenantID):
		return fmt.Errorf("%s: %w: %.80q", n.name("tenantID"), errTenant, n.TenantID)
	case n.ResourceID != "" && !isResourceID(n.ResourceID):
		return fmt.Errorf("%s: not a resource id, which begins with /subscriptions/: %.80q", n.name("resourceID"), n.ResourceID)
	case n.ofMachine() && moreThanOne(n.ClientID, n.ObjectID, n.ResourceID):
		return fmt.Errorf("%s: of clientID, objectID and resourceID at most one names the managed identity", n.name("clientID"))
	}
	return nil
}

// ofMachine reports whether the token comes from the machine itself, which is
// of one cloud.
func (i Identity) ofMachine() bool { return i.kind() == managed || i.kind() == arc }

func moreThanOne(values ...string) bool {
	count := 0
	for _, value := range values {
		if value != "" {
			count++
		}
	}
	return count > 1
}
