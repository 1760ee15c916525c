package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/shared/credential"
)

// A hit is what nearly every run of a plugin is.
func BenchmarkHit(b *testing.B) {
	parent := inMemoryDir(b)
	if parent == "" {
		parent = b.TempDir()
	}
	cache := New(Options{Dir: filepath.Join(parent, "cache"), Node: "node-1"})
	cloud := &fakeCloud{key: credential.Key{"ecr", "us-east-1", "123456789012", "node"}, fetch: func(int) (credential.Credential, error) {
		return credential.Credential{Username: "AWS", Password: credential.NewSecret(strings.Repeat("x", 2400)), Expires: time.Now().Add(12 * time.Hour)}, nil
	}}
	if _, err := cache.Get(b.Context(), cloud); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cache.Get(b.Context(), cloud); err != nil {
			b.Fatal(err)
		}
	}
	if calls := cloud.calls.Load(); calls != 1 {
		b.Errorf("the cloud was asked %d times", calls)
	}
}

// A cold fetch with its tidying up, as it was in the directories of nodes with
// many pods.
func BenchmarkColdFetch(b *testing.B) {
	for _, count := range []int{0, 5000, 40000} {
		b.Run(fmt.Sprint(count, " entries"), func(b *testing.B) {
			dir := filled(b, count)
			call := 0
			for b.Loop() {
				call++
				_ = os.Remove(filepath.Join(dir, tidyMark)) // it is due each time
				pod(b, dir, call, 0)
			}
		})
	}
}

// The pods of a node that starts, each with its own identity, on a node that
// had many.
func BenchmarkFortyPods(b *testing.B) {
	const pods = 40
	for _, count := range []int{0, 5000, 40000} {
		b.Run(fmt.Sprint(count, " entries"), func(b *testing.B) {
			dir := filled(b, count)
			call := 0
			for b.Loop() {
				_ = os.Remove(filepath.Join(dir, tidyMark)) // it is due for one of them
				var group sync.WaitGroup
				for range pods {
					call++
					group.Go(func() { pod(b, dir, call, 20*time.Millisecond) })
				}
				group.Wait()
			}
		})
	}
}

// filled returns a cache directory with a number of live entries.
func filled(b *testing.B, count int) string {
	parent := inMemoryDir(b)
	if parent == "" {
		parent = b.TempDir()
	}
	dir := filepath.Join(parent, "cache")
	must(b, os.Mkdir(dir, 0o700))
	for i := range count {
		put(b, dir, numbered(i)+entryExt, 2400, time.Now().Add(12*time.Hour))
	}
	return dir
}

// pod is one run for a pod whose credential is not there yet.
func pod(b *testing.B, dir string, i int, distance time.Duration) {
	cache := New(Options{Dir: dir, Node: "node-1"})
	_, err := cache.Get(b.Context(), &fakeCloud{key: credential.Key{"pod", fmt.Sprint(i)}, fetch: func(int) (credential.Credential, error) {
		time.Sleep(distance)
		return credential.Credential{Username: "AWS", Password: credential.NewSecret(strings.Repeat("x", 2400)), Expires: time.Now().Add(12 * time.Hour)}, nil
	}})
	must(b, err)
	cache.Tidy()
}
