package cloudtest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

func (s Suite[F]) hits(t *testing.T) {
	n := s.boot(t)
	cold := n.WantLogin(n.Ask(n.Own()), n.Image(0), n.Machine.Owner)
	n.WantCalls(n.Machine.Calls)
	if cold.Keep != 10*time.Minute {
		t.Errorf("the kubelet keeps it for %s, want 10m", cold.Keep)
	}
	images := []string{
		n.Image(0), n.Registry(0) + "/another/team/tool",
		n.Image(0) + ":v1@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7",
	}
	for _, host := range s.Shared {
		images = append(images, host+"/"+n.Repository)
	}
	for _, image := range images {
		host, _, _ := strings.Cut(image, "/")
		if warm, _ := n.Ask(n.Question(image)).WantLogin(host, n.Username); warm != cold.Password {
			t.Errorf("%s: another password than the first", image)
		}
	}
	n.WantCalls()
}

func (s Suite[F]) hitsOffline(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		first := n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		n.WantCalls(way.Calls)
		for _, service := range n.Services {
			n.Cloud.Faults.Always(service, "", cloud.Hang{})
		}
		a := n.Ask(e.Question)
		if again := n.WantLogin(a, e.Image, e.Owner); again.Password != first.Password {
			n.T.Error("another password than the first")
		}
		a.WantWithin(5 * time.Second)
		n.WantCalls()
	})
}

func (s Suite[F]) privateCache(t *testing.T) {
	s.ways(t, func(n *Node[F], _ Way[F], e Errand) {
		n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		WantPrivateCache(n.T, n.Cloud)
	})
}

func (s Suite[F]) noCache(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		for range 2 {
			n.WantLogin(n.Ask(With(e.Question, "--cache-dir=")), e.Image, e.Owner)
			n.WantCalls(way.Calls)
		}
		WantNoCache(n.T, n.Cloud)
	})
}

// What is in the place of the cache may be broken or somebody else's. It is not
// believed, not followed, and no reason to pull nothing.
func (s Suite[F]) brokenCache(t *testing.T) {
	const secretly = "somebody else's"
	for _, test := range []struct {
		name string
		// prepare is given the cache's directory, in which there is nothing
		// yet, or what a first run has left.
		prepare func(t *testing.T, c *cloud.Cloud, dir string)
		warm    bool
	}{
		{"a file", func(t *testing.T, _ *cloud.Cloud, dir string) { write(t, dir, secretly) }, false},
		{"a link", func(t *testing.T, c *cloud.Cloud, dir string) {
			elsewhere := c.Path("/run/elsewhere")
			if err := os.Mkdir(elsewhere, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/run/elsewhere", dir); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 0 {
					t.Errorf("the link was followed: %v, %v", left, err)
				}
			})
		}, false},
		{"everybody's to write", func(t *testing.T, _ *cloud.Cloud, dir string) {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"read-only", func(t *testing.T, c *cloud.Cloud, dir string) {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			mount := exec.Command("mount", "-t", "tmpfs", "-o", "ro,mode=0700", "none", CacheDir)
			if err := c.Start(mount); err != nil {
				t.Skip(err)
			}
			if err := mount.Wait(); err != nil {
				t.Skip(err)
			}
		}, false},
		{"entries that are empty", eachEntry(func(t *testing.T, path string) { write(t, path, "") }), true},
		{"entries that are garbage", eachEntry(func(t *testing.T, path string) { write(t, path, "\x00{]"+secretly) }), true},
		{"entries that are cut short", eachEntry(func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()/2); err != nil {
				t.Fatal(err)
			}
		}), true},
		{"entries that are directories", eachEntry(func(t *testing.T, path string) { replace(t, path, os.Mkdir(path+".new", 0o700)) }), true},
		{"entries that are pipes", eachEntry(func(t *testing.T, path string) {
			replace(t, path, exec.Command("mkfifo", "-m", "600", path+".new").Run())
		}), true},
		{"entries that are links", eachEntry(func(t *testing.T, path string) { replace(t, path, os.Symlink("/etc/hostname", path+".new")) }), true},
		{"entries that everybody may write", eachEntry(func(t *testing.T, path string) {
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
		}), true},
		{"a directory in the lock's place", func(t *testing.T, _ *cloud.Cloud, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "lock"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q := n.Own()
			if test.warm {
				n.WantLogin(n.Ask(q), q.Image, n.Machine.Owner)
				n.Cloud.Calls.Reset()
			}
			test.prepare(t, n.Cloud, n.Cloud.Path(CacheDir))
			for range 2 {
				a := n.Ask(q)
				if secret := Secret(a.Stderr); secret != "" || strings.Contains(a.Stderr, secretly) {
					t.Errorf("stderr holds what it should not: %s", a.Stderr)
				}
				a.Stderr = "" // a word of warning
				n.WantLogin(a, q.Image, n.Machine.Owner)
				a.WantWithin(10 * time.Second)
			}
			if asked := n.Cloud.Calls.Count(fetch(n.Machine.Fetch)); asked < 1 || asked > 2 {
				t.Errorf("asked %d times, want once or, if nothing can be kept, twice", asked)
			}
		})
	}
}

