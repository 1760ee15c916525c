//go:build !windows

package file_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/shared/file"
)

// Whatever an operator names is answered at once: the kubelet waits.
func TestNothingKeepsAReadWaiting(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	for _, path := range []string{pipe, link(t, pipe), socket, "/dev/zero", "/dev/null", "/dev/ptmx"} {
		result := make(chan error, 1)
		go func() {
			_, err := file.Read(path)
			result <- err
		}()
		select {
		case err := <-result:
			if err == nil || err.Error() != "not a regular file" {
				t.Errorf("%s: got %v", path, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s is still being read", path)
		}
	}
}

func TestReadsFilesThatTellNoSize(t *testing.T) {
	got, err := file.Read("/proc/self/status")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no /proc")
	}
	if err != nil || !strings.Contains(string(got), "\nPid:") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTrust(t *testing.T) {
	const self = -1
	for name, tc := range map[string]struct {
		mode     fs.FileMode
		uid, gid int
		want     string
	}{
		"its owner's":                {0o600, self, self, ""},
		"readable by all":            {0o644, self, self, ""},
		"writable by root's group":   {0o660, self, 0, ""},
		"writable by all":            {0o666, self, self, "writable by others: mode 0666"},
		"writable by all but group":  {0o602, self, self, "writable by others: mode 0602"},
		"writable by another group":  {0o660, self, 4711, "writable by others: mode 0660"},
		"writable by Debian's staff": {0o660, self, 50, "writable by others: mode 0660"},
		"readable by another group":  {0o640, self, 4711, ""},
		"another user's":             {0o600, 4711, self, "owned by user 4711; want root or the user who runs the plugin"},
		"root's":                     {0o600, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "text")
			if tc.uid != self || tc.gid != self {
				if os.Geteuid() != 0 {
					t.Skip("only root gives files away")
				}
				if err := os.Chown(path, tc.uid, tc.gid); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			got, err := file.Read(path)
			switch {
			case tc.want == "" && (err != nil || string(got) != "text"):
				t.Errorf("got %q, %v", got, err)
			case tc.want != "" && (err == nil || err.Error() != tc.want):
				t.Errorf("got %v, want %s", err, tc.want)
			}
			info, err := file.Check(path)
			switch {
			case tc.want == "" && (err != nil || info.Size() != 4):
				t.Errorf("checked: got %v, %v", info, err)
			case tc.want != "" && (err == nil || err.Error() != tc.want):
				t.Errorf("checked: got %v, want %s", err, tc.want)
			}
		})
	}
	for name, tc := range map[string]struct {
		mode     fs.FileMode
		uid, gid int
		want     string
	}{
		"a directory that all may write":         {0o777, self, self, "directory %s: writable by others: mode 0777"},
		"a sticky one":                           {0o777 | fs.ModeSticky, self, self, "directory %s: writable by others: mode 0777"},
		"another user's":                         {0o755, 4711, self, "directory %s: owned by user 4711; want root or the user who runs the plugin"},
		"another group's":                        {0o775, self, 4711, "directory %s: writable by others: mode 0775"},
		"root's group's":                         {0o775, self, 0, ""},
		"/usr/local/bin of old Debian":           {0o775 | fs.ModeSetgid, 0, 50, ""},
		"the same that all may write":            {0o777 | fs.ModeSetgid, 0, 50, "directory %s: writable by others: mode 0777"},
		"a directory that all may read":          {0o755, self, self, ""},
		"a directory that its owner alone reads": {0o700, self, self, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "text")
			dir := filepath.Dir(path)
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			if tc.uid != self || tc.gid != self {
				if os.Geteuid() != 0 {
					t.Skip("only root gives files away")
				}
				if err := os.Chown(dir, tc.uid, tc.gid); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, tc.mode); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(tc.want, "%s", dir)
			for _, name := range []string{path, link} {
				if _, err := file.Check(name); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
					t.Errorf("%s: got %v, want %s", name, err, want)
				}
			}
			if _, err := file.Read(path); err != nil {
				t.Errorf("what is no program: %v", err)
			}
		})
	}
	if _, err := file.Check(t.TempDir()); err == nil || err.Error() != "not a regular file" {
		t.Errorf("a directory: got %v", err)
	}
	if _, err := file.Check(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "none") {
		t.Errorf("nothing: got %v", err)
	}
}

func TestWhatMayNotBeReadIsAPermissionError(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	path := write(t, "text")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Read(path); !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
