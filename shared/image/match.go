package image

import (
	"errors"
	"fmt"
	"net"
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
	globs, wantPort := splitHost(want)
	labels, gotPort := splitHost(got)
	if wantPort != gotPort || len(globs) != len(labels) || !strings.HasPrefix(got.Path, want.Path) {
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

// splitHost returns the labels of a host, and its port. An address of IPv6
// without a port keeps its brackets, which then are a glob's: it does not even
// match itself.
func splitHost(u *url.URL) (labels []string, port string) {
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, port = u.Host, ""
	}
	return strings.Split(host, "."), port
}
