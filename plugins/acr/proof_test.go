package acr

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/shared/cache"
	"regcred/shared/credential"
)

// The identity's failure is passed on as it is.
func TestAManagedIdentityThatCanNotVouch(t *testing.T) {
	failing := getter(func(credential.Source) (credential.Credential, error) {
		return credential.Credential{}, &credential.Failure{Err: errors.New("status 429"), RetryAfter: time.Second}
	})
	_, err := vouched(client).fetch(t.Context(), failing, (&service{t: t}).client())
	if failure, ok := errors.AsType[*credential.Failure](err); !ok || failure.RetryAfter != time.Second || err.Error() != "status 429" {
		t.Errorf("got %v", err)
	}
	// It is nobody's mistake on the node.
	failing = func(credential.Source) (credential.Credential, error) {
		return credential.Credential{}, context.DeadlineExceeded
	}
	_, err = vouched(client).fetch(t.Context(), failing, (&service{t: t}).client())
	if _, ok := errors.AsType[*credential.Failure](err); ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A failure of the identity's is shared by all applications, and told once.
func TestAFailureToVouchIsToldOnce(t *testing.T) {
	kept := cache.New(cache.Options{Dir: filepath.Join(t.TempDir(), "cache")})
	if _, err := kept.Get(t.Context(), throttled{t, vouched(client)}); err == nil || strings.Contains(err.Error(), "happened") {
		t.Fatalf("got %v", err)
	}
	for range 2 {
		_, err := kept.Get(t.Context(), throttled{t, vouched(client2)})
		if err == nil || !strings.HasPrefix(err.Error(), "imds: status 429") || strings.Count(err.Error(), "(happened ") != 1 {
			t.Errorf("got %v", err)
		}
	}
}

// vouched is an application that the machine's identity vouches for.
func vouched(client string) *application {
	return &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, proof: managedProof{&managedIdentity{audience: "api://AzureADTokenExchange"}}}
}

// throttled is an application on a machine whose metadata service has no time.
type throttled struct {
	t *testing.T
	*application
}

func (s throttled) Fetch(ctx context.Context, kept credential.Getter) (credential.Credential, error) {
	return s.fetch(ctx, getter(func(identity credential.Source) (credential.Credential, error) {
		return kept.Get(ctx, tooManyRequests(identity.Key()))
	}), (&service{t: s.t}).client())
}

type tooManyRequests credential.Key

func (s tooManyRequests) Key() credential.Key { return credential.Key(s) }

func (s tooManyRequests) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	return credential.Credential{}, &credential.Failure{Err: errors.New("imds: status 429")}
}

// Entra may refuse an identity's token in spite of its life, as a registry may.
func TestARefusedTokenOfAManagedIdentityIsRenewedOnce(t *testing.T) {
	refused := answer{401, `{"error":"invalid_client","error_description":"AADSTS700024: no","error_codes":[700024]}`, nil}
	unknown := answer{400, `{"error":"unauthorized_client","error_description":"AADSTS700016: no","error_codes":[700016]}`, nil}
	granted := answer{200, entraBody, nil}
	for name, tc := range map[string]struct {
		fresh   string
		answers []answer
		sent    []string
		want    string
	}{
		"a token that is good again": {"new", []answer{refused, granted}, []string{"old", "new"}, ""},
		"it is refused too":          {"new", []answer{refused, refused}, []string{"old", "new"}, "AADSTS700024"},
		"there is no other":          {"old", []answer{refused}, []string{"old"}, "AADSTS700024"},
		"it was not the token":       {"new", []answer{unknown}, []string{"old"}, "AADSTS700016"},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := &renewing{fresh: tc.fresh}, &service{t: t, answers: tc.answers}
			c, err := vouched(client).fetch(t.Context(), g, s.client())
			if tc.want == "" && (err != nil || c.Password.Reveal() != "entra-token") || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			var sent []string
			for _, form := range s.forms {
				sent = append(sent, form["client_assertion"]...)
			}
			if !slices.Equal(sent, tc.sent) {
				t.Errorf("sent %q, want %q", sent, tc.sent)
			}
		})
	}
	// What is in a file is read anew as it is.
	s := &service{t: t, answers: []answer{refused}}
	app := &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, proof: tokenFileProof{file: write(t, "token", "t")}}
	if _, err := app.fetch(t.Context(), &renewing{fresh: "new"}, s.client()); err == nil {
		t.Error("a token that is refused is good")
	}
}
