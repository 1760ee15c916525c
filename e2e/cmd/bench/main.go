// Command bench measures the plugins, as the kubelet runs them, against the
// smallest Go program that answers, in one run and on one machine, and prints
// tables of ratios.
//
//	bench [PLUGIN]...
//
// PLUGIN is the name of a plugin to measure, as in bin/; by default all are.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"regcred/e2e/cloud"
)

const (
	// runs is how often a warm hit is measured: enough for a median that is
	// the same to a few hundredths of a millisecond the next time.
	runs = 400
	// colds is how often a cold call is measured.
	colds = 40
	// images is how many distinct images the storm asks for, the kubelet's
	// default number of pods.
	images = 110
	// storms is how often the storm is measured.
	storms = 7
	// distance is how far away the cloud of the storm is.
	distance = 50 * time.Millisecond
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(plugins []string) (err error) {
	if err := cloud.Enter(); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "regcred-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	minimal, err := buildMinimal(scratch)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %s/%s\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	for _, s := range subjects {
		if len(plugins) > 0 && !slices.Contains(plugins, s.plugin) {
			continue
		}
		if err := measure(s, minimal, scratch); err != nil {
			return fmt.Errorf("%s: %w", s.plugin, err)
		}
	}
	return nil
}

// buildMinimal builds the smallest program.
func buildMinimal(dir string) (string, error) {
	minimal := filepath.Join(dir, "minimal")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", minimal, "./e2e/cmd/bench/minimal")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the minimal program: %w: %s", err, output)
	}
	return minimal, nil
}

// measure prints the table of one plugin.
func measure(s subject, minimal, scratch string) (err error) {
	c, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r, err := newRig(s, minimal, scratch)
	if err != nil {
		return err
	}
	hit, err := r.measureHit()
	if err != nil {
		return err
	}
	cold, err := r.measureCold()
	if err != nil {
		return err
	}
	c.Faults.Always(s.service, "", cloud.Slow{Delay: distance})
	storm, err := r.measureStorm(c.Calls)
	if err != nil {
		return err
	}
	size, err := os.Stat(r.plugin[0])
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n\n", s.plugin)
	printTable([]row{
		{"warm hit, start to exit", hit.plugin.wall, hit.minimal.wall, "2.0"},
		{"warm hit, CPU", hit.plugin.cpu, hit.minimal.cpu, ""},
		{"cold, cloud at 0 ms", cold.plugin.wall, cold.minimal.wall, ""},
		{fmt.Sprintf("storm of %d, cloud at %s, wall", images, distance), storm.plugin.wall, storm.minimal.wall, "1.5"},
		{fmt.Sprintf("storm of %d, cloud at %s, CPU", images, distance), storm.plugin.cpu, storm.minimal.cpu, "1.5"},
	})
	fmt.Printf("\nPeak memory of a warm hit: %.1f MB (the yardstick: %.1f MB). Binary: %.1f MB (aim: under 12).\nCalls of a storm: %s.\n",
		megabytes(hit.plugin.peak), megabytes(hit.minimal.peak), megabytes(size.Size()), storm.calls)
	return nil
}
