package install

import (
	"fmt"
	"slices"
	"strings"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/tree"
)

// Options are what an installation is to be.
type Options struct {
	Tree *tree.Tree

	// Platform and Clouds are found if they are empty, and Providers are those
	// of the clouds, or those that were installed last.
	Platform  string
	Clouds    []string
	Providers []string

	// From is the directory with the plugins, of this process and not of the
	// tree.
	From string

	// Entries are providers' entries to add instead of the samples.
	Entries []kubeletconfig.CredentialProvider

	// MatchImages, Args and Env take the place of the sample's, of the only
	// provider there is.
	MatchImages []string
	Args        []string
	Env         []kubeletconfig.ExecEnvVar

	// BinDir and Config win over what is found.
	BinDir, Config string

	// NoFlags leaves it to others to tell the kubelet.
	NoFlags bool

	// Running is the kubelet of the tree, or nil.
	Running *Running

	// Minor is its minor version (33 is 1.33), or 0 if it is not known, and
	// Gates are its feature gates.
	Minor int
	Gates map[string]bool

	// Live means that the tree is mounted as the kubelet has it.
	Live bool

	// Release is that of the plugins.
	Release string
	Now     time.Time

	// Made are the directories that were made for the record.
	Made []string

	// Force takes what is ours away although somebody else changed it.
	Force bool
}

// Check returns which name in the options is not known.
func (o *Options) Check() error {
	for _, name := range o.Providers {
		if _, err := pluginNamed(name); err != nil {
			return err
		}
	}
	for _, cloud := range o.Clouds {
		if !slices.Contains(Clouds(), cloud) {
			return fmt.Errorf("cloud %.80q: want one of %s", cloud, strings.Join(Clouds(), ", "))
		}
	}
	if o.Platform != "" && !slices.Contains(PlatformNames(), o.Platform) {
		return fmt.Errorf("platform %.80q: want one of %s", o.Platform, strings.Join(PlatformNames(), ", "))
	}
	return nil
}

// RefusedError says that nothing can be installed on a platform, and what to
// do instead.
type RefusedError struct{ Platform Platform }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: nothing can be installed from here: %s", e.Platform.Title, e.Platform.Refusal)
}
