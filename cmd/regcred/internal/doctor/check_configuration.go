package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regcred/shared/kubelet"
)

// longCache is how long the kubelet may keep an answer by default: no cloud's
// registry credential lives longer than half a day.
const longCache = 12 * time.Hour

func checkConfiguration(s *subject, r *recorder) {
	config := s.config()
	if config == nil {
		r.skip("", s.why())
		return
	}
	for _, problem := range config.Problems {
		name := map[kubelet.Level]string{kubelet.Error: "configuration-invalid", kubelet.Warning: "configuration-doubtful", kubelet.Info: "configuration-note"}[problem.Level]
		message := problem.Message
		if problem.Field != "" {
			message = problem.Field + ": " + message
		}
		r.find(name, s.shown(problem.File), message, problem.Fix, "kind of problem: "+problem.Code)
	}
	paths := []string{s.Node.ProviderConfig}
	for _, file := range config.Files {
		if path := s.shown(file.Path); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		if open := s.openTo(path); len(open) > 0 {
			r.find("configuration-writable", path, "others than root can write what says which programs root runs", chmod(open), open...)
		}
	}
	for i := range config.Providers {
		p := &config.Providers[i]
		if d := p.DefaultCacheDuration; d != nil && d.Duration > longCache {
			r.find("cache-duration-long", p.Name, fmt.Sprintf("defaultCacheDuration %s: the kubelet cannot be told to forget an answer that says nothing itself", d.Duration), "write defaultCacheDuration: 12h, or less")
		}
	}
	checkShared(config, r)
	s.checkImages(config, r)
	if !r.troubled() {
		r.ok(s.Node.ProviderConfig, fmt.Sprintf("the kubelet accepts the configuration: %s", names(config.Providers)))
	}
}

// chmod is what closes files that are open to others.
func chmod(open []string) string {
	var lines []string
	for _, reason := range open {
		path, why, _ := strings.Cut(reason, ": ")
		if strings.HasPrefix(why, "owned") {
			lines = append(lines, "chown root:root "+quote(path))
		} else {
			lines = append(lines, "chmod go-w "+quote(path))
		}
	}
	return strings.Join(lines, "\n")
}

// quote writes a path for a shell.
func quote(path string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%:,"
	if path != "" && strings.Trim(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func names(providers []kubelet.Provider) string {
	all := make([]string, 0, len(providers))
	for _, p := range providers {
		all = append(all, p.Name)
	}
	return strings.Join(all, ", ")
}

// checkImages tells of images that were given and that no provider is asked for,
// with the pattern that comes nearest.
func (s *subject) checkImages(config *kubelet.Config, r *recorder) {
	for _, image := range s.images()[:s.given()] {
		matches := config.Match(image)
		if len(matches) == 0 || slices.ContainsFunc(matches, func(m kubelet.Match) bool { return m.Matched }) {
			continue
		}
		evidence := make([]string, 0, len(matches))
		for _, m := range matches {
			evidence = append(evidence, fmt.Sprintf("%s: %s %q: %s", m.Provider.Name, m.Field, m.Pattern, m.Reason))
		}
		host, _, _ := strings.Cut(image, "/")
		r.find("image-unmatched", image, "no provider is asked for "+image+": it is pulled with pull secrets, a docker configuration, or no login", "add "+host+" to matchImages of the provider that is to answer, and restart the kubelet", evidence...)
	}
}

// checkShared tells of patterns that two providers have. One with tokenAttributes
// beside one without is how pods and node are told apart.
func checkShared(config *kubelet.Config, r *recorder) {
	type owner struct {
		pattern string
		tokens  bool
	}
	type pair struct{ first, second string }
	first := map[owner]string{}
	shared := map[pair][]string{}
	var pairs []pair
	for i := range config.Providers {
		p := &config.Providers[i]
		for _, pattern := range p.MatchImages {
			own := owner{pattern, p.TokenAttributes != nil}
			switch name, taken := first[own]; {
			case !taken:
				first[own] = p.Name
			case name != p.Name:
				both := pair{name, p.Name}
				if shared[both] == nil {
					pairs = append(pairs, both)
				}
				shared[both] = append(shared[both], pattern)
			}
		}
	}
	for _, both := range pairs {
		r.find("pattern-shared", both.second, fmt.Sprintf("%s and %s are both asked for the same images: their credentials are tried in the order of the configuration", both.first, both.second),
			"remove the patterns from the one that is not meant to answer", "both have: "+strings.Join(shared[both], ", "))
	}
}
