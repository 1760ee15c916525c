package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"regcred/shared/explain"
	"regcred/shared/kubelet"
)

// Explained is what a provider says that it would do.
type Explained struct {
	Provider *kubelet.Provider

	// Skipped is why the kubelet does not run it for the pod.
	Skipped string

	// Foreign means that it is not of this suite, and cannot say.
	Foreign bool

	// Explanation is nil unless it said so.
	Explanation *explain.Explanation

	// Err is why it did not. A run would fail with the same words.
	Err error
}

// Explain asks a provider what it would do for an image, which is what
// kubelet.ImageName returns, and a pod. It asks nobody. What is not of this suite
// is not asked.
func (n Node) Explain(ctx context.Context, p *kubelet.Provider, image string, pod kubelet.Pod) Explained {
	e := Explained{Provider: p}
	if _, e.Skipped = p.Annotations(pod.ServiceAccount); e.Skipped != "" {
		return e
	}
	if e.Err = n.executable(p); e.Err != nil {
		return e
	}
	if !n.OfThisSuite(ctx, p) {
		e.Foreign = true
		return e
	}
	asked := *p
	asked.Args = slices.Concat([]string{"--explain=json"}, p.Args)
	text, outcome := n.Runner.Output(ctx, &asked, image, pod)
	e.Skipped, e.Err = outcome.Skipped, outcome.Err
	if e.Skipped != "" {
		return e
	}
	switch {
	case strings.Contains(outcome.LastLine, "unknown flag: --explain"):
		e.Err = errors.New("of a release that cannot explain itself")
	case e.Err == nil:
		e.Explanation = new(explain.Explanation)
		err := json.Unmarshal(text, e.Explanation)
		if err != nil || e.Explanation.APIVersion != explain.APIVersion || e.Explanation.Kind != explain.Kind {
			e.Explanation, e.Err = nil, errors.New("what it printed is no explanation")
		}
	case outcome.LastLine != "":
		e.Err = errors.New(strings.TrimPrefix(outcome.LastLine, p.Name+": "))
	}
	return e
}

// executable says why a provider's program cannot be run.
func (n Node) executable(p *kubelet.Provider) error {
	path := filepath.Join(n.Runner.BinDir, p.Name)
	_, err := exec.LookPath(path)
	if lookup, ok := errors.AsType[*exec.Error](err); ok {
		err = lookup.Err
	}
	if stat, ok := errors.AsType[*fs.PathError](err); ok {
		err = stat.Err
	}
	if err != nil {
		return fmt.Errorf("program %s: %w", path, err)
	}
	return nil
}

// anyImage is of a registry that is nobody's: what is asked about it is where
// the cache is.
const anyImage = "registry.invalid/regcred/any"

// CacheDir is the directory of a cache, and who keeps what there.
type CacheDir struct {
	Path      string
	Providers []string
}

// CacheDirs asks the providers of this suite where their caches are. Notes are of
// those that cannot say. A provider that keeps nothing has no directory.
func (n Node) CacheDirs(ctx context.Context) (dirs []CacheDir, notes []string) {
	for i := range n.Config.Providers {
		// It is configured in one way, with or without a pod's token.
		p := n.Config.Providers[i]
		p.TokenAttributes = nil
		e := n.Explain(ctx, &p, anyImage, kubelet.Pod{})
		if e.Foreign {
			continue
		}
		if e.Explanation == nil {
			notes = append(notes, fmt.Sprintf("provider %s does not say where its cache is: %v", p.Name, e.Err))
			continue
		}
		path := e.Explanation.Cache.Directory
		if path == "" {
			continue
		}
		at := slices.IndexFunc(dirs, func(d CacheDir) bool { return d.Path == path })
		if at < 0 {
			at = len(dirs)
			dirs = append(dirs, CacheDir{Path: path})
		}
		dirs[at].Providers = append(dirs[at].Providers, p.Name)
	}
	return dirs, notes
}
