package gcp

import (
	"regexp"
	"strings"

	"regcred/e2e/cloud/oidc"
)

// Provider vouches for workloads of one issuer: a cluster of GKE or of a
// fleet, or a provider of a workload identity pool.
type Provider struct {
	// Audience is how STS is asked for it.
	Audience string
	// TokenAudiences are whom a workload's token may be for.
	TokenAudiences []string
	// Subjects is what every principal of the pool begins with.
	Subjects string
	// Name turns a token's subject into the pool's. Nil: it is the same.
	Name func(subject string) string

	// Issuer signs the workloads' tokens. Nil: the fake's own.
	Issuer *oidc.Issuer
	// Disabled refuses every exchange, as do a pool or a provider that were
	// deleted.
	Disabled bool
}

// Cluster is the provider that every cluster of GKE with Workload Identity is,
// in the pool of its project. The provider is named by the cluster's issuer.
func Cluster(project, number, issuer string) Provider {
	pool := project + ".svc.id.goog"
	return Provider{
		Audience:       "identitynamespace:" + pool + ":" + issuer,
		TokenAudiences: []string{pool},
		Subjects:       subjects(number, pool),
		Name: func(subject string) string {
			fields := strings.Split(strings.TrimPrefix(subject, "system:serviceaccount:"), ":")
			return "ns/" + strings.Join(fields, "/sa/")
		},
	}
}

// WorkloadIdentity is a provider of a workload identity pool, whose tokens are
// for the provider itself and whose subjects are those of its tokens.
func WorkloadIdentity(number, pool, provider string) Provider {
	audience := "//iam.googleapis.com/projects/" + number + "/locations/global/workloadIdentityPools/" + pool + "/providers/" + provider
	return Provider{
		Audience:       audience,
		TokenAudiences: []string{audience, "https:" + audience},
		Subjects:       subjects(number, pool),
	}
}

func subjects(number, pool string) string {
	return "principal://iam.googleapis.com/projects/" + number + "/locations/global/workloadIdentityPools/" + pool + "/subject/"
}

// AddProvider makes a provider, or changes the one of the same audience.
func (f *Fake) AddProvider(provider Provider) {
	if provider.Issuer == nil {
		provider.Issuer = f.Issuer
	}
	f.identities.mu.Lock()
	defer f.identities.mu.Unlock()
	f.identities.providers[provider.Audience] = provider
}

// Principal is who a subject of the provider's tokens is.
func (p Provider) Principal(subject string) Principal {
	if p.Name != nil {
		subject = p.Name(subject)
	}
	return Principal(p.Subjects + subject)
}

// audienceGrammar is both forms of an audience. A project is named by its id
// in the first and by its number in the second.
var audienceGrammar = regexp.MustCompile(
	`^identitynamespace:([a-z0-9.-]+:)?[a-z0-9-]+(\.[a-z0-9-]+)?\.svc\.id\.goog:https://\S+$` +
		`|^//iam\.googleapis\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$`)
