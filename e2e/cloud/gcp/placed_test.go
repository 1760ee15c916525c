package gcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/oauth2/google/externalaccount"

	"regcred/e2e/cloud"
)

// placed is a fake at its production names, and a context with a client for
// Google's libraries. It skips where there is no namespace.
func placed(t *testing.T) (context.Context, rig) {
	t.Helper()
	for _, name := range []string{"GCE_METADATA_HOST", "HTTPS_PROXY", "HTTP_PROXY"} {
		t.Setenv(name, "")
	}
	c, err := cloud.New()
	if errors.Is(err, cloud.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, violation := range c.Calls.Violations() {
			t.Errorf("violation: %s", violation)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	g := rig{Fake: New(c.Calls, c.Faults), calls: c.Calls, faults: c.Faults}
	if err := g.Place(c); err != nil {
		t.Fatal(err)
	}
	g.Configure(func(s *Settings) { s.Metadata.ServiceAccount = nodeAccount })
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: c.Authority.Pool()},
	}}
	return context.WithValue(t.Context(), oauth2.HTTPClient, client), g
}

// Google's own libraries are another reading of the same documents.
func TestGooglesMetadataLibraryIsAnswered(t *testing.T) {
	ctx, g := placed(t)
	client := metadata.NewClient(nil)
	for name, get := range map[string]func() (string, error){
		nodeAccount:       func() (string, error) { return client.EmailWithContext(ctx, "") },
		"example-project": func() (string, error) { return client.ProjectIDWithContext(ctx) },
		"123456789012":    func() (string, error) { return client.NumericProjectIDWithContext(ctx) },
		"[" + StorageReadOnly + " " + LoggingWrite + "]": func() (string, error) {
			scopes, err := client.ScopesWithContext(ctx, "default")
			return fmt.Sprint(scopes), err
		},
	} {
		if got, err := get(); err != nil || got != name {
			t.Errorf("answered %q, %v; want %q", got, err, name)
		}
	}
	g.Configure(func(s *Settings) { s.Metadata.ServiceAccount = "" })
	var undefined metadata.NotDefinedError
	if _, err := client.GetWithContext(ctx, "instance/service-accounts/default/token"); !errors.As(err, &undefined) {
		t.Errorf("without a service account: %v", err)
	}
}

func TestGooglesOAuthLibraryGetsTokens(t *testing.T) {
	ctx, g := placed(t)
	g.AddProvider(WorkloadIdentity("123456789012", "clusters", "main"))
	principal := WorkloadIdentity("123456789012", "clusters", "main").Principal(puller.Subject())
	g.AddServiceAccount(ServiceAccount{Email: pullAccount, Impersonators: []Principal{principal}})
	key, err := g.AddKey(nodeAccount)
	if err != nil {
		t.Fatal(err)
	}
	external := func(impersonate string) (oauth2.TokenSource, error) {
		return externalaccount.NewTokenSource(ctx, externalaccount.Config{
			Audience:                       wifAudience,
			SubjectTokenType:               jwtType,
			SubjectTokenSupplier:           subjectToken(g.workload(t, wifAudience, time.Hour)),
			Scopes:                         []string{StorageReadOnly},
			ServiceAccountImpersonationURL: impersonate,
		})
	}
	for _, test := range []struct {
		name   string
		source func() (oauth2.TokenSource, error)
		want   Principal
	}{
		{"exchange", func() (oauth2.TokenSource, error) { return external("") }, principal},
		{"impersonation", func() (oauth2.TokenSource, error) {
			return external("https://iamcredentials.googleapis.com" + pullPath)
		}, Account(pullAccount)},
		{"key", func() (oauth2.TokenSource, error) {
			credentials, err := google.CredentialsFromJSONWithType(ctx, key, google.ServiceAccount, StorageReadOnly)
			if err != nil {
				return nil, err
			}
			return credentials.TokenSource, nil
		}, Account(nodeAccount)},
	} {
		t.Run(test.name, func(t *testing.T) {
			source, err := test.source()
			if err != nil {
				t.Fatal(err)
			}
			token, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			known, ok := g.Token(token.AccessToken)
			if !ok || known.Principal != test.want {
				t.Errorf("the token of %q, want %q", known.Principal, test.want)
			}
			if left := time.Until(token.Expiry); left < 59*time.Minute || left > time.Hour {
				t.Errorf("%s left", left)
			}
		})
	}
}

// subjectToken hands the library a service account token, as a file would.
type subjectToken string

func (s subjectToken) SubjectToken(context.Context, externalaccount.SupplierOptions) (string, error) {
	return string(s), nil
}
