package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cloud"
)

// comparison is a figure of the plugin and the one that it is held against.
type comparison struct {
	plugin, yard cost
	calls        string
}

// alternate runs two programs in turn, so that whatever else the machine does
// meets both. Before is called before each turn.
func alternate(times int, before func() error, plugin, yard func() *exec.Cmd) (comparison, error) {
	var p, y []cost
	for range times {
		if err := before(); err != nil {
			return comparison{}, err
		}
		one, errP := spend(plugin())
		two, errY := spend(yard())
		if err := errors.Join(errP, errY); err != nil {
			return comparison{}, err
		}
		p, y = append(p, one), append(y, two)
	}
	return comparison{plugin: median(p), yard: median(y)}, nil
}

func nothing() error { return nil }

func forget() error { return os.RemoveAll(cacheDir) }

// measureRuns measures single runs: a hit, and a cold call to a cloud that
// answers at once.
func (r *rig) measureRuns() (rows []row, hit comparison, err error) {
	warm := func() *exec.Cmd { return r.run("warm") }
	minimal := func() *exec.Cmd { return r.yard(r.minimal, "warm") }
	if hit, err = alternate(runs, nothing, warm, minimal); err != nil {
		return nil, hit, err
	}
	rows = append(rows, row{"warm hit, start to exit", hit.plugin.wall, hit.yard.wall, "1.8"}, row{"warm hit, CPU", hit.plugin.cpu, hit.yard.cpu, ""})
	if r.sdk.path != "" {
		linked, err := alternate(runs, nothing, warm, func() *exec.Cmd { return r.yard(r.sdk, "warm") })
		if err != nil {
			return nil, hit, err
		}
		rows = append(rows, row{"warm hit, to a program that links the SDK's config", linked.plugin.wall, linked.yard.wall, "1.1"})
	}
	if hit.plugin.peak, err = peak(warm()); err != nil {
		return nil, hit, err
	}
	if hit.yard.peak, err = peak(minimal()); err != nil {
		return nil, hit, err
	}
	cold, err := alternate(colds, forget, warm, minimal)
	return append(rows, row{"cold, cloud at 0 ms", cold.plugin.wall, cold.yard.wall, ""}), hit, err
}

// measureStorm asks for many images at once with an empty cache, and holds
// that against as many runs of the minimal program and one cold call.
func (r *rig) measureStorm(calls *cloud.Calls) (comparison, error) {
	var plugin, yard []cost
	asked := ""
	for range storms {
		if err := forget(); err != nil {
			return comparison{}, err
		}
		calls.Reset()
		p, err := together(images, func(i int) *exec.Cmd { return r.run(fmt.Sprintf("app-%d", i)) })
		if err != nil {
			return comparison{}, err
		}
		asked = summary(calls)
		y, err := together(images, func(i int) *exec.Cmd { return r.yard(r.minimal, fmt.Sprintf("app-%d", i)) })
		if err != nil {
			return comparison{}, err
		}
		if err := forget(); err != nil {
			return comparison{}, err
		}
		one, err := spend(r.run("cold"))
		if err != nil {
			return comparison{}, err
		}
		plugin, yard = append(plugin, p), append(yard, y.plus(one))
	}
	return comparison{plugin: median(plugin), yard: median(yard), calls: asked}, nil
}

// summary says how often each service was asked.
func summary(calls *cloud.Calls) string {
	counts := map[string]int{}
	for _, call := range calls.All() {
		counts[call.Service]++
	}
	var all []string
	for _, service := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%d %s", counts[service], service))
	}
	return strings.Join(all, ", ")
}

// together runs programs at the same time and measures them as one.
func together(count int, command func(int) *exec.Cmd) (cost, error) {
	var (
		group  sync.WaitGroup
		begin  = time.Now()
		costs  = make([]cost, count)
		errs   = make([]error, count)
		result cost
	)
	for i := range count {
		group.Go(func() { costs[i], errs[i] = spend(command(i)) })
	}
	group.Wait()
	result.wall = time.Since(begin)
	for _, c := range costs {
		result.cpu += c.cpu
	}
	return result, errors.Join(errs...)
}