func eachEntry(change func(t *testing.T, path string)) func(*testing.T, *cloud.Cloud, string) {
	return func(t *testing.T, c *cloud.Cloud, _ string) {
		all := entries(t, c)
		if len(all) == 0 {
			t.Fatal("there is nothing in the cache")
		}
		for _, path := range all {
			change(t, path)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts what was made beside a path in its place.
func replace(t *testing.T, path string, made error) {
	t.Helper()
	if made != nil {
		t.Fatal(made)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// fetch is an operation in two words.
func fetch(operation string) (service, name string) {
	service, name, _ = strings.Cut(operation, " ")
	return service, name
}

const stormSize = 30

// atOnce runs the plugin so many times at the same time, each for an image of
// its own.
func (n *Node[F]) atOnce(q Question) []Answer {
	n.T.Helper()
	ctx, cancel := context.WithTimeout(n.T.Context(), Patience)
	defer cancel()
	var runs []*Invocation
	for i := range stormSize {
		image := fmt.Sprintf("%s/%s-%d", n.Registry(0), n.Repository, i)
		runs = append(runs, n.Start(forImage(q, image).Command(ctx, n.Plugin)))
	}
	var answers []Answer
	for _, run := range runs {
		answers = append(answers, run.Answer())
	}
	return answers
}

// A node that boots runs the plugin once for every image that its pods name.
func (s Suite[F]) storm(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		// Otherwise the first would have the answer before the last has begun.
		service, operation := fetch(way.Fetch)
		n.Cloud.Faults.Always(service, operation, cloud.Slow{Delay: 500 * time.Millisecond})
		passwords := map[string]bool{}
		for _, a := range n.atOnce(e.Question) {
			password, _ := a.WantLogin(n.Registry(0), n.Username)
			passwords[password] = true
		}
		if len(passwords) != 1 {
			n.T.Errorf("%d passwords were handed out", len(passwords))
		}
		n.WantCalls(way.Calls)
		n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		n.WantCalls()
	})
}

func (s Suite[F]) failingStorm(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		service, operation := fetch(way.Fetch)
		n.Cloud.Faults.Always(service, operation, cloud.Slow{Delay: 500 * time.Millisecond})
		n.Cloud.Faults.Always(service, operation, n.denied(service))
		begin := time.Now()
		for _, a := range n.atOnce(e.Question) {
			a.WantFailure(1)
			a.WantWithin(30 * time.Second)
		}
		n.WantAtMost(attemptsIn(time.Since(begin)), service, operation)
	})
}

// attemptsIn is how often it is asked at most in some time for what the cloud
// denies: that is believed for some seconds.
func attemptsIn(took time.Duration) int { return 1 + int(took/(2*time.Second)) }

// denied is a refusal that is not worth asking again.
func (n *Node[F]) denied(service string) cloud.Refusal {
	if own, _ := fetch(n.Machine.Fetch); service == own {
		return n.Denied
	}
	return cloud.Refusal{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access is denied."}
}

// A credential is refreshed when about half of its life is over: once, before it
// ends.
func (s Suite[F]) refresh(t *testing.T) {
	for _, name := range []string{machineWay, podWay} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q, identity := n.choose(name)
			const life = 10 * time.Second
			n.Live(life)
			begin := time.Now()
			first := n.WantLogin(n.Ask(q), q.Image, identity.Owner)
			if first.Keep != 0 {
				t.Errorf("the kubelet keeps a credential of %s for %s", life, first.Keep)
			}
			// The refreshed one is an ordinary one, which is not due again.
			n.Live(0)
			n.Cloud.Calls.Reset()

			var second Login
			Eventually(t, "a new credential", func() bool {
				second = n.WantLogin(n.Ask(q), q.Image, identity.Owner)
				return second.Password != first.Password
			})
			if after := n.Cloud.Calls.All()[0].Time.Sub(begin); after >= life {
				t.Errorf("the first was refreshed after %s: it had ended", after)
			}
			for range 3 {
				if n.WantLogin(n.Ask(q), q.Image, identity.Owner).Password != second.Password {
					t.Error("yet another credential")
				}
			}
			n.WantCalls(identity.Refresh)
		})
	}
}

