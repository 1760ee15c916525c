package acr

import (
	"cmp"
	"fmt"
	"strings"

	"regcred/shared/credential"
	"regcred/shared/jwt"
)

// entraSource is where an Entra token is from.
type entraSource interface {
	credential.TokenSource

	// identity names whose token it is, in messages.
	identity() string

	// elsewhere says what to do where a registry is of another tenant than the
	// identity.
	elsewhere(server loginServer) string
}

// nodeIdentity is an identity of the node: its own, or the one that it has for a
// registry.
type nodeIdentity struct {
	Identity
	cloud cloud

	// undescribed says that the cloud is an Azure Stack of which nothing is
	// known: its name stands in an azure.json, and nowhere where it is.
	undescribed bool

	// name is how messages call a field of the identity.
	name func(field string) string

	// secret and password are of an azure.json, if they are not in files of
	// their own.
	azureConfig string
	secret      credential.Secret
	password    credential.Secret

	// err says why there is no identity. It counts when one is needed.
	err error
}

// source returns where the identity's Entra token is from, to show it to a
// login server.
func (n nodeIdentity) source(p *provider, server loginServer) (entraSource, error) {
	if n.err != nil {
		return nil, n.err
	}
	var issuers []string
	if n.undescribed && n.kind() == managed && server.cloud == publicCloud {
		issuers = publicIssuers // the token itself says whose it is
	} else if err := n.serves(server); err != nil {
		return nil, err
	}
	var auth clientAuth
	switch n.kind() {
	case managed:
		return &managedIdentity{selector: n.selector(), audience: p.audience, issuers: issuers, endpoints: p.endpoints}, nil
	case arc:
		return &arcIdentity{selector: n.selector(), audience: p.audience, endpoints: p.endpoints}, nil
	case clientSecret:
		auth = secretAuth{file: n.ClientSecretFile, setting: n.name("clientSecretFile"), azureConfig: n.azureConfig, secret: n.secret}
	case clientCertificate:
		auth = certificateAuth{
			file: n.ClientCertificateFile, setting: n.name("clientCertificateFile"),
			passwordFile: n.ClientCertificatePasswordFile, passwordSetting: n.name("clientCertificatePasswordFile"), password: n.password,
		}
	case workload:
		auth = tokenFileAuth{file: n.FederatedTokenFile, setting: n.name("federatedTokenFile"), audience: n.cloud.assertionAudience}
	case federatedManaged:
		if n.cloud.assertionAudience == "" {
			return nil, fmt.Errorf("credential %s in cloud %s: the audience of federated credentials is not known there", federatedManaged, n.cloud.name)
		}
		auth = managedAuth{&managedIdentity{
			selector: selector{"client_id", n.ManagedIdentityClientID}, audience: n.cloud.assertionAudience, endpoints: p.endpoints,
		}}
	}
	if n.cloud.authority == "" {
		return nil, n.cloud.errAuthority()
	}
	return &application{authority: n.cloud.authority, tenant: n.TenantID, client: n.ClientID, audience: p.audience, auth: auth, endpoints: p.endpoints}, nil
}

// serves refuses to show the token of one cloud to a registry of another, whose
// operator is another one.
func (n nodeIdentity) serves(server loginServer) error {
	switch {
	case server.cloud == n.cloud.name:
		return nil
	case n.undescribed:
		return fmt.Errorf("registry of cloud %s, while the node's is %s, which nothing describes: name the node's with --cloud, or the file that describes it in %s", server.cloud, n.cloud.name, environmentVariable)
	case n.Cloud == "":
		return fmt.Errorf("registry of cloud %s, while the node's is taken to be %s, since nothing names it: set --cloud, or give the registry an identity of its own under registries, with cloud %s", server.cloud, n.cloud.name, server.cloud)
	default:
		return fmt.Errorf("registry of cloud %s, while the identity is of %s: give it an identity of its own under registries, with cloud %s", server.cloud, n.cloud.name, server.cloud)
	}
}

// selector returns the parameter that names the managed identity.
func (n nodeIdentity) selector() selector {
	switch {
	case n.ClientID != "":
		return selector{"client_id", n.ClientID}
	case n.ObjectID != "":
		return selector{"object_id", n.ObjectID}
	case n.ResourceID != "":
		return selector{"msi_res_id", resourceID(n.ResourceID)}
	default:
		return selector{}
	}
}

// claims are what an Entra token says of itself.
type claims struct {
	Issuer string `json:"iss"`
	// AppID and AuthorizedParty are the client id, by the version of the token.
	AppID           string `json:"appid"`
	AuthorizedParty string `json:"azp"`
	ObjectID        string `json:"oid"`
	TenantID        string `json:"tid"`
	// ResourceID is a managed identity's, or that of the machine whose
	// system-assigned identity it is.
	ResourceID string `json:"xms_mirid"`
}

// claimsOf reads the claims of a token. There are none in what is no JWT.
func claimsOf(token credential.Token) claims {
	var c claims
	if jwt.Claims(token.Value.Reveal(), &c) != nil {
		return claims{}
	}
	return c
}

// complete adds to the name of an identity what the token says of it besides.
func (c claims) complete(identity string) string {
	var more []string
	if isResourceID(c.ResourceID) {
		more = append(more, fmt.Sprintf("%.80s", c.ResourceID[strings.LastIndexByte(c.ResourceID, '/')+1:]))
	}
	for _, id := range [][2]string{{"client id ", cmp.Or(c.AppID, c.AuthorizedParty)}, {"object id ", c.ObjectID}, {"tenant ", c.TenantID}} {
		if isGUID(id[1]) && !strings.Contains(strings.ToLower(identity), strings.ToLower(id[1])) {
			more = append(more, id[0]+id[1])
		}
	}
	if len(more) == 0 {
		return identity
	}
	return identity + " (" + strings.Join(more, ", ") + ")"
}
