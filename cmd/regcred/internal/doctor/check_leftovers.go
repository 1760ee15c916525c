package doctor

import (
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// checkLeftovers looks for other ways to registries, which are tried before
// providers or do nothing any more.
func checkLeftovers(s *subject, r *recorder) {
	s.checkFlags(r)
	s.checkDockerFiles(r)
	if len(r.results) == 0 {
		r.ok("", "no obsolete flag, and no docker configuration in the way")
	}
}

// obsoleteFlags are flags of the kubelet that once brought credentials, with
// what they do today.
func obsoleteFlags() map[string]string {
	return map[string]string{
		"cloud-provider":                  "there are no in-tree clouds, and no credentials of theirs, since Kubernetes 1.31",
		"cloud-config":                    "it went with the in-tree clouds",
		"azure-container-registry-config": "Azure's in-tree credentials are gone since Kubernetes 1.30: the kubelet does not start with the flag",
		"docker-cfg-path":                 "it does nothing",
	}
}

func (s *subject) checkFlags(r *recorder) {
	if s.Node.Process == nil {
		return
	}
	command := s.Node.Process.Command
	for i, arg := range command {
		name, value, assigned := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		name = strings.ReplaceAll(name, "_", "-")
		why, obsolete := obsoleteFlags()[name]
		if !obsolete || !strings.HasPrefix(arg, "--") {
			continue
		}
		if !assigned && i+1 < len(command) {
			value = command[i+1]
		}
		if name == "cloud-provider" && (value == "external" || value == "") {
			continue // as it should be
		}
		r.find("flag-obsolete", "the kubelet", "--"+name+" brings no credentials: "+why, "remove the flag, and give the kubelet a credential provider for that cloud", "--"+name+"="+value)
	}
}

// checkDockerFiles looks at the docker configurations that the kubelet looks
// for. The first that can be read is the only one that counts.
func (s *subject) checkDockerFiles(r *recorder) {
	found := s.Node.DockerFiles().Read()
	for _, problem := range found.Problems {
		r.find("docker-config-broken", "", "a docker configuration of the node cannot be read, and the kubelet passes over it", "correct it, or remove it", s.shown(problem.String()))
	}
	if found.Path == "" {
		return
	}
	path := s.shown(found.Path)
	later := s.laterFiles(found.Path)
	if len(found.Auths) == 0 && len(later) > 0 {
		r.find("docker-config-ends-search", path, "a docker configuration without a login for the kubelet is the only one that counts: what is in others is not used",
			"rm "+quote(path)+"   # or put the logins there", "not used: "+strings.Join(later, ", "))
	}
	s.checkUnused(r, found.Path)
	config := s.config()
	if config == nil {
		return
	}
	for _, auth := range found.Auths {
		host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(auth.Key, "https://"), "http://"), "/")
		for i := range config.Providers {
			if p := &config.Providers[i]; p.Match(host + "/regcred/probe").Matched {
				r.find("docker-config-first", path, "the login for "+auth.Key+" is tried before what "+p.Name+" answers, whether it is still good or not", "remove the entry, unless it is meant so")
				break
			}
		}
	}
}

// laterFiles are the docker configurations after a file that are there.
func (s *subject) laterFiles(path string) []string {
	paths := s.Node.DockerFiles().Paths()
	var later []string
	for _, p := range paths[slices.Index(paths, path)+1:] {
		if p != path && exists(p) && !slices.Contains(later, s.shown(p)) {
			later = append(later, s.shown(p))
		}
	}
	return later
}

// checkUnused tells what of a docker configuration the kubelet does not use.
func (s *subject) checkUnused(r *recorder, path string) {
	text, err := s.Node.Read(s.shown(path))
	if err != nil {
		return
	}
	var config struct {
		CredsStore  string            `json:"credsStore"`
		CredHelpers map[string]string `json:"credHelpers"`
		Auths       map[string]struct {
			IdentityToken string `json:"identitytoken"`
			RegistryToken string `json:"registrytoken"`
		} `json:"auths"`
	}
	if json.Unmarshal(text, &config) != nil {
		return
	}
	if config.CredsStore != "" || len(config.CredHelpers) > 0 {
		r.find("docker-config-unused", s.shown(path), "credHelpers and credsStore mean nothing to the kubelet: it uses the passwords under auths alone", "give the kubelet dockerconfig-credential-provider, which runs them")
	}
	for key, entry := range config.Auths {
		if entry.IdentityToken != "" || entry.RegistryToken != "" {
			r.find("docker-config-unused", s.shown(path), "the entry for "+key+" has an identity token, which the kubelet does not use", "log in with a password that the registry gives to machines")
		}
	}
}

func statOf(path string) (fs.FileInfo, error) { return os.Stat(path) }
