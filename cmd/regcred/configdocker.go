package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"regcred/shared/image"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

// dockerFlags are what config docker is told.
type dockerFlags struct {
	node   nodeFlags
	output string
}

func (a *app) configDocker() *cobra.Command {
	var f dockerFlags
	cmd := &cobra.Command{
		Use:   "docker [REGISTRY...]",
		Short: "Print what has docker, podman and the like ask this node's providers",
		Long: `docker prints what to write into the configuration of docker, nerdctl, crane and others
(config.json), and of podman, skopeo and buildah (registries.conf), for them to get the
logins that the kubelet gets: docker-credential-regcred asks this node's providers.

docker takes a helper for a registry at a time, by its whole host. Those that the
providers name are printed, and those that are given: a pattern with a star names none,
so give the registries that you use. Each is checked against the providers.

The helper has to be on the PATH of the client. It runs the plugins, so it needs the
rights to: to be root, as a rule.`,
		Example: `  regcred config docker 123456789012.dkr.ecr.eu-west-1.amazonaws.com
  regcred config docker -o docker myregistry.azurecr.io > /root/.docker/config.json`,
		RunE: func(_ *cobra.Command, args []string) error { return a.dockerConfig(f, args) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "text", "`text|docker|podman`: both with what they are, or one as it is written")
	f.node.add(flags)
	cmd.ValidArgsFunction = words()
	completeFlag(cmd, "output", "text", "docker", "podman")
	return cmd
}

// helperName is what comes behind "docker-credential-".
const helperName = "regcred"

func (a *app) dockerConfig(f dockerFlags, registries []string) error {
	if !slices.Contains([]string{"text", "docker", "podman"}, f.output) {
		return usageError(fmt.Errorf("--output %q: want text, docker or podman", f.output))
	}
	n, err := f.node.find()
	if err != nil {
		return err
	}
	if n.ProviderConfig == "" {
		return n.NeedProviders()
	}
	config, err := kubelet.Load(n.Path(n.ProviderConfig))
	if err != nil {
		return err
	}
	hosts, globs := hostsOf(config)
	for _, registry := range registries {
		host, err := image.ParseRegistry(registry)
		if err != nil {
			return usageError(fmt.Errorf("registry %.120q: %w", registry, err))
		}
		if !serves(config, host.String()) {
			return fmt.Errorf("registry %s: no provider is for it, so that clients would get nothing: %s", redact.Line(registry), nearest(config, host.String()))
		}
		hosts = append(hosts, host.String())
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	helpers := map[string]string{}
	for _, host := range hosts {
		helpers[host] = helperName
		if host == "docker.io" {
			helpers["https://index.docker.io/v1/"] = helperName // docker's own name of it
		}
	}
	const podman = `credential-helpers = ["containers-auth.json", "` + helperName + `"]`
	switch f.output {
	case "podman":
		a.out.Line(podman)
		return nil
	case "docker":
		if len(hosts) == 0 {
			return errors.New("no registry: the providers have patterns alone: " + redact.Line(strings.Join(globs, ", ")) + "; name the registries that you use")
		}
		return printJSON(a.out, map[string]any{"credHelpers": helpers})
	}
	a.out.Line("# docker, nerdctl, crane, oras: ~/.docker/config.json, for root /root/.docker/config.json")
	if len(hosts) > 0 {
		if err := printJSON(a.out, map[string]any{"credHelpers": helpers}); err != nil {
			return err
		}
	}
	if len(globs) > 0 {
		a.out.Line("# Name the registries that you use of " + redact.Line(strings.Join(globs, ", ")) + ": regcred config docker REGISTRY...")
	}
	a.out.Line("\n# podman, skopeo, buildah: /etc/containers/registries.conf, before its first table")
	a.out.Line(podman)
	return nil
}

// hostsOf are the hosts that the providers' patterns name whole, and the patterns
// that name several.
func hostsOf(config *kubelet.Config) (hosts, globs []string) {
	for i := range config.Providers {
		for _, pattern := range config.Providers[i].MatchImages {
			host, _, _ := strings.Cut(pattern, "/")
			if _, err := image.ParseRegistry(host); err == nil {
				hosts = append(hosts, host)
			} else if !slices.Contains(globs, pattern) {
				globs = append(globs, pattern)
			}
		}
	}
	return hosts, globs
}

// serves reports whether a provider is for an image of a registry, whichever
// that is.
func serves(config *kubelet.Config, host string) bool {
	for i := range config.Providers {
		for _, pattern := range config.Providers[i].MatchImages {
			_, path, _ := strings.Cut(pattern, "/")
			if matched, err := image.Match(pattern, host+"/"+path+"any"); err == nil && matched {
				return true
			}
		}
	}
	return false
}

// nearest says which pattern comes nearest to a registry, and why it is not it.
func nearest(config *kubelet.Config, host string) string {
	matches := config.Match(host + "/any")
	reasons := make([]string, 0, len(matches))
	for _, match := range matches {
		reasons = append(reasons, match.Provider.Name+": "+match.Pattern+": "+match.Reason)
	}
	return redact.Line(strings.Join(reasons, "; "))
}
