package acr

import (
	"fmt"

	"regcred/shared/credential"
)

// holder is who holds an identity: the node, or the node for one registry.
type holder struct {
	Identity
	cloud cloud

	// azureConfig is the file that secret and password were in, if they are
	// not in files of their own.
	azureConfig string
	secret      credential.Secret
	password    credential.Secret

	// err says why there is no identity. It counts when one is needed.
	err error
}

// source returns where the holder's Entra token is from.
func (h holder) source(p place) (entraSource, error) {
	if h.err != nil {
		return nil, h.err
	}
	switch h.kind() {
	case managed:
		return &managedIdentity{selector: h.selector(), audience: p.audience}, nil
	case arc:
		return &arcIdentity{selector: h.selector(), audience: p.audience, folder: p.arcFolder}, nil
	}
	if h.cloud.authority == "" {
		return nil, fmt.Errorf("the authority of cloud %s is not known: set --authority", h.cloud.name)
	}
	application := &application{authority: h.cloud.authority, tenant: h.TenantID, client: h.ClientID, audience: p.audience, caFile: p.caFile}
	switch h.kind() {
	case clientSecret:
		application.proof = secretProof{file: h.ClientSecretFile, azureConfig: h.azureConfig, secret: h.secret}
	case clientCertificate:
		application.proof = certificateProof{file: h.ClientCertificateFile, passwordFile: h.ClientCertificatePasswordFile, azureConfig: h.azureConfig, password: h.password}
	case workload:
		application.proof = tokenFileProof{file: h.FederatedTokenFile, federation: h.cloud.federation}
	default:
		if h.cloud.federation == "" {
			return nil, fmt.Errorf("credential %s is not possible in cloud %s: the audience of federated credentials is not known there", federatedManaged, h.cloud.name)
		}
		application.proof = managedProof{&managedIdentity{selector: selector{"client_id", h.ManagedIdentityClientID}, audience: h.cloud.federation}}
	}
	return application, nil
}

// selector returns the parameter that names the managed identity.
func (h holder) selector() selector {
	switch {
	case h.ClientID != "":
		return selector{"client_id", h.ClientID}
	case h.ObjectID != "":
		return selector{"object_id", h.ObjectID}
	case h.ResourceID != "":
		return selector{"msi_res_id", h.ResourceID}
	default:
		return selector{}
	}
}
