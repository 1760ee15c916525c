package oracle

import (
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

const (
	// IdentityAnnotation is where a service account says whose word is taken for
	// it.
	IdentityAnnotation = "oci.oraclecloud.com/image-pull-identity"
	// ResourceAnnotation is what an identity domain's trust impersonates.
	ResourceAnnotation = "oci.oraclecloud.com/image-pull-resource-type"
)

// bootRegistries have names of every form. A region's registry has several, each
// of which takes a token of its own.
var bootRegistries = []string{
	"iad.ocir.io", "us-ashburn-1.ocir.io", "ocir.us-ashburn-1.oci.oraclecloud.com", "fra.ocir.io",
	"eu-frankfurt-1.ocir.io", "ocir.eu-frankfurt-1.oci.oraclecloud.com", "phx.ocir.io", "lhr.ocir.io",
	"nrt.ocir.io", "ap-melbourne-1.ocir.io", "il-jerusalem-1.ocir.io", "zzz.ocir.io",
	"zz-newplace-1.ocir.io", "ocir.zz-newplace-1.oci.oraclecloud.com", "xsp.ocir.io", "lej.ocir.io",
}

// Kind boots instances of Oracle's cloud.
func Kind() fake.Kind { return fake.NewKind("oracle", "ocir-credential-provider", Boot) }

// Boot starts a node of OKE: a dynamic group matches its instance, and a policy
// lets that group pull. A service account's identity is the workload that the
// cluster takes it for, with a policy of its own.
func Boot(c *cloud.Cloud) (*Fake, *fake.Node, error) {
	f, err := New(c.Calls, c.Faults, Commercial)
	if err != nil {
		return nil, nil, err
	}
	authority, err := cloud.NewAuthority()
	if err != nil {
		return nil, nil, err
	}
	for _, place := range []func() error{
		func() error { return f.Place(c) },
		func() error { return f.PlaceRegistries(c, bootRegistries...) },
		func() error { return f.PlaceCluster(c, authority) },
	} {
		if err := place(); err != nil {
			return nil, nil, err
		}
	}
	bundle, err := c.WriteFile("cluster-ca.crt", authority.PEM())
	if err != nil {
		return nil, nil, err
	}
	f.Match(true)

	token := "ocir GetToken " + bootRegistries[0]
	return f, &fake.Node{
		Kind:       Kind(),
		Cloud:      c,
		Issuer:     f.Issuer,
		Args:       []string{"--cluster-host=" + ClusterHost, "--cluster-ca-file=" + bundle},
		Registry:   func(number int) string { return bootRegistries[number] },
		Repository: "namespace/team/app",
		Public:     bootRegistries[1] + "/axoxdievda5j/oke-public-flannel",
		LookAlike:  bootRegistries[0] + ".evil.com",
		Username:   TokenUser,
		Whose:      f.whose,
		Secrets:    f.Secrets,
		Machine: fake.Identity{
			Owner: f.Instance(),
			Calls: []string{
				"imds GetRegionInfo 169.254.169.254",
				"imds GetIdentity 169.254.169.254", "imds GetIdentity 169.254.169.254", "imds GetIdentity 169.254.169.254",
				"federation GetSecurityToken " + f.Realm.FederationHost(), token,
			},
			Refresh: []string{token},
			Fetch:   "ocir GetToken",
		},
		Workload: func(accounts ...oidc.ServiceAccount) fake.Identity {
			account := accounts[0] // each is a principal of its own
			f.Allow(Workload(account))
			return fake.Identity{
				Owner:       Workload(account),
				Annotations: map[string]string{IdentityAnnotation: "workload"},
				Calls:       []string{"workload GetSessionToken " + clusterAddress.String(), token},
				Refresh:     []string{token},
				Fetch:       "ocir GetToken",
			}
		},
		Audience: ClusterAudience,
		Services: []string{"imds", "federation", "ocir", "exchange", "workload"},
		Local:    []string{"imds", "workload"},
		Endpoints: []fake.Endpoint{
			{Name: "169.254.169.254", What: "the instance metadata service"},
			{Name: f.Realm.FederationHost(), What: "the federation service"},
			{Name: bootRegistries[0], What: "a registry, and 15 others"},
			{Name: DomainHost, What: "an identity domain"},
			{Name: clusterAddress.String(), What: "the cluster's workload identity"},
		},
		Denied: Denied(),
		Live:   func(life time.Duration) { f.Configure(func(s *Settings) { s.Registry.Life = life }) },
		Clock:  func(ahead time.Duration) { f.Configure(func(s *Settings) { s.Clock = ahead }) },
		Lose: func() []string {
			f.Configure(func(s *Settings) { s.NoIdentity = true })
			return []string{"imds", "169.254.169.254", "404"}
		},
		Regain: func() { f.Configure(func(s *Settings) { s.NoIdentity = false }) },
	}, nil
}

// whose is the owner of a registry's token that pulls an image.
func (f *Fake) whose(image, username, password string) (string, error) {
	host, _, _ := strings.Cut(strings.ToLower(image), "/")
	return f.Pull(strings.TrimSuffix(host, ":443"), username, password)
}
