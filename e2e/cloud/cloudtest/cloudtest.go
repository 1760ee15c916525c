// Package cloudtest is what every suite of tests needs that runs the built
// binaries in a namespace with fake clouds.
package cloudtest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud"
)

// CacheDir is where plugins keep their cache unless they are told otherwise.
// In the namespace, /run is its own.
const CacheDir = "/run/regcred"

// sideBySide is how many parallel tests run at the same time unless a flag says
// otherwise: they wait for services that are slow or fail much more than they
// compute.
const sideBySide = "16"

// Run enters a namespace, runs the tests and returns the exit code. Without
// namespaces it says so in one line and runs none. Binaries are what the tests
// run, as Binary returns it.
func Run(m *testing.M, suite string, binaries ...string) int {
	for _, binary := range binaries {
		if _, err := os.Stat(binary); err != nil {
			fmt.Fprintf(os.Stderr, "%s: run make build: %v\n", suite, err)
			return 1
		}
	}
	switch err := cloud.Enter(); {
	case errors.Is(err, cloud.ErrUnsupported):
		fmt.Fprintf(os.Stderr, "%s: all tests skipped: %v\n", suite, err)
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", suite, err)
		return 1
	}
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", sideBySide) // a number
	}
	return m.Run()
}

// RunFake runs the tests of a fake cloud's own package, most of which need no
// namespace: inside one where there can be one, and otherwise all the same. It
// returns the exit code.
func RunFake(m *testing.M) int {
	if err := cloud.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if !errors.Is(err, cloud.ErrUnsupported) {
			return 1
		}
	}
	return m.Run()
}

// Path returns a path in the repository, for tests in a package of
// e2e/SUITE: the working directory of a test is its package's.
func Path(parts ...string) string {
	whole, err := filepath.Abs(filepath.Join(append([]string{"..", ".."}, parts...)...))
	if err != nil {
		panic(err) // there is no working directory
	}
	return whole
}

// Binary returns where make build leaves a plugin.
func Binary(name string) string { return Path("bin", name) }

// New starts clouds that live as long as the test, beside an empty cache.
// Whatever the test is about, it fails when a cloud was asked something that
// the real one would refuse for its form.
func New(t *testing.T) *cloud.Cloud {
	t.Helper()
	if err := os.RemoveAll(CacheDir); err != nil {
		t.Fatal(err)
	}
	c, err := cloud.New()
	return lent(t, c, err)
}

// Apart is New on a machine of its own, beside which there may be others: tests
// that have one each may be parallel.
func Apart(t *testing.T) *cloud.Cloud {
	t.Helper()
	c, err := cloud.Apart()
	return lent(t, c, err)
}

// lent gives a cloud to a test until its end.
func lent(t *testing.T, c *cloud.Cloud, err error) *cloud.Cloud {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, violation := range c.Calls.Violations() {
			t.Errorf("violation: %s", violation)
		}
		if t.Failed() {
			t.Logf("what the clouds were asked last:\n%s", c.Calls)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
