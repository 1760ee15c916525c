package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"regcred/cmd/regcred/internal/registry"
)

// askRegistry asks a registry for an image without a login, as the container
// runtime is configured to reach it.
func (s *subject) askRegistry(ctx context.Context, image string) ([]registry.Result, error) {
	if s.System.Registry != nil {
		return s.System.Registry(ctx, image)
	}
	return registry.Checker{Hosts: s.Hosts, Proxy: s.Proxy, WayOnly: true}.Check(ctx, image, nil)
}

// checkRegistry looks at the way to the registries of the images that the
// providers are tried with, and of those that were given. Whether a login is
// taken is another question.
func checkRegistry(s *subject, r *recorder) {
	var images, hosts []string
	add := func(image string) {
		host, _, _ := strings.Cut(image, "/")
		if image != "" && !slices.Contains(hosts, host) {
			images, hosts = append(images, image), append(hosts, host)
		}
	}
	for _, image := range s.images()[:s.given()] {
		add(image)
	}
	if config := s.config(); config != nil {
		for i := range config.Providers {
			add(s.imageFor(&config.Providers[i]))
		}
	}
	if len(images) == 0 {
		r.skip("", "no image is known that a provider is asked for: regcred doctor --image IMAGE")
		return
	}
	for i, image := range images {
		s.tellRegistry(r, hosts[i], image)
	}
}

func (s *subject) tellRegistry(r *recorder, host, image string) {
	results, err := s.askRegistry(s.ctx, image)
	if err != nil {
		r.skip(host, "it cannot be asked: "+err.Error())
		return
	}
	var seen []string
	name, problem := "", ""
	for _, result := range results {
		failed := result.Failed()
		for _, stage := range result.Stages {
			if stage.Name == registry.DNS || stage.Name == registry.Connect {
				seen = append(seen, fmt.Sprintf("%s, %s: %s", result.Endpoint, stage.Name, stage.Detail))
			}
		}
		switch {
		case failed != nil && failed.Name == registry.DNS:
			name, problem = "registry-unresolvable", failed.Detail
		case failed != nil && failed.Name == registry.Connect:
			name, problem = "registry-unreachable", failed.Detail
		default:
			r.ok(host, "it answers", seen...)
			return
		}
	}
	if name == "" {
		r.skip(host, "nobody was asked")
		return
	}
	r.find(name, host, "images of "+host+" cannot be pulled: "+problem, "check the node's DNS, route, firewall and proxy for "+host+"; mirrors are in /etc/containerd/certs.d", seen...)
}

// given is how many of the images were given on the command line.
func (s *subject) given() int { return min(len(s.Images), len(s.images())) }
