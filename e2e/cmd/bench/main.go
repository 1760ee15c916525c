// Command bench measures ecr-credential-provider, as the kubelet runs it,
// against the smallest Go program that answers, in one run and on one machine,
// and prints a table of ratios.
//
//	bench [PLUGIN]
//
// PLUGIN is the binary to measure, by default bin/ecr-credential-provider.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cmd/internal/scene"
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
	plugin := "bin/ecr-credential-provider"
	if len(os.Args) > 1 {
		plugin = os.Args[1]
	}
	if err := run(plugin); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(plugin string) (err error) {
	stage, err := scene.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	scratch, err := os.MkdirTemp("", "regcred-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()

	rig, err := newRig(plugin, scratch)
	if err != nil {
		return err
	}
	hit, err := rig.measureHit()
	if err != nil {
		return err
	}
	cold, err := rig.measureCold()
	if err != nil {
		return err
	}
	stage.AWS.Configure(func(s *aws.Settings) { s.Latency = distance })
	storm, err := rig.measureStorm(stage)
	if err != nil {
		return err
	}
	size, err := os.Stat(plugin)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %s/%s\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	printTable([]row{
		{"warm hit, start to exit", hit.plugin.wall, hit.minimal.wall, "2.0"},
		{"warm hit, CPU", hit.plugin.cpu, hit.minimal.cpu, ""},
		{"cold, cloud at 0 ms", cold.plugin.wall, cold.minimal.wall, ""},
		{fmt.Sprintf("storm of %d, cloud at %s, wall", images, distance), storm.plugin.wall, storm.minimal.wall, "1.5"},
		{fmt.Sprintf("storm of %d, cloud at %s, CPU", images, distance), storm.plugin.cpu, storm.minimal.cpu, "1.5"},
	})
	fmt.Printf("\npeak memory of a warm hit: %.1f MB (the minimal program: %.1f MB)\n", megabytes(hit.plugin.peak), megabytes(hit.minimal.peak))
	fmt.Printf("binary: %.1f MB (aim: under 12)\n", megabytes(size.Size()))
	fmt.Printf("calls of a storm: %s\n", storm.calls)
	return nil
}

// rig is what is measured and what it is measured against.
type rig struct {
	plugin  []string
	minimal []string
	scratch string
}

// newRig builds the minimal program and lets the plugin answer once, so that
// the minimal one prints an answer of the same size.
func newRig(plugin, scratch string) (*rig, error) {
	minimal := filepath.Join(scratch, "minimal")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", minimal, "./e2e/cmd/bench/minimal")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the minimal program: %w: %s", err, output)
	}
	answer, err := output([]string{plugin}, request("warm"))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(scratch, "answer")
	if err := os.WriteFile(file, answer, 0o600); err != nil {
		return nil, err
	}
	return &rig{plugin: []string{plugin}, minimal: []string{minimal, file}, scratch: scratch}, nil
}