// choose is one of the two ways that every cloud has.
func (n *Node[F]) choose(name string) (Question, fake.Identity) {
	n.T.Helper()
	if name == machineWay {
		return n.Own(), n.Machine
	}
	shop := n.Workload(fake.Shop)
	return n.Pod(fake.Shop, shop), shop
}

// While the cloud cannot be asked, the credential that is still good is served.
// What the cloud said is kept in mind: it is not asked again before the time it
// named.
func (s Suite[F]) failingRefresh(t *testing.T) {
	for _, name := range []string{machineWay, podWay} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q, identity := n.choose(name)
			n.Live(8 * time.Second)
			first := n.WantLogin(n.Ask(q), q.Image, identity.Owner)
			n.Cloud.Calls.Reset()
			service, operation := fetch(identity.Fetch)
			n.Cloud.Faults.Always(service, operation, cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: time.Minute})

			var served Answer
			Eventually(t, "an attempt to refresh", func() bool {
				served = n.Ask(q)
				return n.Cloud.Calls.Count(service, operation) > 0
			})
			if !strings.Contains(served.Stderr, "refresh failed") || !strings.Contains(served.Stderr, "429") {
				t.Errorf("the log does not say that the refresh failed: %s", served.Stderr)
			}
			if secret := Secret(served.Stderr); secret != "" {
				t.Errorf("%q in the log may be a secret", secret)
			}
			for _, a := range []Answer{served, n.Ask(q)} {
				response, keep := a.Response()
				if response.Auth[n.Registry(0)].Password != first.Password || keep != 0 {
					t.Errorf("served another credential, or to be kept for %s", keep)
				}
			}

			var last Answer
			Eventually(t, "the credential's end", func() bool { last = n.Ask(q); return last.Exit != 0 })
			last.WantFailure(1, "429", Recorded)
			if asked := n.Cloud.Calls.Count(service, operation); asked != 1 {
				t.Errorf("who wants to be left alone was asked %d times, want 1", asked)
			}
		})
	}
}

// The machine knows by its own clock how long a credential lives, whatever the
// cloud's says.
func (s Suite[F]) clocks(t *testing.T) {
	const life = time.Hour
	for _, name := range []string{machineWay, podWay} {
		for _, ahead := range []time.Duration{0, 2 * time.Minute, 2 * time.Hour, -2 * time.Hour} {
			if name == podWay && ahead < 0 {
				continue // a pod's token is not valid yet
			}
			t.Run(fmt.Sprintf("%s, cloud ahead by %s", name, ahead), func(t *testing.T) {
				t.Parallel()
				n := s.boot(t)
				q, identity := n.choose(name)
				if name == podWay {
					// Clouds check a pod's token by their own clock.
					q.Token = n.Token(fake.Shop, n.Audience, 4*time.Hour)
				}
				n.Clock(ahead)
				n.Live(life)
				q = With(q, "--max-kubelet-cache=24h")
				a := n.Ask(q)
				password, keep := a.WantLogin(n.Registry(0), n.Username)
				// Kept until 40 % to 60 % of the life, and not for more than half
				// an hour where a cloud's own rules may change.
				if least, most := 23*time.Minute, 37*time.Minute; keep < least || keep > most {
					t.Errorf("the kubelet keeps a credential of one hour for %s, want %s to %s", keep, least, most)
				}
				if whose, err := n.Whose(q.Image, n.Username, password); err != nil || whose != identity.Owner {
					t.Errorf("the credential of %q, %v, want that of %s", whose, err, identity.Owner)
				}
				n.Cloud.Calls.Reset()
				if again, _ := n.Ask(q).WantLogin(n.Registry(0), n.Username); again != password {
					t.Error("the credential was not kept")
				}
				n.WantCalls()
			})
		}
	}
}
