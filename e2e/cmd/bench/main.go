// Command bench measures the plugins, as the kubelet runs them, against the
// smallest Go program that answers, in one run and on one machine, and prints
// tables of ratios.
//
//	bench [CLOUD]...
//
// CLOUD is aws, gcp, azure, oracle or ibm; by default all are measured.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/fake"
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

	// cacheDir is the plugins' default; the namespace has a /run of its own.
	cacheDir = "/run/regcred"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(names []string) (err error) {
	for _, name := range names {
		if _, err := clouds.Find(name); err != nil {
			return err
		}
	}
	if err := cloud.Enter(); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "regcred-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	y, err := buildYardsticks(scratch)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %s/%s\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	for _, kind := range clouds.All() {
		if len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, kind.Name) }) {
			continue
		}
		if err := measure(kind, y, scratch); err != nil {
			return fmt.Errorf("%s: %w", kind.Plugin, err)
		}
	}
	return nil
}

// measure prints the table of one plugin.
func measure(kind fake.Kind, y yardsticks, scratch string) (err error) {
	c, err := cloud.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r, err := newRig(c, kind, y, scratch)
	if err != nil {
		return err
	}
	rows, hit, err := r.measureRuns()
	if err != nil {
		return err
	}
	crowded, err := r.measureCrowd()
	if err != nil {
		return err
	}
	service, _, _ := strings.Cut(r.node.Machine.Fetch, " ")
	c.Faults.Always(service, "", cloud.Slow{Delay: distance})
	storm, err := r.measureStorm(c.Calls)
	if err != nil {
		return err
	}
	size, err := os.Stat(r.plugin)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n\n", kind.Plugin)
	printTable(append(append(rows,
		row{fmt.Sprintf("storm of %d, cloud at %s, wall", images, distance), storm.plugin.wall, storm.yard.wall, "1.5"},
		row{fmt.Sprintf("storm of %d, cloud at %s, CPU", images, distance), storm.plugin.cpu, storm.yard.cpu, ""},
	), crowded...))
	fmt.Printf("\nPeak memory of a warm hit: %.1f MB (the yardstick: %.1f MB). Binary: %.1f MB.\nCalls of a storm: %s.\n",
		megabytes(hit.plugin.peak), megabytes(hit.yard.peak), megabytes(size.Size()), storm.calls)
	return nil
}
