//go:build !windows

package cache

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"regcred/shared/credential"
)

// A folder or file that anybody else could have written is not trusted: the
// request is answered by the cloud, and nothing is written there.
func TestForeignFoldersAreNotTrusted(t *testing.T) {
	for name, tamper := range map[string]func(t *testing.T, dir string){
		"open to others": func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o777)) },
		"readable by the group": func(t *testing.T, dir string) {
			must(t, os.Chmod(dir, 0o750))
		},
		"a link to a good folder": func(t *testing.T, dir string) {
			must(t, os.Rename(dir, dir+".real"))
			must(t, os.Symlink(dir+".real", dir))
		},
		"a file": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		},
		"another user's": func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a folder away")
			}
			must(t, os.Chown(dir, 65534, 65534))
		},
		"a folder that can not be made": func(t *testing.T, dir string) {
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
				t.Errorf("the folder changed from %s to %s", before, after)
			}
		})
	}
}

func TestBrokenEntriesAreMissesAndAreReplaced(t *testing.T) {
	for name, tamper := range map[string]func(t *testing.T, file string){
		"garbage":         func(t *testing.T, file string) { must(t, os.WriteFile(file, []byte("\x00garbage"), 0o600)) },
		"truncated":       func(t *testing.T, file string) { must(t, os.Truncate(file, 40)) },
		"empty":           func(t *testing.T, file string) { must(t, os.Truncate(file, 0)) },
		"100 MB":          func(t *testing.T, file string) { must(t, os.Truncate(file, 100<<20)) },
		"open to others":  func(t *testing.T, file string) { must(t, os.Chmod(file, 0o644)) },
		"another version": func(t *testing.T, file string) { replace(t, file, `"version":1`, `"version":2`) },
		"no password":     func(t *testing.T, file string) { replace(t, file, `"token-1"`, `""`) },
		"endless life":    func(t *testing.T, file string) { replace(t, file, `"life":36`, `"life":-36`) },
		"a link outside": func(t *testing.T, file string) {
			outside := filepath.Join(t.TempDir(), "outside")
			must(t, os.Rename(file, outside))
			must(t, os.Symlink(outside, file))
		},
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
			tamper(t, filepath.Join(dir, nameOf(cloud.key)+entryExt))
			wantToken(t, mustGet(t, cache, cloud), "token-2")
			wantToken(t, mustGet(t, cache, cloud), "token-2")
		})
	}
}

// What can not be replaced costs the cache, not the answer.
func TestAFolderInAnEntrysPlace(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	mustGet(t, cache, cloud)
	file := filepath.Join(dir, nameOf(cloud.key)+entryExt)
	must(t, os.Remove(file))
	must(t, os.MkdirAll(filepath.Join(file, "full"), 0o700))
	wantToken(t, mustGet(t, cache, cloud), "token-2")
	wantToken(t, mustGet(t, cache, cloud), "token-3")
}

func TestEntriesAreTheirOwnersAlone(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	mustGet(t, cache, issuing(clock, time.Hour))
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("folder has mode %#o", info.Mode().Perm())
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

func TestAPurgeDuringAStormKeepsOneLeader(t *testing.T) {
	clock := newClock()
	cache, dir := newTestCache(t, clock)
	cloud := issuing(clock, time.Hour)
	held, err := cache.store.tryLock(nameOf(cloud.key))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { mustGet(t, cache, cloud) })
	}
	time.Sleep(50 * time.Millisecond)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	held.release()
	group.Wait()
	wantCalls(t, cloud, 1)
}

func TestLocksOfDifferentEntriesAreIndependent(t *testing.T) {
	clock := newClock()
	cache, _ := newTestCache(t, clock)
	a, err := cache.store.tryLock(nameOf(credential.Key{"a"}))
	must(t, err)
	defer a.release()
	b, err := cache.store.tryLock(nameOf(credential.Key{"b"}))
	must(t, err)
	b.release()
	if _, err := cache.store.tryLock(nameOf(credential.Key{"a"})); !errors.Is(err, errLocked) {
		t.Errorf("a held lock was given away: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	clock := newClock()
	held := hold(credential.Credential{Username: "u", Password: credential.NewSecret("p"), Expires: start.Add(time.Hour)}, clock.now(), 0.5)
	for _, e := range []entry{{Version: 1, Key: credential.Key{"k"}, Held: held}, {Version: 1, Key: credential.Key{"k"}, Failed: &failed{Message: "m", Count: 1}}} {
		data, err := json.Marshal(e)
		must(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"version":1,"key":["k"],"held":{"life":1e99}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decode(data)
		if err != nil || e.check(credential.Key{"k"}) != nil {
			return
		}
		now := clock.now()
		if e.fresh(now) && !e.usable(now) {
			t.Error("fresh and not usable")
		}
		if e.usable(now) {
			c := e.credential(now)
			if c.Expires.Sub(now.Wall) <= 0 || c.IsAnonymous() != (c.Username == "") {
				t.Errorf("served %+v", c)
			}
		}
		if e.failed(now) {
			if message := e.failure(now).Error(); strings.ContainsAny(message, "\n\x00") {
				t.Errorf("failure %q", message)
			}
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, file, before, after string) {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	changed := strings.Replace(string(data), before, after, 1)
	if changed == string(data) {
		t.Fatalf("%s is not in %s", before, data)
	}
	must(t, os.WriteFile(file, []byte(changed), 0o600))
}

// listing describes what is in a folder, or at its end if it is a link.
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
