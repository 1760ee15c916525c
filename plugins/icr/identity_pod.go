package icr

import (
	"context"
	"net/url"
	"slices"

	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// podAudience is whom the tokens of pods have to be for.
const podAudience = "iam"

// podToken is the token of a trusted profile that IAM gives for a pod's: IAM
// knows the issuers of clusters that IBM runs.
type podToken struct {
	pod       *serviceaccount.Token
	scope     serviceaccount.Scope
	profile   profile
	endpoints *endpoints
}

func (s *podToken) identity() string { return s.pod.String() + " as " + s.profile.String() }

// String says who is asked for what, and as whom.
func (s *podToken) String() string { return s.endpoints.describe(s.identity()) }

// Key says who the pod is and as whom it asks where.
func (s *podToken) Key() credential.Key {
	return slices.Concat(s.endpoints.key("cr-token"), credential.Key{string(s.profile)}, s.pod.Identity(s.scope))
}

// Fetch asks IAM.
func (s *podToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	r := s.endpoints.askIAM(ctx, stagePod, url.Values{
		"grant_type": {"urn:ibm:params:oauth:grant-type:cr-token"},
		"cr_token":   {s.pod.Reveal()},
		"profile_id": {string(s.profile)},
	})
	return s.service().token(r)
}
