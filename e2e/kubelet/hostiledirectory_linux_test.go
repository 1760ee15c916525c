package kubelet_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// Somebody else may have been in the cache's place first. What is there is then
// not used, not written through, and no reason to fail.
func TestADirectoryThatIsNotTheCachesFailsNoPull(t *testing.T) {
	tests := []struct {
		name string
		// prepare puts something at the cache's place. What it must not lead
		// to is in elsewhere.
		prepare func(t *testing.T, elsewhere string) error
	}{
		{"a link to a directory", func(_ *testing.T, elsewhere string) error {
			return os.Symlink(elsewhere, cloudtest.CacheDir)
		}},
		{"a link to a directory that is not there", func(_ *testing.T, elsewhere string) error {
			return os.Symlink(filepath.Join(elsewhere, "gone"), cloudtest.CacheDir)
		}},
		{"another user's directory", func(t *testing.T, _ string) error {
			if err := os.Mkdir(cloudtest.CacheDir, 0o700); err != nil {
				return err
			}
			return changeOwner(t, cloudtest.CacheDir)
		}},
		{"a directory that is open to everybody", func(_ *testing.T, _ string) error {
			if err := os.Mkdir(cloudtest.CacheDir, 0o700); err != nil {
				return err
			}
			return os.Chmod(cloudtest.CacheDir, 0o777)
		}},
		{"a read-only directory", func(t *testing.T, elsewhere string) error {
			if err := os.Mkdir(cloudtest.CacheDir, 0o700); err != nil {
				return err
			}
			mount(t, elsewhere, "", syscall.MS_BIND, "")
			return syscall.Mount("", cloudtest.CacheDir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}},
		{"a file", func(_ *testing.T, _ string) error {
			return os.WriteFile(cloudtest.CacheDir, nil, 0o600)
		}},
		{"a pipe", func(_ *testing.T, _ string) error {
			return syscall.Mkfifo(cloudtest.CacheDir, 0o600)
		}},
		{"a directory whose lock is a link", func(_ *testing.T, elsewhere string) error {
			if err := os.Mkdir(cloudtest.CacheDir, 0o700); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(elsewhere, "lock"), filepath.Join(cloudtest.CacheDir, "lock"))
		}},
		{"a directory whose lock is a directory", func(_ *testing.T, _ string) error {
			return os.MkdirAll(filepath.Join(cloudtest.CacheDir, "lock"), 0o700)
		}},
		{"a directory whose lock is a pipe", func(_ *testing.T, _ string) error {
			if err := os.Mkdir(cloudtest.CacheDir, 0o700); err != nil {
				return err
			}
			return syscall.Mkfifo(filepath.Join(cloudtest.CacheDir, "lock"), 0o600)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootAWS(t)
			elsewhere := t.TempDir()
			if err := os.Chmod(elsewhere, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := test.prepare(t, elsewhere); err != nil {
				t.Fatal(err)
			}
			kubelet := startKubelet(t, node.nodeSample())

			done := kubelet.pull(node.images(5)...)

			node.wantAll(done.Answers, node.Machine.Owner)
			wantPrompt(t, done)
			if asked := node.Cloud.Calls.Count("ecr", ""); asked > 5 {
				t.Errorf("ECR was asked %d times for 5 images", asked)
			}
			left, err := os.ReadDir(elsewhere)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) != 0 {
				t.Errorf("the plugin wrote %s elsewhere", left[0].Name())
			}
		})
	}
}

// changeOwner gives a file to somebody else. It skips the test in a user
// namespace that knows of nobody else.
func changeOwner(t *testing.T, path string) error {
	t.Helper()
	const nobody = 65534
	err := os.Chown(path, nobody, nobody)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) {
		t.Skipf("there is no other user here: %v", err)
	}
	return err
}
