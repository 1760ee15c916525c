package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cmd/internal/scene"
)

// cacheDir is the plugin's default; the namespace has a /run of its own.
const cacheDir = "/run/regcred"

// comparison is a figure of the plugin and the one that it is held against.
type comparison struct {
	plugin, minimal cost
	calls           string
}

// request is what the kubelet writes for an image of the registry.
func (r *rig) request(image string) []byte {
	encoded, err := json.Marshal(scene.NodeRequest(r.registry + "/" + image))
	if err != nil {
		panic(err) // a struct of strings always encodes
	}
	return encoded
}

// measureHit runs both programs in turn, so that whatever else the machine
// does meets both.
func (r *rig) measureHit() (comparison, error) {
	var plugin, minimal []cost
	for range runs {
		p, errP := spend(r.plugin, r.request("warm"))
		m, errM := spend(r.minimal, r.request("warm"))
		if err := errors.Join(errP, errM); err != nil {
			return comparison{}, err
		}
		plugin, minimal = append(plugin, p), append(minimal, m)
	}
	c := comparison{plugin: median(plugin), minimal: median(minimal)}
	var err error
	if c.plugin.peak, err = peak(r.plugin, r.request("warm")); err != nil {
		return comparison{}, err
	}
	c.minimal.peak, err = peak(r.minimal, r.request("warm"))
	return c, err
}

// measureCold runs the plugin with an empty cache: four requests to the cloud,
// which answers at once.
func (r *rig) measureCold() (comparison, error) {
	var plugin, minimal []cost
	for range colds {
		if err := os.RemoveAll(cacheDir); err != nil {
			return comparison{}, err
		}
		p, errP := spend(r.plugin, r.request("cold"))
		m, errM := spend(r.minimal, r.request("cold"))
		if err := errors.Join(errP, errM); err != nil {
			return comparison{}, err
		}
		plugin, minimal = append(plugin, p), append(minimal, m)
	}
	return comparison{plugin: median(plugin), minimal: median(minimal)}, nil
}

// measureStorm asks for many images at once with an empty cache, and holds
// that against as many runs of the minimal program and one cold call.
func (r *rig) measureStorm(calls *cloud.Calls) (comparison, error) {
	var plugin, minimal []cost
	asked := ""
	for range storms {
		if err := os.RemoveAll(cacheDir); err != nil {
			return comparison{}, err
		}
		calls.Reset()
		p, err := r.storm(r.plugin)
		if err != nil {
			return comparison{}, err
		}
		asked = summary(calls)
		m, err := r.storm(r.minimal)
		if err != nil {
			return comparison{}, err
		}
		if err := os.RemoveAll(cacheDir); err != nil {
			return comparison{}, err
		}
		one, err := spend(r.plugin, r.request("cold"))
		if err != nil {
			return comparison{}, err
		}
		plugin, minimal = append(plugin, p), append(minimal, m.plus(one))
	}
	return comparison{plugin: median(plugin), minimal: median(minimal), calls: asked}, nil
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

// storm runs a program once for each image, all at the same time.
func (r *rig) storm(program []string) (cost, error) {
	var (
		group  sync.WaitGroup
		begin  = time.Now()
		costs  = make([]cost, images)
		errs   = make([]error, images)
		result cost
	)
	for i := range images {
		group.Go(func() { costs[i], errs[i] = spend(program, r.request(fmt.Sprintf("app-%d", i))) })
	}
	group.Wait()
	result.wall = time.Since(begin)
	for _, c := range costs {
		result.cpu += c.cpu
	}
	return result, errors.Join(errs...)
}
