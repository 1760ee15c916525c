package file_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/shared/file"
)

// write makes a file of its owner's alone.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadsWhatAnOperatorWrote(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(write(t, "linked"), link); err != nil {
		t.Fatal(err)
	}
	largest := strings.Repeat("x", 1<<20)
	for path, want := range map[string]string{
		write(t, "text\n"): "text\n",
		write(t, ""):       "",
		write(t, largest):  largest,
		link:               "linked",
	} {
		if got, err := file.Read(path); err != nil || string(got) != want {
			t.Errorf("got %.20q, %v; want %.20q", got, err, want)
		}
	}
}

func TestRefusesWhatIsNoFileToRead(t *testing.T) {
	dangling := filepath.Join(t.TempDir(), "dangling")
	if err := os.Symlink("/absent/file", dangling); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ path, want string }{
		"a directory":         {t.TempDir(), "not a regular file"},
		"a link to one":       {link(t, t.TempDir()), "not a regular file"},
		"a byte over the end": {write(t, strings.Repeat("x", 1<<20+1)), "larger than 1 MiB"},
	} {
		if _, err := file.Read(tc.path); err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
	for name, path := range map[string]string{
		"absent":                   filepath.Join(t.TempDir(), "absent"),
		"absent directory":         "/absent/file",
		"a link to what is absent": dangling,
	} {
		if _, err := file.Read(path); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want it to be absent, without the name", name, err)
		}
	}
	if _, err := file.Read(""); err == nil {
		t.Error("a name that is empty is read")
	}
}

func link(t *testing.T, to string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadSecret(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"hunter2hunter2", "hunter2hunter2"},
		{"hunter2hunter2\n", "hunter2hunter2"},
		{"hunter2hunter2\r\n\n", "hunter2hunter2"},
		{" with spaces \n", " with spaces "},
	} {
		if got, err := file.ReadSecret(write(t, tc.text)); err != nil || got.Reveal() != tc.want {
			t.Errorf("%q: got %q, %v", tc.text, got.Reveal(), err)
		}
	}
}

func TestReadSecretRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ path, want string }{
		"nothing":            {write(t, ""), "empty file"},
		"an empty line":      {write(t, "\r\n"), "empty file"},
		"two lines":          {write(t, "hunter2hunter2\nhunter3hunter3\n"), "more than one line"},
		"an empty one first": {write(t, "\nhunter2hunter2\n"), "more than one line"},
		"a NUL":              {write(t, "hunter2hunter2\x00"), "more than one line"},
		"a directory":        {t.TempDir(), "not a regular file"},
		"too much":           {write(t, strings.Repeat("x", 2<<20)), "larger than 1 MiB"},
	} {
		got, err := file.ReadSecret(tc.path)
		if err == nil || err.Error() != tc.want+": "+tc.path || !got.Empty() {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := file.ReadSecret("/absent/client-secret"); !errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), ": /absent/client-secret") {
		t.Errorf("got %v", err)
	}
}
