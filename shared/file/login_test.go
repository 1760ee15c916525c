package file

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

func TestLogin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "client-secret")
	l := &Login{"icr", "us.icr.io", "iamapikey", path, `logins["us.icr.io"].passwordFile`}
	if err := os.WriteFile(path, []byte("p4ss:word \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.Key(), credential.Key{"icr", "login", "us.icr.io", "iamapikey", path}) || l.String() != path+" for the password of user iamapikey at us.icr.io" {
		t.Errorf("%s, by %q", l, l.Key())
	}
	c, err := l.Fetch(t.Context(), nil)
	if err != nil || c.Username != "iamapikey" || c.Password.Reveal() != "p4ss:word " || c.Caller != "user iamapikey" {
		t.Errorf("got %+v, %v", c, err)
	}
	if life := time.Until(c.Expires); life < 4*time.Minute || life > 5*time.Minute {
		t.Errorf("for %s", life)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = l.Fetch(t.Context(), nil)
	want := `the password of user iamapikey, which logins["us.icr.io"].passwordFile names, cannot be read: no such file or directory: ` + path + " [credentials]"
	if err == nil || err.Error() != want || redact.Line(want) != want {
		t.Errorf("got %v, want %s, which is shown as %s", err, want, redact.Line(want))
	}
}
