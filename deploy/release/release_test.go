// These tests look at what make release has left in dist/, and take it into use.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/deploy/release/image"
	"regcred/deploy/release/label"
	"regcred/deploy/release/tree"
)

const (
	repository = "../.."
	dist       = "../../dist"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if _, err := os.Stat(filepath.Join(dist, "checksums.txt")); err != nil {
		fmt.Fprintf(os.Stderr, "deploy/release: run make release: %v\n", err)
		return 1
	}
	var err error
	if earlierDir, err = os.MkdirTemp("", "earlier"); err != nil {
		fmt.Fprintf(os.Stderr, "deploy/release: %v\n", err)
		return 1
	}
	defer os.RemoveAll(earlierDir)
	return m.Run()
}

// one is the only file that a pattern finds in dist.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dist, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s finds %q, want one file; %v", pattern, found, err)
	}
	return found[0]
}

// native is the directory with the binaries for this machine.
func native() string { return filepath.Join(dist, "linux", runtime.GOARCH) }

func binaries(t *testing.T, directory string) []string {
	t.Helper()
	names, err := tree.Binaries(directory)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// must is what a program says, both ways. It has to succeed.
func must(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, output)
	}
	return string(output)
}

// version is what the binaries in a directory say that they are.
func version(t *testing.T) string {
	t.Helper()
	words := strings.Fields(must(t, filepath.Join(native(), binaries(t, native())[0]), "--version"))
	return words[1]
}

// released is what is in dist: what the binaries say, and the time in the
// archive.
func released(t *testing.T) release {
	t.Helper()
	file, err := os.Open(one(t, "regcred_*_linux_"+runtime.GOARCH+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	header, err := tar.NewReader(content).Next()
	if err != nil {
		t.Fatal(err)
	}
	made := release{time: header.ModTime.UTC(), revision: revision(t), dist: dist}
	if made.label, err = label.Parse(version(t), made.time); err != nil {
		t.Fatal(err)
	}
	return made
}

// revision is the commit that the image in dist says it was made of.
func revision(t *testing.T) string {
	t.Helper()
	index, _, err := image.ReadLayout(filepath.Join(dist, "image"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Annotations["org.opencontainers.image.revision"]
}

// again makes a release of this machine's binaries in the one edition, in a
// directory of its own.
func again(t *testing.T, text, revision string, at time.Time, repository string) release {
	t.Helper()
	made := release{time: at, revision: revision, maintainer: defaultMaintainer, dist: t.TempDir()}
	var err error
	if made.label, err = label.Parse(text, at); err != nil {
		t.Fatal(err)
	}
	if made.repository, err = filepath.Abs(repository); err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs(native())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(made.dist, "linux"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(source, filepath.Join(made.dist, "linux", runtime.GOARCH)); err != nil {
		t.Fatal(err)
	}
	if err := made.makeAll(); err != nil {
		t.Fatal(err)
	}
	return made
}

// previous is the package that was released before the one in dist.
func previous(t *testing.T, pattern string) string {
	t.Helper()
	earlier.Do(func() {
		made := again(t, "0000000", "", time.Unix(1700000000, 0), repository)
		must(t, "sh", "-c", "cp '"+made.dist+"'/*.deb '"+made.dist+"'/*.rpm '"+earlierDir+"'")
	})
	found, err := filepath.Glob(filepath.Join(earlierDir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s finds %q, want one file; %v", pattern, found, err)
	}
	return found[0]
}

// earlier makes the packages of previous, once for all tests, in a directory that
// outlives the first of them.
var (
	earlier    sync.Once
	earlierDir string
)

// root is a Debian system in a directory.
type root struct {
	t   *testing.T
	dir string
}

// newRoot unpacks a Debian system, the one that was made for an earlier test if
// there is one.
func newRoot(t *testing.T) root {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can install packages")
	}
	kept, err := filepath.Abs(filepath.Join(repository, ".cache", "debian-bookworm.tar"))
	if err != nil {
		t.Fatal(err)
	}
	r := root{t, t.TempDir()}
	if _, err := os.Stat(kept); err == nil {
		must(t, "tar", "-C", r.dir, "-xf", kept)
		return r
	}
	must(t, "debootstrap", "--variant=minbase", "bookworm", r.dir)
	r.run("apt-get clean && rm -rf /var/lib/apt/lists/*")
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, "tar", "-C", r.dir, "-cf", kept+".new", ".")
	if err := os.Rename(kept+".new", kept); err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs a shell script in the system, which has processes of its own and no
// network, and nobody who answers questions. It has to succeed.
func (r root) run(script string) string {
	r.t.Helper()
	command := exec.Command("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child",
		"--root="+r.dir, "--mount-proc=/proc", "/bin/sh", "-ec", script)
	command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	output, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", script, err, output)
	}
	return string(output)
}

// add copies a file into the system and returns its path there.
func (r root) add(file string) string {
	r.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	place := "/tmp/" + filepath.Base(file)
	if err := os.WriteFile(filepath.Join(r.dir, place), content, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return place
}

// listing is everything in the system, but what the package manager writes down
// and what was added to be installed.
func (r root) listing() string {
	r.t.Helper()
	return r.run(`find / -xdev \( -path /proc -o -path /tmp -o -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /var/log \) -prune -o -printf '%M %u %g %s %p %l\n' | grep -v '^d' | sort; find / -xdev -type d -not -path '/tmp/*' -not -path '/var/lib/rpm*' | sort`)
}

// wantSame fails the test with what differs between two listings.
func wantSame(t *testing.T, what, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	directory := t.TempDir()
	for name, content := range map[string]string{"before": before, "after": after} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	difference, _ := exec.Command("diff", "-U0", filepath.Join(directory, "before"), filepath.Join(directory, "after")).Output() // exit code 1: they differ
	t.Errorf("%s:\n%s", what, bytes.TrimSpace(difference))
}
