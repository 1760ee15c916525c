package ibm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// ProfileAnnotation is where a service account names its profile.
const ProfileAnnotation = "iam.cloud.ibm.com/image-pull-profile"

// NodeProfile is the default profile of the machine that Boot boots.
const NodeProfile = "Profile-0c1f6f2e-8d0b-4d46-9d0d-5c8a4e3f2b10"

// bootRegistries have names of every form. One token is good for all.
var bootRegistries = []string{
	"us.icr.io", "private.de.icr.io", "icr.io", "uk.icr.io", "jp2.icr.io", "registry.ng.bluemix.net", "private.icr.io", "fr2.icr.io",
	"in.icr.io", "in2.icr.io", "ca2.icr.io", "es.icr.io", "registry.bluemix.net", "br.icr.io", "au.icr.io", "private.jp.icr.io",
}

// Kind boots virtual servers of IBM Cloud.
func Kind() fake.Kind { return fake.NewKind("ibm", "icr-credential-provider", Boot) }

// Boot starts a virtual server of VPC with a default profile. Service accounts
// have a profile whose rules are for them. All may pull from every registry.
func Boot(c *cloud.Cloud) (*Fake, *fake.Node, error) {
	f := New(c.Calls, c.Faults)
	if err := errors.Join(f.PlaceMetadata(c), f.PlaceIAM(c, IAMHost)); err != nil {
		return nil, nil, err
	}
	f.AddProfile(Profile{ID: NodeProfile, Reader: true})
	link := func(to ...string) {
		f.Configure(func(s *Settings) { s.Machine.Default, s.Machine.Linked = NodeProfile, to })
	}
	link(NodeProfile)

	identity := func(id, fetch string, calls ...string) fake.Identity {
		return fake.Identity{Owner: Profile{ID: id}.IAMID(), Calls: calls, Refresh: calls, Fetch: fetch}
	}
	address := metadataAddress.String()
	return f, &fake.Node{
		Kind:       Kind(),
		Cloud:      c,
		Issuer:     f.Issuer,
		Registry:   func(number int) string { return bootRegistries[number] },
		Repository: "team/app",
		LookAlike:  bootRegistries[0] + ".evil.com",
		Username:   TokenUser,
		Whose: func(image, username, password string) (string, error) {
			host, _, _ := strings.Cut(image, "/")
			return f.Login(host, username, password)
		},
		Secrets: f.Secrets,
		Machine: identity(NodeProfile, "metadata CreateIAMToken", "metadata CreateIdentityToken "+address, "metadata CreateIAMToken "+address),
		Workload: func(accounts ...oidc.ServiceAccount) fake.Identity {
			id := ProfileOf(accounts[0])
			f.AddProfile(Profile{ID: id, Accounts: slices.Clone(accounts), Reader: true})
			own := identity(id, "iam GetTokenCRToken", "iam GetTokenCRToken "+IAMHost)
			own.Annotations = map[string]string{ProfileAnnotation: id}
			return own
		},
		Audience: Audience,
		Services: []string{"metadata", "iam"},
		Local:    []string{"metadata"},
		Endpoints: []fake.Endpoint{
			{Name: address, What: "the metadata service, and " + MetadataHost},
			{Name: IAMHost, What: "IAM"},
		},
		Denied: fake.Refuse(400, "profile_not_linked", "The trusted profile %s is not linked to the instance.", NodeProfile),
		Live: func(life time.Duration) {
			f.Configure(func(s *Settings) { s.Metadata.Life, s.IAM.Life = life, life })
		},
		// A token that is good by two clocks lives longer than IAM takes one for.
		Clock: func(ahead time.Duration) {
			f.Configure(func(s *Settings) { s.Clock, s.LongTokens = ahead, true })
		},
		Lose:   func() []string { link(); return []string{"metadata", address, "400 profile_not_linked", "link it"} },
		Regain: func() { link(NodeProfile) },
	}, nil
}

// ProfileOf is the id of the profile that Boot makes for a service account.
func ProfileOf(account oidc.ServiceAccount) string {
	sum := sha256.Sum256([]byte(account.Subject()))
	return fmt.Sprintf("Profile-%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
