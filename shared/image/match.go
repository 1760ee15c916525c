package image

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Match reports whether the kubelet would hand an image to a credential
// provider that lists pattern under matchImages. Its rule, from the kubelet's
// keyring: ports are equal as text, the hosts have equally many labels, each
// label matches as a glob, and the image's path begins with the pattern's.
//
// An error means that the kubelet would refuse the pattern and not start.
func Match(pattern, image string) (bool, error) {
	want, err := url.Parse("https://" + pattern)
	if err != nil {
		return false, fmt.Errorf("pattern %q: %w", pattern, errors.Unwrap(err))
	}
	got, err := url.Parse("https://" + image)
	if err != nil {
		return false, fmt.Errorf("image %q: %w", image, errors.Unwrap(err))
	}
	if want.Port() != got.Port() || !strings.HasPrefix(got.Path, want.Path) {
		return false, nil
	}
	globs := strings.Split(want.Hostname(), ".")
	labels := strings.Split(got.Hostname(), ".")
	if len(globs) != len(labels) {
		return false, nil
	}
	for i, glob := range globs {
		matched, err := filepath.Match(glob, labels[i])
		if err != nil {
			return false, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if !matched {
			return false, nil
		}
	}
	return true, nil
}
