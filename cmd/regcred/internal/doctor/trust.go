package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"regcred/shared/credential"
)

// openTo says, for each file and directory on the way to a path of the
// kubelet's, why somebody who is not root could put something else there.
func (s *subject) openTo(path string) []string {
	base := s.Node.Path("/")
	file := s.Node.Path(path)
	ways := []string{file}
	if resolved, err := filepath.EvalSymlinks(file); err == nil && resolved != file {
		ways = append(ways, resolved)
	}
	var open []string
	seen := map[string]bool{}
	for _, way := range ways {
		rest, found := strings.CutPrefix(way, strings.TrimSuffix(base, "/")+"/")
		at := strings.TrimSuffix(base, "/")
		if !found {
			rest, at = strings.TrimPrefix(way, "/"), ""
		}
		parts := strings.Split(rest, "/")
		for i := range len(parts) + 1 {
			part := filepath.Join(at+"/", filepath.Join(parts[:i]...))
			if seen[part] || at != "" && i == 0 {
				continue // Where a file tree is kept is not the tree's.
			}
			seen[part] = true
			if reason := writable(part); reason != "" {
				open = append(open, s.shown(part)+": "+reason)
			}
		}
	}
	return open
}

// writable says who else than root can change a file, or put another file into a
// directory in the place of one.
func writable(path string) string {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return "" // A link is as safe as the directory that it is in.
	}
	owner, group, known := ownerOf(info)
	mode := info.Mode()
	switch {
	case !known:
		return ""
	case owner != 0 && owner != os.Geteuid():
		return fmt.Sprintf("owned by user %d", owner)
	case mode&fs.ModeSticky != 0 && info.IsDir():
		return "" // Only owners replace what is in it.
	case mode.Perm()&0o002 != 0:
		return fmt.Sprintf("mode %#o: everybody can write there", mode.Perm())
	case mode.Perm()&0o020 != 0 && group != 0:
		return fmt.Sprintf("mode %#o: group %d can write there", mode.Perm(), group)
	}
	return ""
}

// cause is what the system said, without the call and the name.
func cause(err error) string {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return err.Error()
}

// secretName is how the name of a variable tells that its value is secret.
var secretName = regexp.MustCompile(`(?i)secret|token|passw|passphrase|api_?key|access_?key|private_?key`)

// learn makes secrets of values in an environment, so that nothing repeats them.
func learn(env []string) {
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		// What begins with a slash is a file that has the secret.
		if secretName.MatchString(name) && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "http") {
			credential.NewSecret(value)
		}
		if _, user, found := strings.Cut(value, "://"); found {
			if user, _, found = strings.Cut(user, "@"); found {
				if _, password, found := strings.Cut(user, ":"); found {
					credential.NewSecret(password)
				}
			}
		}
	}
}
