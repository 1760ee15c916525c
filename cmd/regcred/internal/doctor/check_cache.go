package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// enoughSpace is what some hundred credentials take.
const enoughSpace = 4 << 20

func checkCache(s *subject, r *recorder) {
	attempts := s.attempts()
	if len(attempts) == 0 {
		r.skip("", "no plugin of this suite was asked for its cache")
		return
	}
	seen := map[string]bool{}
	for _, a := range attempts {
		switch dir := a.report.CacheDir; {
		case a.report.Kind == "":
			r.skip(a.Name, "the plugin did not tell of its cache")
		case dir == "":
			r.find("cache-off", a.Name, "the plugin keeps nothing: every pull asks the cloud", "remove --cache-dir= from the provider's args, unless it is meant so")
		case !seen[dir]:
			seen[dir] = true
			s.checkDirectory(r, dir)
		}
	}
}

// checkDirectory looks at one directory as a plugin does.
func (s *subject) checkDirectory(r *recorder, dir string) {
	before := len(r.results)
	path := s.Node.Path(dir)
	info, err := os.Lstat(path)
	there := err == nil
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		r.skip(dir, "it cannot be looked at: "+cause(err))
		return
	case !info.IsDir():
		r.find("cache-untrusted", dir, "there is something else in the place of the directory, a link or a file, which plugins do not use", "rm "+quote(dir)+"   # it is made again")
		return
	default:
		owner, _, known := ownerOf(info)
		if known && owner != os.Geteuid() || known && info.Mode().Perm()&0o077 != 0 {
			r.find("cache-untrusted", dir, "plugins do not use the directory: others may look into it, or write there", "chown root:root "+quote(dir)+"\nchmod 0700 "+quote(dir), fmt.Sprintf("owned by user %d, mode %#o", owner, info.Mode().Perm()))
		}
	}
	above := path
	for !exists(above) && above != filepath.Dir(above) {
		above = filepath.Dir(above)
	}
	if open := s.openTo(filepath.Dir(dir)); len(open) > 0 {
		r.find("cache-untrusted", dir, "others than root can put another directory in its place", chmod(open), open...)
	}
	system, err := s.System.FileSystem(above)
	switch {
	case err != nil:
		r.skip(dir, "its file system cannot be asked: "+err.Error())
	case system.ReadOnly:
		r.find("cache-full", dir, "its file system is mounted read-only: nothing is kept", "choose another directory with --cache-dir, on a tmpfs")
	case system.Free < enoughSpace || system.Files < 100:
		r.find("cache-full", dir, "its file system is full: what cannot be written is asked for again by every run", "df -h "+quote(dir)+"; df -i "+quote(dir), fmt.Sprintf("%d KiB and %d files are free", system.Free>>10, system.Files))
	case !system.Memory:
		r.find("cache-on-disk", dir, "credentials are written to a disk, where they outlive the machine's run", "choose a directory on a tmpfs with --cache-dir, such as /run/regcred", "file system: "+system.Kind)
	}
	if len(r.results) > before {
		return
	}
	message := "the directory is trusted, and in memory"
	if !there {
		message = "the directory will be made when it is first needed, in memory"
	}
	r.ok(dir, message, "file system: "+system.Kind)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
