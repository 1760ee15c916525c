package acr

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/redact"
)

// The identity's failure is passed on as it is.
func TestAManagedIdentityThatCannotVouch(t *testing.T) {
	for _, want := range []error{&credential.Failure{Err: errors.New("status 429"), RetryAfter: time.Second}, context.DeadlineExceeded} {
		failing := tokens(func(credential.TokenSource) (credential.Token, error) { return credential.Token{}, want })
		if _, err := vouched(&cloudFake{t: t}).Fetch(t.Context(), failing); !errors.Is(err, want) || err.Error() != want.Error() {
			t.Errorf("got %v", err)
		}
	}
}

// vouched is an application that the machine's identity vouches for.
func vouched(s *cloudFake) *application {
	return &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, auth: managedAuth{&managedIdentity{audience: "api://AzureADTokenExchange"}}, endpoints: s.endpoints()}
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
			g, s := &renewing{fresh: tc.fresh}, &cloudFake{t: t, answers: tc.answers}
			c, err := vouched(s).Fetch(t.Context(), g)
			if tc.want == "" && (err != nil || c.Value.Reveal() != "entra-token") || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
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
	// What is in a file is read again as it is.
	s := &cloudFake{t: t, answers: []answer{refused}}
	app := &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, auth: tokenFileAuth{file: write(t, "token", "t")}, endpoints: s.endpoints()}
	if _, err := app.Fetch(t.Context(), &renewing{fresh: "new"}); err == nil {
		t.Error("a token that is refused is good")
	}
}

// An application whose secret cannot be read says which file it is, what names
// it, and whose it is.
func TestSecretFiles(t *testing.T) {
	open := write(t, "secret", "hunter2hunter2")
	if err := os.Chmod(open, 0o666); err != nil { //nolint:gosec // What everybody may write is refused.
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ file, want string }{
		"absent":             {"/absent/secret", "no such file or directory: /absent/secret"},
		"empty":              {write(t, "secret", "\n"), "empty file: /"},
		"more than one line": {write(t, "secret", "hunter2hunter2\nhunter3hunter3\n"), "more than one line: /"},
		"too large":          {write(t, "secret", strings.Repeat("x", 2<<20)), "larger than 1 MiB: /"},
		"a directory":        {t.TempDir(), "not a regular file: /"},
		"of everybody":       {open, "writable by others: mode 0666: /"},
	} {
		_, err := anApplication(t, secretAuth{file: tc.file, setting: "clientSecretFile"}).Fetch(t.Context(), nil)
		text := plugintest.WantFailure(t, err, true, "the application's secret, which clientSecretFile names, cannot be read: "+tc.want, "", "credentials; as application "+client+" of tenant "+tenant+" with the secret in "+tc.file)
		if strings.Contains(text, "hunter") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func anApplication(t *testing.T, auth clientAuth) *application {
	return &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, auth: auth, endpoints: (&cloudFake{t: t}).endpoints()}
}

// What follows the name of a secret and a colon is hidden: no message may have
// what matters there.
func TestMessagesAboutSecretFilesAreNotHidden(t *testing.T) {
	for _, name := range []string{"legacy.password", "client-secret"} {
		empty, absent := write(t, name, ""), filepath.Join(t.TempDir(), name)
		for path, want := range map[string]string{empty: "empty file", absent: "no such file or directory"} {
			var errs []error
			_, err := (&file.Login{Username: "admin", PasswordFile: path}).Fetch(t.Context(), nil)
			errs = append(errs, err)
			for _, auth := range []clientAuth{
				secretAuth{file: path, setting: "clientSecretFile"}, tokenFileAuth{file: path, setting: "federatedTokenFile"},
				certificateAuth{file: write(t, "app.pfx", "x"), setting: "clientCertificateFile", passwordFile: path, passwordSetting: `registries["a.azurecr.io"].clientCertificatePasswordFile`},
			} {
				_, err := anApplication(t, auth).Fetch(t.Context(), nil)
				errs = append(errs, err)
			}
			for _, err := range errs {
				if err == nil {
					t.Fatalf("%s: no error", path)
				}
				if shown := redact.Line(err.Error()); shown != err.Error() || !strings.Contains(shown, want+": "+path) {
					t.Errorf("shown is %q of %q", shown, err)
				}
			}
		}
	}
}
