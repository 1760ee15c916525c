package kubelet

import (
	"os"
	"path"

	kubeletconfig "k8s.io/kubelet/config/v1"
)

// tokenGate is the feature gate of tokenAttributes.
const tokenGate = "KubeletServiceAccountTokenForCredentialProviders"

// CheckVersion says what a kubelet of another minor version (33 is 1.33) or
// with other feature gates refuses, and this package's rules, which are those
// of 1.37, accept. Gates are those that the kubelet was told.
func (c *Config) CheckVersion(minor int, gates map[string]bool) Problems {
	var problems Problems
	add := func(p Problem, file string) {
		p.File = file
		problems = append(problems, p)
	}
	if info, err := os.Stat(c.Path); err == nil && info.IsDir() && minor < 34 {
		add(problemf(Error, "version-directory", "", "write one file", "a directory: kubelets before 1.34 read a file alone"), c.Path)
	}
	since := map[string]int{configVersions[0]: 26, configVersions[1]: 24, configVersions[2]: 20}
	for _, f := range c.Files {
		if first := since[f.APIVersion]; minor < first {
			add(problemf(Error, "version-api", "apiVersion", "", "apiVersion %s: kubelets before 1.%d do not know it", f.APIVersion, first), f.Path)
		}
	}
	on, told := gates[tokenGate]
	if !told {
		on = minor >= 34
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		if first := since[kubeletconfig.GroupName+"/"+path.Base(p.APIVersion)]; minor < first {
			add(problemf(Error, "version-protocol", p.field("apiVersion"), "", "apiVersion %s: kubelets before 1.%d do not know it", p.APIVersion, first), p.File)
		}
		a := p.TokenAttributes
		if a == nil {
			continue
		}
		at := p.field("tokenAttributes")
		switch {
		case minor < 33:
			add(problemf(Error, "version-token", at, "remove it", "tokenAttributes: kubelets before 1.33 do not know it"), p.File)
			continue
		case !on:
			add(problemf(Error, "version-token-gate", at, "start the kubelet with --feature-gates="+tokenGate+"=true, or remove it",
				"tokenAttributes with the feature gate %s off", tokenGate), p.File)
		}
		if minor == 33 && a.CacheType != "" {
			add(problemf(Error, "version-cache-type", at+".cacheType", "remove it for 1.33, and write it with the change to 1.34, which requires it",
				"cacheType: kubelets before 1.34 do not know it"), p.File)
		}
	}
	return problems
}
