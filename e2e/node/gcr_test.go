package node_test

import (
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/gcp"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/node/registry"
)

const (
	gcrNodeAccount = "node@example-project.iam.gserviceaccount.com"
	// gcrProviderName is the provider that the sample for pods names.
	gcrProviderName = "projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/prod"
	gcrPublic       = "mirror.gcr.io"
)

// Tokens are good for all of Google's registries, but the kubelet keeps what it
// is told about each host apart. The first ones are in both samples.
var gcrHosts = []string{
	"asia-docker.pkg.dev", "us-docker.pkg.dev", "docker.us-central1.rep.pkg.dev", "gcr.io", "us-central1-docker.pkg.dev",
	"us.gcr.io", "docker.me-central2.rep.pkg.dev", "europe-west12-docker.pkg.dev", "container.cloud.google.com",
	"eu.gcr.io", "europe-docker.pkg.dev", "northamerica-northeast1-docker.pkg.dev", "asia.gcr.io",
	"docker.europe-west4.rep.pkg.dev", "asia-east1-docker.pkg.dev", "marketplace.gcr.io",
}

// gcr is Google Cloud with an instance that has a service account, and with a
// pool of identities that trusts the cluster.
type gcr struct {
	calls    *cloud.Calls
	gcp      *gcp.Fake
	provider gcp.Provider
	policies registry.Policies
}

func placeGCR(c *cloud.Cloud) (account, error) {
	g := &gcr{
		calls:    c.Calls,
		gcp:      gcp.New(c.Calls, c.Faults),
		provider: gcp.WorkloadIdentity("123456789012", "clusters", "prod"),
	}
	if err := g.gcp.Place(c); err != nil {
		return nil, err
	}
	g.gcp.AddProvider(g.provider)
	g.regainIdentity()

	var fronts []registry.Front
	for _, host := range append([]string{gcrPublic}, gcrHosts...) {
		fronts = append(fronts, registry.Front{
			Hosts: []string{host}, Login: registry.GCR(host, g.gcp, &g.policies, time.Now),
		})
	}
	return g, registry.Place(c, fronts...)
}

func (g *gcr) registry(number int) string { return gcrHosts[number] }

func (g *gcr) lookAlike() string { return g.registry(0) + ".evil.com" }

// The plugin answers for it as for all of Google's registries.
func (g *gcr) public(name string) (image string, asNode bool) {
	image = gcrPublic + "/library/" + name + ":v1"
	g.policies.Allow(repository(image), registry.AllUsers)
	return image, true
}

func (g *gcr) nodeMayRead(image string) {
	g.policies.Allow(repository(image), string(gcp.Account(gcrNodeAccount)))
}

// workload has nothing to make: every service account is a principal of the
// pool.
func (g *gcr) workload(string, string) map[string]string { return nil }

func (g *gcr) workloadMayRead(namespace, name, image string) {
	who := g.provider.Principal("system:serviceaccount:" + namespace + ":" + name)
	g.policies.Allow(repository(image), string(who))
}

// Google does not say who it is that may not read.
func (g *gcr) refusal(string, string) string {
	return "artifactregistry.repositories.downloadArtifacts"
}

func (g *gcr) issuer() *oidc.Issuer { return g.gcp.Issuer }

func (g *gcr) fetches() int {
	return g.calls.Count("metadata", "GetToken") + g.calls.Count("sts", "ExchangeToken")
}

func (g *gcr) tokensLive(life time.Duration) {
	g.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.STS.Life = life, life })
}

// The plugin waits for two seconds before it asks the metadata server again,
// and asks it for three things.
func (g *gcr) slowDown(faults *cloud.Faults, delay time.Duration) {
	faults.Always("metadata", "", cloud.Slow{Delay: delay / 3})
	faults.Always("sts", "", cloud.Slow{Delay: delay})
}

func (g *gcr) goDown(faults *cloud.Faults) {
	for _, service := range []string{"metadata", "sts", "iamcredentials", "oauth2"} {
		faults.Always(service, "", cloud.Reset{})
	}
}

func (g *gcr) loseIdentity() []string {
	g.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = "" })
	return []string{"metadata at 169.254.169.254: status 404", "attach a service account"}
}

func (g *gcr) regainIdentity() {
	g.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = gcrNodeAccount })
}
