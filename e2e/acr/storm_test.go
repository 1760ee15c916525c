package acr_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// storm asks everything at once, and fails the test unless every run fails with
// the registry's refusal in time.
func (n *node) storm(questions []question) {
	n.T.Helper()
	ctx, cancel := context.WithTimeout(n.T.Context(), cloudtest.Patience)
	defer cancel()
	var runs []*cloudtest.Invocation
	for _, q := range questions {
		runs = append(runs, n.Begin(ctx, cloudtest.Question(q)))
	}
	for _, run := range runs {
		a := answer{run.Answer(), n}
		a.WantFailure(1, "status 401", "AcrPull")
		a.WantWithin(cloudtest.Soon)
	}
}

// A node without its role: nobody waits for somebody who waits for him, and what
// is refused is not asked for by everyone. A refusal is believed for some seconds,
// which a slow machine may take.
func TestAStormWithoutARole(t *testing.T) {
	t.Parallel()
	const registries, images = 8, 5
	for name, test := range map[string]struct {
		prepare           func(n *node)
		tokens, exchanges int
	}{
		"on a node that boots": {func(*node) {}, 1, 2 * registries},
		"with a token that the platform repeats": {func(n *node) {
			n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
		}, 1, 2 * registries},
		"with a token that is replaced": {func(n *node) {
			n.azure.Configure(func(s *azure.Settings) { s.IMDS.RenewBefore = 48 * time.Hour })
			n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
		}, 1, 3 * registries},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			var questions []question
			for i := range registries {
				host := fmt.Sprintf("r%d.azurecr.io", i)
				n.serve(host)
				for j := range images {
					questions = append(questions, question{Image: fmt.Sprintf("%s/app-%d", host, j)})
				}
			}
			if test.prepare(n); n.Cloud.Calls.Count("imds", "") > 0 {
				cloudtest.AgeCache(t, n.Cloud, 2*time.Minute)
				n.Cloud.Calls.Reset()
			}
			n.storm(questions)
			n.WantAtMost(test.tokens, "imds", "GetToken")
			n.WantAtMost(test.exchanges, "acr", "Exchange")
		})
	}
}

// The same by repository, where two kinds of tokens are kept and renewed.
func TestAStormWithoutARoleByRepository(t *testing.T) {
	t.Parallel()
	const images = 30
	n := bootNode(t)
	n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: []azure.Role{
		{Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: tenant, ClientID: system.ClientID}, Repositories: []string{repository}},
	}})
	n.scoped(question{Image: image}, registry, repository, system.ClientID)
	cloudtest.AgeCache(t, n.Cloud, 2*time.Minute)
	n.Cloud.Calls.Reset()
	var questions []question
	for i := range images {
		questions = append(questions, question{Image: fmt.Sprintf("%s/other/app-%d", registry, i), Args: []string{"--scope=repository"}})
	}
	n.storm(questions)
	n.WantAtMost(0, "imds", "GetToken")
	n.WantAtMost(1, "acr", "Exchange")
	n.WantAtMost(2*images, "acr", "GetAccessToken")
}
