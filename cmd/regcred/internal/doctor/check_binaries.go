package doctor

import (
	"os"
	"slices"
	"strings"

	"regcred/shared/version"
)

func checkBinaries(s *subject, r *recorder) {
	if s.Node.BinDir == "" {
		r.skip("", "no directory of programs is known: --image-credential-provider-bin-dir, or --bin-dir")
		return
	}
	if info, err := os.Stat(s.Node.Path(s.Node.BinDir)); err != nil || !info.IsDir() {
		reason := "it is no directory"
		if err != nil {
			reason = cause(err)
		}
		r.find("bin-dir-missing", s.Node.BinDir, "the directory of the programs is not there: the kubelet does not start with it", "mkdir -p "+quote(s.Node.BinDir)+"   # or correct --image-credential-provider-bin-dir", reason)
	}
	if s.config() == nil {
		r.skip("", s.why())
		return
	}
	releases := map[string][]string{}
	for _, p := range s.plugins() {
		switch {
		case p.fault != "":
			r.find(p.fault, p.Name, p.Name+" is "+p.problem, s.binaryFix(p), append([]string{"program: " + p.path}, p.evidence...)...)
		case p.release == nil:
			r.find("binary-foreign", p.Name, "not a program of this suite: how it asks its cloud is not looked at", "", "program: "+p.path)
		default:
			releases[p.release.Version] = append(releases[p.release.Version], p.Name)
			what := "release " + p.release.Version
			if p.release.Name != p.Name {
				what = p.release.Name + ", " + what // by another name
			}
			r.ok(p.Name, what+" runs ("+p.release.Platform+")", "program: "+p.path)
		}
	}
	if own := version.Version(); len(releases) > 1 || len(releases) == 1 && releases[own] == nil {
		evidence := []string{"regcred: " + own}
		for release, names := range releases {
			evidence = append(evidence, strings.Join(names, ", ")+": "+release)
		}
		slices.Sort(evidence[1:])
		r.find("binary-other-release", "", "programs of this suite are of several releases", "install one release of all of them", evidence...)
	}
}

// binaryFix is what to do about a program that cannot be run.
func (s *subject) binaryFix(p *plugin) string {
	switch p.fault {
	case "binary-missing":
		return "# install the program as " + quote(p.path) + ": the kubelet does not start without it\n# or remove the provider from " + quote(s.shown(p.File))
	case "binary-writable":
		return chmod(p.evidence)
	case "binary-not-executable":
		if strings.HasPrefix(p.problem, "not executable") {
			return "chmod 0755 " + quote(p.path)
		}
		if strings.Contains(p.problem, "noexec") {
			return "move the programs to a file system that is not mounted noexec, and change --image-credential-provider-bin-dir"
		}
	case "binary-broken":
		return "install it again, built for this machine (uname -m)"
	}
	return ""
}
