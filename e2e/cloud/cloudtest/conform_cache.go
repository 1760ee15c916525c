package cloudtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

func (s Suite[F]) hits(t *testing.T) {
	n := s.boot(t)
	cold := n.WantLogin(n.Ask(n.Own()), n.Image(0), n.Machine.Owner)
	n.WantCalls(n.Machine.Calls)
	keep := 10 * time.Minute
	if s.Unkept {
		keep = 0
	}
	if cold.Keep != keep {
		t.Errorf("the kubelet keeps it for %s, want %s", cold.Keep, keep)
	}
	images := []string{
		n.Image(0), n.Registry(0) + "/another/team/tool",
		n.Image(0) + ":v1@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7",
	}
	for _, host := range s.Shared {
		images = append(images, host+"/"+n.Repository)
	}
	for _, image := range images {
		host, _, _ := strings.Cut(image, "/")
		if warm, _ := n.Ask(n.Question(image)).WantLogin(host, n.Username); warm != cold.Password {
			t.Errorf("%s: another password than the first", image)
		}
	}
	n.WantCalls()
}

func (s Suite[F]) hitsOffline(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		first := n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		n.WantCalls(way.Calls)
		for _, service := range n.Services {
			n.Cloud.Faults.Always(service, "", cloud.Hang{})
		}
		a := n.Ask(e.Question)
		if again := n.WantLogin(a, e.Image, e.Owner); again.Password != first.Password {
			n.T.Error("another password than the first")
		}
		a.WantWithin(Soon)
		n.WantCalls()
	})
}

func (s Suite[F]) privateCache(t *testing.T) {
	s.ways(t, func(n *Node[F], _ Way[F], e Errand) {
		n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		WantPrivateCache(n.T, n.Cloud)
	})
}

func (s Suite[F]) noCache(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		for range 2 {
			n.WantLogin(n.Ask(With(e.Question, "--cache-dir=")), e.Image, e.Owner)
			n.WantCalls(way.Calls)
		}
		WantNoCache(n.T, n.Cloud)
	})
}

// What is in the place of the cache may be broken or somebody else's. It is not
// believed, not followed, and no reason to pull nothing.
func (s Suite[F]) brokenCache(t *testing.T) {
	const secretly = "somebody else's"
	for _, test := range []struct {
		name string
		// prepare is given the cache's directory, in which there is nothing
		// yet, or what a first run has left.
		prepare func(t *testing.T, c *cloud.Cloud, dir string)
		warm    bool
	}{
		{"a file", func(t *testing.T, _ *cloud.Cloud, dir string) { write(t, dir, secretly) }, false},
		{"a link", func(t *testing.T, c *cloud.Cloud, dir string) {
			elsewhere := c.Path("/run/elsewhere")
			if err := os.Mkdir(elsewhere, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/run/elsewhere", dir); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 0 {
					t.Errorf("the link was followed: %v, %v", left, err)
				}
			})
		}, false},
		{"everybody's to write", func(t *testing.T, _ *cloud.Cloud, dir string) {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"read-only", func(t *testing.T, c *cloud.Cloud, dir string) {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			mount := exec.Command("mount", "-t", "tmpfs", "-o", "ro,mode=0700", "none", CacheDir)
			if err := c.Start(mount); err != nil {
				t.Skip(err)
			}
			if err := mount.Wait(); err != nil {
				t.Skip(err)
			}
		}, false},
		{"entries that are empty", eachEntry(func(t *testing.T, path string) { write(t, path, "") }), true},
		{"entries that are garbage", eachEntry(func(t *testing.T, path string) { write(t, path, "\x00{]"+secretly) }), true},
		{"entries that are cut short", eachEntry(func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()/2); err != nil {
				t.Fatal(err)
			}
		}), true},
		{"entries that are directories", eachEntry(func(t *testing.T, path string) { replace(t, path, os.Mkdir(path+".new", 0o700)) }), true},
		{"entries that are pipes", eachEntry(func(t *testing.T, path string) {
			replace(t, path, exec.Command("mkfifo", "-m", "600", path+".new").Run())
		}), true},
		{"entries that are links", eachEntry(func(t *testing.T, path string) { replace(t, path, os.Symlink("/etc/hostname", path+".new")) }), true},
		{"entries that everybody may write", eachEntry(func(t *testing.T, path string) {
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
		}), true},
		{"a directory in the lock's place", func(t *testing.T, _ *cloud.Cloud, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "lock"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q := n.Own()
			if test.warm {
				n.WantLogin(n.Ask(q), q.Image, n.Machine.Owner)
				n.Cloud.Calls.Reset()
			}
			test.prepare(t, n.Cloud, n.Cloud.Path(CacheDir))
			for range 2 {
				a := n.Ask(q)
				if secret := Secret(a.Stderr); secret != "" || strings.Contains(a.Stderr, secretly) {
					t.Errorf("stderr holds what it should not: %s", a.Stderr)
				}
				a.Stderr = "" // a word of warning
				n.WantLogin(a, q.Image, n.Machine.Owner)
				a.WantWithin(Soon)
			}
			if asked := n.Cloud.Calls.Count(fetch(n.Machine.Fetch)); asked < 1 || asked > 2 {
				t.Errorf("asked %d times, want once or, if nothing can be kept, twice", asked)
			}
		})
	}
}

func eachEntry(change func(t *testing.T, path string)) func(*testing.T, *cloud.Cloud, string) {
	return func(t *testing.T, c *cloud.Cloud, _ string) {
		all := entries(t, c)
		if len(all) == 0 {
			t.Fatal("there is nothing in the cache")
		}
		for _, path := range all {
			change(t, path)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts what was made beside a path in its place.
func replace(t *testing.T, path string, made error) {
	t.Helper()
	if made != nil {
		t.Fatal(made)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// fetch is an operation in two words.
func fetch(operation string) (service, name string) {
	service, name, _ = strings.Cut(operation, " ")
	return service, name
}
