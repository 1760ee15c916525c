package helper

import (
	"errors"
	"strings"

	"regcred/shared/kubelet"
)

// hub is Docker Hub's registry as the kubelet names it.
const hub = "docker.io"

// isHub reports whether clients mean Docker Hub by a host. docker itself asks
// for index.docker.io, containers' tools for docker.io, and others for where
// the registry's API is.
func isHub(host string) bool {
	switch host {
	case hub, "index.docker.io", "registry-1.docker.io", "registry.docker.io", "registry.hub.docker.com", "hub.docker.com":
		return true
	default:
		return false
	}
}

// probe is the repository that a registry as a whole is asked for: providers
// are asked for images, and what they answer is for the registry.
const probe = "regcred"

// server is what a client wants a login for.
type server struct {
	// host is the registry in lower case, without a port that its scheme has
	// anyway.
	host string

	// names are images to ask the providers for, as the kubelet names them, the
	// likeliest first. There is none for what is no registry of the kubelet's.
	names []string
}

// parseServer reads what clients write for a registry: its host, with or
// without scheme, port, the API's version and a repository. It is an error if
// there is no host.
func parseServer(url string) (server, error) {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		scheme, rest = "", url
	}
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	host, path, _ := strings.Cut(rest, "/")
	host = strings.ToLower(host)
	if host == "" || strings.ContainsAny(host, "@ \t\r\n\\") {
		// It is not repeated: what stands before an @ may be a password.
		return server{}, errors.New("no registry in the server URL")
	}
	bare := withoutPort(host, strings.ToLower(scheme))
	if isHub(bare) {
		bare, host = hub, hub
	}
	s := server{host: bare}
	repository := repositoryOf(path)
	for _, h := range []string{bare, host} {
		// A repository that cannot be one is not what the client is after.
		name, err := imageName(h, repository)
		if err != nil {
			name, err = imageName(h, "")
		}
		if err == nil && (len(s.names) == 0 || s.names[0] != name) {
			s.names = append(s.names, name)
		}
	}
	return s, nil
}

// withoutPort returns a host without the port that its scheme has anyway.
func withoutPort(host, scheme string) string {
	if bare, found := strings.CutSuffix(host, ":443"); found && scheme != "http" {
		return bare
	}
	if bare, found := strings.CutSuffix(host, ":80"); found && scheme == "http" {
		return bare
	}
	return host
}

// repositoryOf returns the repository in a URL's path, which may begin with the
// version of the registry's API.
func repositoryOf(path string) string {
	path = strings.Trim(path, "/")
	first, rest, _ := strings.Cut(path, "/")
	if first == "v1" || first == "v2" {
		return rest
	}
	return path
}

// imageName returns what the kubelet calls a repository of a host.
func imageName(host, repository string) (string, error) {
	if repository == "" {
		repository = probe
	}
	name, err := kubelet.ImageName(host + "/" + repository)
	if err != nil {
		return "", err
	}
	// A first part without a dot or port is no host to the kubelet, but one of
	// Docker Hub's users.
	if registry, _, _ := strings.Cut(name, "/"); registry != host {
		return "", errors.New("no registry to the kubelet")
	}
	return name, nil
}
