package kubelet_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// A node without room for the cache still pulls.
func TestAFullDiskFailsNoPull(t *testing.T) {
	tests := []struct {
		name    string
		options string
		fill    func(t *testing.T)
	}{
		{
			name:    "no room for a byte",
			options: "mode=0700,size=64k",
			fill: func(t *testing.T) {
				if err := os.WriteFile(filepath.Join(cloudtest.CacheDir, "filler"), bytes.Repeat([]byte("x"), 64<<10), 0o600); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name:    "room for less than an entry",
			options: "mode=0700,size=4k",
			fill:    func(*testing.T) {},
		},
		{
			name:    "no room for a file",
			options: "mode=0700,nr_inodes=2",
			fill: func(t *testing.T) {
				if err := os.WriteFile(filepath.Join(cloudtest.CacheDir, "filler"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(cloudtest.CacheDir, "more"), nil, 0o600); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("there is still room: %v", err)
				}
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootAWS(t)
			if err := os.Mkdir(cloudtest.CacheDir, 0o700); err != nil {
				t.Fatal(err)
			}
			mount(t, "tmpfs", "tmpfs", 0, test.options)
			test.fill(t)
			kubelet := startKubelet(t, node.nodeSample())

			done := kubelet.pull(node.images(10)...)

			node.wantAll(done.Answers, node.Machine.Owner)
			if failed := failures(done); len(failed) != 0 {
				t.Errorf("kubelet logged %q", failed)
			}
			// Those that find no room ask for themselves, and do it once.
			if asked := node.Cloud.Calls.Count("ecr", ""); asked > 10 {
				t.Errorf("ECR was asked %d times for 10 images", asked)
			}
		})
	}
}

// mount mounts something over the cache's directory for the length of the test.
func mount(t *testing.T, source, kind string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount(source, cloudtest.CacheDir, kind, flags, options); err != nil {
		t.Fatalf("mount over %s: %v", cloudtest.CacheDir, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(cloudtest.CacheDir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", cloudtest.CacheDir, err)
		}
	})
}
