package acr

import (
	"cmp"
	"net/http"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// service is the registry, which is shown an Entra token or one of its own, to
// pull something.
func (s *refreshToken) service(shown credential.Token, what string) service {
	return service{
		Service:  cloudhttp.Service{Name: "the registry"},
		identity: cmp.Or(shown.Caller, s.entra.identity()),
		diagnose: func(r cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
			return s.diagnose(r, said, shown, what)
		},
	}
}

// diagnose says what a registry's refusal means. One status has several causes,
// which the text tells apart.
func (s *refreshToken) diagnose(r cloudhttp.Reply, said cloudhttp.Said, shown credential.Token, what string) cloudhttp.Diagnosis {
	d := cloudhttp.Diagnosis{Problem: "the registry refuses the request", Permanent: true}
	text := strings.ToLower(said.Text)
	denied := r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden
	switch {
	case denied && namesNetwork(text):
		d.Problem = "the registry's network rules do not let this node in"
		d.Advice = "allow the node's outgoing address there, or use a private endpoint"
	case denied && strings.Contains(text, "audience"):
		d.Problem = "the registry does not take tokens for this audience"
		d.Advice = "check --audience: registries take " + defaultAudience
	case denied && namesTenant(text):
		d.Problem = "the registry does not know the identity's tenant, or the identity in it"
		d.Advice = "is the registry of another tenant? " + s.entra.elsewhere(s.server)
	case denied:
		d.Problem = "the identity may not pull " + what
		d.Advice = s.roleAdvice(shown)
		if r.Status == http.StatusForbidden && text == "" {
			d.Advice += "; or let the node's address in, if the registry has network rules"
		}
	case r.Status == http.StatusNotFound:
		d.Problem = "there is no such registry, or it knows no such exchange"
		d.Advice = "check the image's host"
	case r.Status == http.StatusBadRequest:
		d.Advice = "check the tenant and the audience: a registry takes tokens of its own tenant alone"
	}
	return d
}

// namesNetwork reports whether a refusal is about where the request is from.
func namesNetwork(text string) bool {
	for _, words := range []string{"client with ip", "acr/firewall", "network rule", "public network access", "private endpoint"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// namesTenant reports whether a refusal is about the directory that the
// identity is of.
func namesTenant(text string) bool {
	return strings.Contains(text, "tenant") || strings.Contains(text, "not registered with aad")
}

// roleAdvice says what to grant to whom.
func (s *refreshToken) roleAdvice(shown credential.Token) string {
	whom := "it"
	if id := claimsOf(shown).ObjectID; isGUID(id) {
		whom = "object id " + id
	}
	advice := "grant AcrPull (with ABAC: Container Registry Repository Reader) to " + whom + ", which takes up to ten minutes"
	if _, ok := s.entra.(*application); ok {
		advice += "; if the registry is of another tenant, " + s.entra.elsewhere(s.server)
	}
	return advice
}
