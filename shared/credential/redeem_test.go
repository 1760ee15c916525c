package credential_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"regcred/shared/credential"
)

// twoTokens is a Getter that has one token, and another when that was refused.
type twoTokens struct {
	first, second string
	getErr        error
	renewErr      error
}

func (g twoTokens) Token(context.Context, credential.TokenSource) (credential.Token, error) {
	return credential.Token{Value: credential.NewSecret(g.first)}, g.getErr
}

func (g twoTokens) Renew(_ context.Context, _ credential.TokenSource, refused credential.Token) (credential.Token, error) {
	if refused.Value.Reveal() != g.first {
		return credential.Token{}, errors.New("another token was refused")
	}
	return credential.Token{Value: credential.NewSecret(g.second)}, g.renewErr
}

func TestRedeem(t *testing.T) {
	down := errors.New("down")
	for name, tc := range map[string]struct {
		getter   twoTokens
		good     string // token that is taken; others are refused
		down     string // token with which the service is out of reach
		wantUsed []string
		wantErr  string
	}{
		"a good token":                      {twoTokens{first: "a", second: "b"}, "a", "", []string{"a"}, ""},
		"a refused one is replaced":         {twoTokens{first: "a", second: "b"}, "b", "", []string{"a", "b"}, ""},
		"once":                              {twoTokens{first: "a", second: "b"}, "c", "", []string{"a", "b"}, "b is refused"},
		"there is no other":                 {twoTokens{first: "a", second: "a"}, "b", "", []string{"a"}, "a is refused"},
		"another cannot be had":             {twoTokens{first: "a", renewErr: down}, "b", "", []string{"a"}, "a is refused"},
		"none can be had":                   {twoTokens{getErr: down}, "b", "", nil, "down"},
		"other failures change nothing":     {twoTokens{first: "a", second: "b"}, "b", "a", []string{"a"}, "down"},
		"nor do they hide that it was that": {twoTokens{first: "a", second: "b"}, "c", "b", []string{"a", "b"}, "a is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var used []string
			c, err := credential.Redeem(t.Context(), tc.getter, nil, func(token credential.Token) (credential.Credential, bool, error) {
				used = append(used, token.Value.Reveal())
				switch token.Value.Reveal() {
				case tc.down:
					return credential.Credential{}, false, down
				case tc.good:
					return credential.Credential{Username: "user"}, false, nil
				default:
					return credential.Credential{}, true, errors.New(token.Value.Reveal() + " is refused")
				}
			})
			if !slices.Equal(used, tc.wantUsed) {
				t.Errorf("used %q, want %q", used, tc.wantUsed)
			}
			if tc.wantErr == "" && (err != nil || c.Username != "user") || tc.wantErr != "" && (err == nil || err.Error() != tc.wantErr) {
				t.Errorf("got %+v, %v, want error %q", c, err, tc.wantErr)
			}
		})
	}
}
