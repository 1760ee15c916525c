package install

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Where files have SELinux's labels, a program gets that of the one in whose
// place it is, or that of programs, and a vendor's comes back with its own.
func TestLabels(t *testing.T) {
	const bins = "etc/eks/image-credential-provider"
	m := newMachine(t, eks())
	set := func(name, label string) {
		if err := unix.Setxattr(filepath.Join(m.dir, name), "security.selinux", []byte(label), 0); err != nil {
			t.Skipf("no labels here: %v", err)
		}
	}
	want := func(name, label string) {
		t.Helper()
		value := make([]byte, 256)
		n, err := unix.Getxattr(filepath.Join(m.dir, name), "security.selinux", value)
		if err != nil || string(value[:n]) != label {
			t.Errorf("%s: got %q, %v; want %q", name, value[:max(n, 0)], err, label)
		}
	}
	const vendors, etc, program = "system_u:object_r:vendor_t:s0\x00", "system_u:object_r:etc_t:s0\x00", "system_u:object_r:bin_t:s0\x00"
	set(bins, etc)
	set(bins+"/config.json", etc)
	set(bins+"/ecr-credential-provider", vendors)
	m.mustInstall(Options{Clouds: []string{"aws", "gcp"}})
	want(bins+"/ecr-credential-provider", vendors)
	want(bins+"/gcr-credential-provider", program)
	want(bins+"/config.json", etc)
	m.mustUninstall()
	want(bins+"/ecr-credential-provider", vendors)
	want(bins+"/config.json", etc)
}
