package doctor

import (
	"fmt"
	"strings"

	"regcred/cmd/regcred/internal/cluster"
)

func checkAudience(s *subject, r *recorder) {
	config := s.config()
	if config == nil {
		r.skip("", s.why())
		return
	}
	audiences := config.Audiences()
	if len(audiences) == 0 {
		r.skip("", "no provider has tokenAttributes")
		return
	}
	api := s.api()
	if api.err != nil {
		r.skip("", "the API server cannot be asked: "+api.err.Error())
		return
	}
	asker, err := s.askerFor(api.Client)
	if err != nil {
		r.find("api-server-unreachable", "", "the API server could not be asked what the kubelet may do", "check the kubelet's kubeconfig, and the way to the API server", err.Error())
		return
	}
	for _, audience := range audiences {
		var providers []string
		for i := range config.Providers {
			if config.Providers[i].Audience() == audience {
				providers = append(providers, config.Providers[i].Name)
			}
		}
		s.tellAudience(r, asker, audience, strings.Join(providers, ", "), grant(audiences))
	}
}

// asker asks what the node may do.
type asker struct {
	name string // of the review
	may  func(cluster.Access) (allowed bool, reason string, err error)
}

// askerFor returns how to ask about the node: about oneself with the kubelet's
// own kubeconfig, and about the node with somebody else's.
func (s *subject) askerFor(api *cluster.Client) (asker, error) {
	own := asker{"SelfSubjectAccessReview", func(a cluster.Access) (bool, string, error) { return api.May(s.ctx, a) }}
	user, err := api.User(s.ctx)
	switch {
	case cluster.IsNotFound(err) || cluster.IsForbidden(err):
		return own, nil // An API server from before 1.28 does not tell.
	case err != nil:
		return asker{}, err
	case strings.HasPrefix(user, "system:node:") || s.Node.Name == "":
		return own, nil
	}
	return asker{"SubjectAccessReview as system:node:" + s.Node.Name + " by " + user, func(a cluster.Access) (bool, string, error) {
		return api.MayUser(s.ctx, "system:node:"+s.Node.Name, []string{"system:nodes", "system:authenticated"}, a)
	}}, nil
}

// maxAccounts bounds for how many service accounts an audience is asked.
const maxAccounts = 50

func (s *subject) tellAudience(r *recorder, asker asker, audience, subject, remedy string) {
	access := cluster.Access{Verb: cluster.AudienceVerb, Resource: audience}
	allowed, reason, err := asker.may(access)
	switch {
	case err != nil:
		r.find("api-server-unreachable", subject, "the API server could not be asked whether the kubelet may request tokens for audience "+audience, "check the kubeconfig, and the way to the API server", err.Error())
		return
	case allowed:
		r.ok(subject, "the kubelet may request tokens for audience "+audience)
		return
	}
	evidence := []string{fmt.Sprintf("%s: %s of %q is not allowed in all namespaces", asker.name, cluster.AudienceVerb, audience)}
	if reason != "" {
		evidence = append(evidence, reason)
	}
	// Roles may let it do so for some.
	accounts, err := s.api().Accounts(s.ctx, s.Node.Name)
	if err != nil {
		evidence = append(evidence, "whether it is for some service accounts is not known: "+err.Error())
	}
	var some []string
	for _, account := range accounts[:min(len(accounts), maxAccounts)] {
		access.Namespace, access.Name, _ = strings.Cut(account, "/")
		if allowed, _, err := asker.may(access); err == nil && allowed {
			some = append(some, account)
		}
	}
	if len(some) > 0 {
		r.find("audience-for-some", subject, fmt.Sprintf("the kubelet may request tokens for audience %s for %d of the %d service accounts whose pods run here: the provider is not run for the others", audience, len(some), len(accounts)), "", "allowed: "+strings.Join(some, ", "))
		return
	}
	r.find("audience-forbidden", subject, "the kubelet may not request tokens for audience "+audience+": the provider is not run for pods, and nothing but the kubelet's log says so", remedy, evidence...)
}

// grant is a command that lets all nodes request tokens for audiences: for all
// that the providers want, as it takes the place of what it granted before.
func grant(audiences []string) string {
	return "kubectl apply -f - <<'EOF'\n" + cluster.AudienceRole(audiences) + "EOF"
}
