package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const (
	// crowd is how many pods pull at once, each as itself, from a cloud that is
	// near away, and crowds how often that is measured.
	crowd  = 40
	crowds = 5
	near   = 20 * time.Millisecond

	// entries are live ones that the cache holds beside those of the crowd, and
	// masses more than it would keep.
	entries, masses = 5000, 40000
)

// measureCrowd holds a cache that is full of what others left against an empty
// one.
func (r *rig) measureCrowd() ([]row, error) {
	for _, service := range r.node.Services {
		r.node.Cloud.Faults.Always(service, "", cloud.Slow{Delay: near})
	}
	defer r.node.Cloud.Faults.Clear()
	pods, err := r.pods()
	if err != nil {
		return nil, err
	}
	full, err := r.beside(entries, crowds, func() (cost, error) { return together(crowd, pods) })
	if err != nil {
		return nil, err
	}
	one, err := r.beside(masses, crowds, func() (cost, error) { return spend(r.run("cold")) })
	if err != nil {
		return nil, err
	}
	return []row{
		{fmt.Sprintf("%d pods with %d entries, to an empty cache", crowd, entries), full.plugin.wall, full.yard.wall, "1.5"},
		{fmt.Sprintf("cold fetch with %d entries, to an empty cache", masses), one.plugin.wall, one.yard.wall, "1.5"},
	}, nil
}

// pods are runs for pods that are apart.
func (r *rig) pods() (func(int) *exec.Cmd, error) {
	identity := r.node.Workload(fake.Shop)
	questions := make([]fake.Question, crowd)
	for i := range questions {
		account := fake.Shop
		account.Pod, account.PodUID = fmt.Sprintf("web-%d", i), fmt.Sprintf("5d8c7a52-6e0b-4d2e-8f33-%012d", i)
		var err error
		if questions[i], err = r.node.PodQuestion(r.node.Image(0), account, identity); err != nil {
			return nil, err
		}
	}
	return func(i int) *exec.Cmd {
		return questions[i].Command(context.Background(), r.plugin, "--identity-scope=pod")
	}, nil
}

// beside measures something with an empty cache and with one that holds so many
// entries.
func (r *rig) beside(count, times int, spend func() (cost, error)) (comparison, error) {
	var full, empty []cost
	for range times {
		if err := forget(); err != nil {
			return comparison{}, err
		}
		one, err := spend()
		if err != nil {
			return comparison{}, err
		}
		empty = append(empty, one)
		if err := r.fill(count); err != nil {
			return comparison{}, err
		}
		two, err := spend()
		if err != nil {
			return comparison{}, err
		}
		full = append(full, two)
	}
	return comparison{plugin: median(full), yard: median(empty)}, nil
}

// fill leaves copies of a live entry in an otherwise empty cache. They are old
// enough to be looked at when the cache is tidied.
func (r *rig) fill(count int) error {
	if err := forget(); err != nil {
		return err
	}
	if _, err := spend(r.run("warm")); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(cacheDir, "*.json"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("%d entries in %s, %w", len(found), cacheDir, err)
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	_, ext, _ := strings.Cut(filepath.Base(found[0]), ".")
	if err := forget(); err != nil {
		return err
	}
	if err := os.Mkdir(cacheDir, 0o700); err != nil {
		return err
	}
	old := time.Now().Add(-2 * time.Hour)
	name := make([]byte, 32)
	for range count {
		if _, err := rand.Read(name); err != nil {
			return err
		}
		path := filepath.Join(cacheDir, hex.EncodeToString(name)+"."+ext)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(path, old, old); err != nil {
			return err
		}
	}
	return nil
}
