package acr

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

func TestSecretFiles(t *testing.T) {
	open := write(t, "secret", "hunter2hunter2")
	if err := os.Chmod(open, 0o666); err != nil { //nolint:gosec // What everybody may write is refused.
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ file, want string }{
		"absent":             {"/absent/secret", "credentials: no such file or directory: /absent/secret, asking as application " + client + " with the secret in /absent/secret of tenant " + tenant},
		"empty":              {write(t, "secret", "\n"), ": the file is empty: /"},
		"more than one line": {write(t, "secret", "hunter2hunter2\nhunter3hunter3\n"), ": the file has more than one line: /"},
		"too large":          {write(t, "secret", strings.Repeat("x", 2<<20)), ": the file is larger than 1 MiB: /"},
		"a folder":           {t.TempDir(), ": the file is not a regular file: /"},
		"of everybody":       {open, ": the file can be written by others: mode 0666: /"},
	} {
		app := &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, proof: secretProof{file: tc.file}}
		_, err := app.fetch(t.Context(), nil, (&service{t: t}).client())
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What follows the name of a secret and a colon is hidden: no message may have
// what matters there.
func TestMessagesAboutSecretFilesAreNotHidden(t *testing.T) {
	for _, name := range []string{"legacy.password", "client-secret"} {
		empty, absent := write(t, name, ""), filepath.Join(t.TempDir(), name)
		for file, want := range map[string]string{empty: "the file is empty", absent: "no such file or directory"} {
			sources := []credential.Source{&plainLogin{server: "a.azurecr.io", login: Login{Username: "admin", PasswordFile: file}}}
			for _, p := range []proof{secretProof{file: file}, tokenFileProof{file: file}, certificateProof{file: write(t, "app.pfx", "x"), passwordFile: file}} {
				sources = append(sources, &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, proof: p})
			}
			for _, source := range sources {
				_, err := source.Fetch(t.Context(), nil)
				if err == nil {
					t.Fatalf("%s: no error", file)
				}
				if shown := redact.Line(err.Error()); shown != err.Error() || !strings.Contains(shown, want+": "+file) {
					t.Errorf("shown is %q of %q", shown, err)
				}
			}
		}
	}
}
