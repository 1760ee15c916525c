package icr

import (
	"context"
	"net/url"
	"slices"

	"regcred/shared/credential"
)

// assumedToken is the token of a trusted profile that another identity of IAM's
// assumes: the profile may be of another account, as where the images are.
type assumedToken struct {
	profile   profile
	by        credential.TokenSource
	endpoints *endpoints
}

// String says who is asked for what, and as whom.
func (s *assumedToken) String() string {
	return s.endpoints.describe(s.profile.String()) + ", by way of " + s.by.String()
}

// Key says who assumes which profile.
func (s *assumedToken) Key() credential.Key {
	return slices.Concat(s.endpoints.key("assume"), credential.Key{string(s.profile)}, s.by.Key())
}

// Fetch asks IAM. A token that is kept may be refused in spite of its life: its
// owner was made again.
func (s *assumedToken) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	return credential.Redeem(ctx, getter, s.by, func(token credential.Token) (credential.Token, bool, error) {
		r := s.endpoints.askIAM(ctx, stageAssume, url.Values{
			"grant_type":   {"urn:ibm:params:oauth:grant-type:assume"},
			"access_token": {token.Value.Reveal()},
			"profile_id":   {string(s.profile)},
		})
		assumed, err := s.service(token.Caller).token(r)
		return assumed, refusesToken(r), err
	})
}
