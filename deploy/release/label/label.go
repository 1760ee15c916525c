// Package label turns what git says of a commit into the names that a release
// goes by: of its files, its packages and its images.
package label

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Label is a release's name.
type Label struct {
	// Text is what git describe says, as the binaries know it: v1.2.3,
	// v1.2.3-4-gabcdef0 or abcdef0, with -dirty at the end.
	Text string
	// Package is the version as dpkg and rpm order it.
	Package string
}

var (
	tagged   = regexp.MustCompile(`^v(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.]+))?(?:-(\d+)-g([0-9a-f]+))?$`)
	untagged = regexp.MustCompile(`^[0-9a-z]+$`)
)

// Parse reads what git describe --tags --always --dirty says of a commit of that
// time.
//
// What comes before a release sorts before it, and what was committed after one
// behind it, which git's own text does not: 1.2.3~rc.1, 1.2.3, 1.2.3+4.gabcdef0.
// A commit without a tag before it is older than any release, and sorts by its
// time.
func Parse(text string, committed time.Time) (Label, error) {
	plain, dirty := strings.CutSuffix(text, "-dirty")
	label := Label{Text: text}
	var after []string
	switch parts := tagged.FindStringSubmatch(plain); {
	case parts != nil:
		label.Package = parts[1]
		if parts[2] != "" {
			label.Package += "~" + parts[2]
		}
		if parts[3] != "" {
			after = append(after, parts[3], "g"+parts[4])
		}
	case untagged.MatchString(plain):
		label.Package = "0~" + committed.UTC().Format("20060102150405")
		after = append(after, "g"+plain)
	default:
		return Label{}, fmt.Errorf("version %q: want a tag such as v1.2.3 or v1.2.3-rc.1, or what git describe makes of a commit", text)
	}
	if dirty {
		after = append(after, "dirty")
	}
	if len(after) > 0 {
		label.Package += "+" + strings.Join(after, ".")
	}
	return label, nil
}

// Plain is the version as it is in the names of files: without the v of the tag.
func (l Label) Plain() string {
	if rest, ok := strings.CutPrefix(l.Text, "v"); ok && strings.HasPrefix(l.Package, rest[:1]) {
		return rest
	}
	return l.Text
}

// Semver is the version as Helm wants it of a chart. It sorts as that of packages
// does, but for what was committed after a release, which Helm takes for the same.
func (l Label) Semver() string {
	if rest, ok := strings.CutPrefix(l.Package, "0~"); ok {
		return "0.0.0-" + rest
	}
	return strings.ReplaceAll(l.Package, "~", "-")
}
