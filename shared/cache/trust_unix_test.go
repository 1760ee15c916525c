//go:build !windows

package cache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A directory or file that anybody else could have written is not trusted: the
// request is answered by the cloud, and nothing is written there.
func TestForeignDirectoriesAreNotTrusted(t *testing.T) {
	for name, tamper := range map[string]func(t *testing.T, dir string){
		"open to others": func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o777)) },
		"readable by the group": func(t *testing.T, dir string) {
			must(t, os.Chmod(dir, 0o750))
		},
		"a link to a good directory": func(t *testing.T, dir string) {
			must(t, os.Rename(dir, dir+".real"))
			must(t, os.Symlink(dir+".real", dir))
		},
		"a file": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		},
		"another user's": func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a directory away")
			}
			must(t, os.Chown(dir, 65534, 65534))
		},
		"a directory that cannot be made": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.RemoveAll(filepath.Dir(dir)))
			must(t, os.WriteFile(filepath.Dir(dir), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			dir := filepath.Join(t.TempDir(), "parent", "cache")
			cache := New(Options{Dir: dir, Clock: clock.now})
			cloud := issuing(clock, time.Hour)
			mustGet(t, cache, cloud)
			tamper(t, dir)
			before := listing(t, dir)
			wantToken(t, mustGet(t, cache, cloud), "token-2")
			wantToken(t, mustGet(t, cache, cloud), "token-3")
			if after := listing(t, dir); after != before {
				t.Errorf("the directory changed from %s to %s", before, after)
			}
		})
	}
}

