package acr

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
)

// renewing is a Getter with a token that is old, and what comes of asking for
// another.
type renewing struct {
	fresh string
	err   error
	// renewed are the sources that were asked again, and refused the tokens.
	renewed []credential.TokenSource
	refused []string
}

func (r *renewing) Token(context.Context, credential.TokenSource) (credential.Token, error) {
	return held("old"), nil
}

func (r *renewing) Renew(_ context.Context, source credential.TokenSource, refused credential.Token) (credential.Token, error) {
	r.renewed, r.refused = append(r.renewed, source), append(r.refused, refused.Value.Reveal())
	return held(r.fresh), r.err
}

// A token that is refused is asked for again, and there are two attempts at most.
func TestARefusedTokenIsRenewedOnce(t *testing.T) {
	token := plugintest.JWT(`{"exp":4000000000}`)
	unauthorized := answer{401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, nil}
	again := answer{401, `{"errors":[{"code":"UNAUTHORIZED","message":"refused again"}]}`, nil}
	granted := answer{200, `{"refresh_token":"` + token + `","access_token":"` + token + `"}`, nil}
	for name, tc := range map[string]struct {
		getter  renewing
		answers []answer
		renewed bool
		sent    []string
		want    string
	}{
		"a token that is good":             {renewing{}, []answer{granted}, false, []string{"old"}, ""},
		"a token that is good again":       {renewing{fresh: "new"}, []answer{unauthorized, granted}, true, []string{"old", "new"}, ""},
		"a new token is refused too":       {renewing{fresh: "new"}, []answer{unauthorized, again}, true, []string{"old", "new"}, "refused again"},
		"there is no other token":          {renewing{fresh: "old"}, []answer{unauthorized}, true, []string{"old"}, "authentication required"},
		"no other token can be got":        {renewing{err: errors.New("imds: status 429")}, []answer{unauthorized}, true, []string{"old"}, "authentication required"},
		"network rules refuse every token": {renewing{fresh: "new"}, []answer{{403, `{"errors":[{"code":"DENIED","message":"client with IP"}]}`, nil}}, false, []string{"old"}, "status 403"},
	} {
		for _, field := range []string{"access_token", "refresh_token"} {
			t.Run(name+", "+field, func(t *testing.T) {
				g, s := tc.getter, &cloudFake{t: t, answers: tc.answers}
				refresh := &refreshToken{server: loginServer{host: "a.azurecr.io"}, entra: &managedIdentity{audience: defaultAudience}, endpoints: s.endpoints()}
				var source, below credential.TokenSource = refresh, refresh.entra
				if field == "refresh_token" {
					source, below = &accessToken{repository: "app", refresh: refresh}, refresh
				}
				c, err := source.Fetch(t.Context(), &g)
				if tc.want == "" && (err != nil || c.Value.Reveal() != token) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				var sent []string
				for _, form := range s.forms {
					sent = append(sent, form.Get(field))
				}
				if !slices.Equal(sent, tc.sent) {
					t.Errorf("sent %q, want %q", sent, tc.sent)
				}
				switch {
				case !tc.renewed && len(g.renewed) == 0:
				case !tc.renewed || len(g.renewed) != 1 || g.renewed[0] != below || g.refused[0] != "old":
					t.Errorf("asked again %d times, for %q", len(g.renewed), g.refused)
				}
			})
		}
	}
}