func TestBrokenEntriesAreMissesAndAreReplaced(t *testing.T) {
	for name, tamper := range map[string]func(t *testing.T, file string){
		"garbage":        func(t *testing.T, file string) { must(t, os.WriteFile(file, []byte("\x00garbage"), 0o600)) },
		"truncated":      func(t *testing.T, file string) { must(t, os.Truncate(file, 40)) },
		"empty":          func(t *testing.T, file string) { must(t, os.Truncate(file, 0)) },
		"100 MB":         func(t *testing.T, file string) { must(t, os.Truncate(file, 100<<20)) },
		"open to others": func(t *testing.T, file string) { must(t, os.Chmod(file, 0o644)) },
		"no password":    func(t *testing.T, file string) { replace(t, file, `"token-1"`, `""`) },
		"endless life":   func(t *testing.T, file string) { replace(t, file, `"life":36`, `"life":-36`) },
		"a link outside": func(t *testing.T, file string) {
			outside := filepath.Join(t.TempDir(), "outside")
			must(t, os.Rename(file, outside))
			must(t, os.Symlink(outside, file))
		},
		"of another kind": func(t *testing.T, file string) { replace(t, file, `"credential"`, `"token"`) },
		"a pipe": func(t *testing.T, file string) {
			must(t, os.Remove(file))
			must(t, syscall.Mkfifo(file, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cache, dir := newTestCache(t, clock)
			cloud := issuing(clock, time.Hour)
			mustGet(t, cache, cloud)
			tamper(t, filepath.Join(dir, nameOf(credentials, cloud.key)+entryExt))
			wantToken(t, mustGet(t, cache, cloud), "token-2")
			wantToken(t, mustGet(t, cache, cloud), "token-2")
		})
	}
}

// The directory may once have been open to others. Whatever they left in the
// place of a file is replaced: it neither receives a token nor keeps the cache
// from working.
func TestWhatOthersLeftIsReplaced(t *testing.T) {
	const before = "not the cache's"
	name := nameOf(credentials, issuing(newClock(), time.Hour).key)
	for place, file := range map[string]string{
		"the lock":            lockName(name, 0),
		"the unfinished file": unfinishedFile(name, 0),
		"the entry":           entryFile(name),
		"the mark":            tidyMark,
	} {
		for what, leave := range map[string]func(t *testing.T, path, outside string){
			"a hard link": func(t *testing.T, path, outside string) {
				must(t, os.Link(outside, path))
			},
			"a link": func(t *testing.T, path, outside string) {
				must(t, os.Symlink(outside, path))
			},
			"a link within": func(t *testing.T, path, _ string) {
				other := filepath.Join(filepath.Dir(path), "other")
				must(t, os.WriteFile(other, []byte(before), 0o600))
				must(t, os.Symlink("other", path))
			},
			"a link to nothing": func(t *testing.T, path, _ string) {
				must(t, os.Symlink("nothing", path))
			},
			"a pipe": func(t *testing.T, path, _ string) {
				must(t, syscall.Mkfifo(path, 0o600))
			},
			"an empty directory": func(t *testing.T, path, _ string) {
				must(t, os.Mkdir(path, 0o700))
			},
			"a full directory": func(t *testing.T, path, _ string) {
				must(t, os.MkdirAll(filepath.Join(path, "full"), 0o700))
			},
			"a file that others may write": func(t *testing.T, path, _ string) {
				must(t, os.WriteFile(path, []byte(before), 0o600))
				must(t, os.Chmod(path, 0o666))
			},
			"another user's file": func(t *testing.T, path, _ string) {
				if os.Geteuid() != 0 {
					t.Skip("only root can give a file away")
				}
				must(t, os.WriteFile(path, []byte(before), 0o600))
				must(t, os.Chown(path, 65534, 65534))
			},
		} {
			t.Run(place+"/"+what, func(t *testing.T) {
				clock := newClock()
				cache, dir := newTestCache(t, clock)
				cloud := issuing(clock, time.Hour)
				must(t, os.Mkdir(dir, 0o700))
				outside := filepath.Join(t.TempDir(), "outside")
				must(t, os.WriteFile(outside, []byte(before), 0o600))
				leave(t, filepath.Join(dir, file), outside)
				held, _ := os.OpenFile(filepath.Join(dir, file), os.O_RDWR|syscall.O_NONBLOCK, 0)
				if held != nil {
					defer func() { _ = held.Close() }()
				}

				for range 2 {
					wantToken(t, mustGet(t, cache, cloud), "token-1")
					cache.Tidy()
				}
				wantCalls(t, cloud, 1)

				for _, path := range []string{outside, filepath.Join(dir, "other")} {
					if data, err := os.ReadFile(path); err == nil && string(data) != before {
						t.Errorf("%s holds %q", path, data)
					}
				}
				if held != nil {
					data := make([]byte, 100)
					if n, _ := held.ReadAt(data, 0); n > 0 && string(data[:n]) != before {
						t.Errorf("who has the file open reads %q", data[:n])
					}
				}
				if _, err := os.Lstat(filepath.Join(dir, "nothing")); err == nil {
					t.Error("a file was made where a link leads to")
				}
				for _, good := range []string{lockName(name, 0), entryFile(name), tidyMark} {
					wantOurs(t, filepath.Join(dir, good))
				}
			})
		}
	}
}

// wantOurs fails the test unless a file is this user's alone.
func wantOurs(t *testing.T, path string) {
	t.Helper()
	var stat syscall.Stat_t
	must(t, syscall.Lstat(path, &stat))
	if stat.Mode != syscall.S_IFREG|0o600 || int(stat.Uid) != os.Geteuid() || stat.Nlink != 1 {
		t.Errorf("%s: mode %#o, user %d, %d names", filepath.Base(path), stat.Mode, stat.Uid, stat.Nlink)
	}
}

// What is in a directory is nothing of the cache's.
func TestADirectoryIsMovedAside(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	must(t, os.MkdirAll(filepath.Join(dir, "lock", "precious"), 0o700))
	mustGet(t, cache, issuing(clock, time.Hour))
	if kept, _ := filepath.Glob(filepath.Join(dir, "lock.*.untrusted", "precious")); len(kept) != 1 {
		t.Errorf("%d are kept", len(kept))
	}
}

// A process of another user that has the lock file open, from when the
// directory was open to it, holds nobody up.
func TestAForeignHolderOfTheLockHoldsNobodyUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	must(t, os.Mkdir(dir, 0o700))
	name := nameOf(credentials, cloud.key)
	path := filepath.Join(dir, lockName(name, 0))
	foreign, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	must(t, err)
	defer func() { _ = foreign.Close() }()
	must(t, os.Chown(path, 65534, 65534))
	must(t, tryLockRank(foreign, offsetOf(name), 0))

	begin := time.Now()
	for range 2 {
		wantToken(t, mustGet(t, cache, cloud), "token-1")
	}
	if took := time.Since(begin); took > 3*beatInterval {
		t.Errorf("took %s", took)
	}
}

func TestEntriesAreTheirOwnersAlone(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	mustGet(t, cache, issuing(clock, time.Hour))
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("directory has mode %#o", info.Mode().Perm())
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, file := range files {
		info, err := file.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %#o", file.Name(), info.Mode().Perm())
		}
	}
	if len(files) != 2 {
		t.Errorf("one key made %d files, want its entry and the lock", len(files))
	}
}

// replace changes what an entry says, and its checksum.
func replace(t *testing.T, file, before, after string) {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	body := strings.TrimSuffix(string(data[len(sumHead)+sumSize+len(sumTail):]), entryEnd)
	changed := strings.Replace(body, before, after, 1)
	if changed == body {
		t.Fatalf("%s is not in %s", before, body)
	}
	must(t, os.WriteFile(file, frame([]byte(changed)), 0o600))
}

// listing describes what is in a directory, or at its end if it is a link.
func listing(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, file := range files {
		info, err := file.Info()
		must(t, err)
		all = append(all, file.Name()+" "+info.ModTime().String())
	}
	return strings.Join(all, ", ")
}
