//go:build !windows

package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regcred/cmd/regcred/internal/change"
	"regcred/cmd/regcred/internal/tree"
)

// systemd is one with a single unit.
type systemd struct {
	begun   time.Time
	pid     int
	calls   []string
	state   func(since time.Duration, pid int) string // of the unit, after the last restart
	refuses string
}

func (s *systemd) run(ctx context.Context, args ...string) (string, error) {
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if s.refuses == args[0] {
		return "", errors.New("systemctl " + args[0] + ": exit status 1")
	}
	if args[0] != "show" {
		s.calls = append(s.calls, args[0])
	}
	switch args[0] {
	case "restart":
		s.pid++
		s.begun = time.Now()
	case "show":
		return s.state(time.Since(s.begun), s.pid), nil
	}
	return "", nil
}

func unit(active, sub string, pid, restarts int) string {
	return fmt.Sprintf("ActiveState=%s\nSubState=%s\nMainPID=%d\nNRestarts=%d\n", active, sub, pid, restarts)
}

func running(_ time.Duration, pid int) string { return unit("active", "running", 100+pid, 0) }

// crashing is a kubelet that refuses its configuration: it runs for a second,
// and systemd starts it again ten seconds later.
func crashing(since time.Duration, pid int) string {
	round := int(since / (11 * time.Second))
	if since%(11*time.Second) < time.Second {
		return unit("active", "running", 1000*pid+round, round)
	}
	return unit("activating", "auto-restart", 0, round)
}

func TestRestart(t *testing.T) {
	well := func(context.Context) error { return nil }
	ill := func(context.Context) error { return errors.New("connection refused") }
	after := func(delay time.Duration, begun *time.Time, then func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			if since := time.Since(*begun); !begun.IsZero() && since < delay {
				return errors.New("connection refused")
			}
			return then(ctx)
		}
	}
	for name, tc := range map[string]struct {
		state   func(time.Duration, int) string
		healthy func(*systemd) func(context.Context) error
		refuses string
		want    string
		atLeast time.Duration
		within  time.Duration
	}{
		"it runs": {state: running, atLeast: 10 * time.Second, within: 11 * time.Second},
		"it is well after a while": {state: running, healthy: func(s *systemd) func(context.Context) error { return after(40*time.Second, &s.begun, well) },
			atLeast: 40 * time.Second, within: 41 * time.Second},
		"nobody could ask it before either": {state: running, healthy: func(*systemd) func(context.Context) error { return ill }, within: 11 * time.Second},
		"it is not well any more": {state: running, healthy: func(s *systemd) func(context.Context) error { return after(time.Hour, &s.begun, well) },
			want: "unit.service runs, but was not well within 2m0s: connection refused", within: 121 * time.Second},
		"it crashes": {state: crashing, want: "did not come back within 2m0s", within: 121 * time.Second},
		"it crashes once": {state: func(since time.Duration, pid int) string {
			if since < 12*time.Second {
				return crashing(since, pid)
			}
			return running(since, pid)
		}, atLeast: 22 * time.Second, within: 23 * time.Second},
		"it is given up": {state: func(since time.Duration, pid int) string {
			if since > 3*time.Second {
				return unit("failed", "failed", 0, 5)
			}
			return crashing(since, pid)
		}, want: "unit.service failed", within: 4 * time.Second},
		"it takes long to end": {state: func(since time.Duration, pid int) string {
			if pid == 1 && since < 90*time.Second {
				return unit("deactivating", "stop-sigterm", 100, 0)
			}
			return running(since, pid)
		}, atLeast: 100 * time.Second, within: 101 * time.Second},
		"the former process stays": {state: func(time.Duration, int) string { return unit("active", "running", 100, 0) }, want: "did not come back", within: 121 * time.Second},
		"it starts and starts":     {state: func(time.Duration, int) string { return unit("activating", "start", 7, 0) }, want: "it is activating (start)", within: 121 * time.Second},
		"systemd refuses":          {state: running, refuses: "restart", want: "systemctl restart", within: time.Second},
		"systemd does not answer":  {state: running, refuses: "show", want: "systemctl show", within: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &systemd{state: tc.state, refuses: tc.refuses}
				service := &Service{Unit: "unit.service", Run: s.run}
				if tc.healthy != nil {
					service.Healthy = tc.healthy(s)
				}
				begin := time.Now()
				err := service.Restart(t.Context(), true, 2*time.Minute)
				took := time.Since(begin)
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if took < tc.atLeast || took > tc.within {
					t.Errorf("took %s, want %s to %s", took, tc.atLeast, tc.within)
				}
				if tc.refuses == "" && strings.Join(s.calls, " ") != "daemon-reload reset-failed restart" {
					t.Errorf("called %q", s.calls)
				}
			})
		})
	}
}

func TestRestartIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &systemd{state: crashing}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		err := (&Service{Unit: "unit.service", Run: s.run}).Restart(ctx, false, time.Hour)
		if err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("got %v", err)
		}
	})
}

// apply installs with a restart of the kubelet.
func (m *machine) apply(s *systemd, o Options, pending bool) (bool, error) {
	m.t.Helper()
	opened, err := tree.Open(m.dir)
	if err != nil {
		return false, err
	}
	defer func() { _ = opened.Close() }()
	store, err := change.Lock(context.Background(), opened, StateDir, nil)
	if err != nil {
		return false, err
	}
	defer store.Unlock()
	o.Tree, o.From, o.Now, o.Made = opened, m.plugins, time.Now(), store.Made()
	plan, err := Install(o)
	if err != nil {
		return false, err
	}
	run := &Run{Store: store, Now: o.Now, Service: &Service{Unit: "unit.service", Run: s.run}, Limit: time.Minute, Pending: pending, Say: func(string) {}}
	return run.Apply(context.Background(), plan)
}

func TestTheKubeletIsRestartedOnlyIfItHasToBe(t *testing.T) {
	m := newMachine(t, eks())
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []struct {
			name    string
			options Options
			pending bool
			before  func()
			want    bool
		}{
			{"a program alone is replaced", Options{}, false, nil, false},
			{"a provider is added", Options{Clouds: []string{"aws", "gcp"}}, false, nil, true},
			{"nothing", Options{}, false, nil, false},
			{"a newer release", Options{}, false, func() { m.release("two") }, false},
			{"what was changed before is not in use yet", Options{}, true, nil, true},
		} {
			if step.before != nil {
				step.before()
			}
			s := &systemd{state: running}
			restarted, err := m.apply(s, step.options, step.pending)
			if err != nil || restarted != step.want || (len(s.calls) > 0) != step.want {
				t.Errorf("%s: restarted %t, %v, called %q; want %t", step.name, restarted, err, s.calls, step.want)
			}
		}
	})
}

func TestAKubeletThatDoesNotComeBackGetsItsFormerConfiguration(t *testing.T) {
	m := newMachine(t, kubeadm())
	before := m.snapshot()
	configuration := m.dir + defaultConfig
	// It crashes as long as the configuration is there, as one that does not
	// like it.
	dislikes := func(since time.Duration, pid int) string {
		if _, err := os.Stat(configuration); err == nil {
			return crashing(since, pid)
		}
		return running(since, pid)
	}
	for name, tc := range map[string]struct {
		state func(time.Duration, int) string
		want  string
	}{
		"and runs":          {dislikes, "all changes were taken back, and the kubelet runs with the former configuration"},
		"and does not run":  {crashing, "but the kubelet does not run with the former configuration either"},
		"and names the log": {dislikes, "journalctl -u unit.service"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &systemd{state: tc.state}
			restarted, err := m.apply(s, Options{Clouds: []string{"aws"}}, false)
			if !restarted || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: restarted %t, %v", name, restarted, err)
			}
			if got := strings.Join(s.calls, " "); got != "daemon-reload reset-failed restart daemon-reload reset-failed restart" {
				t.Errorf("%s: called %s", name, got)
			}
			if _, ok := errors.AsType[*RolledBackError](err); !ok {
				t.Errorf("%s: got %T", name, err)
			}
		})
		if got := m.snapshot(); got != before {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, before)
		}
	}
}

func TestFindUnit(t *testing.T) {
	knows := func(known string) Systemctl {
		return func(_ context.Context, args ...string) (string, error) {
			if args[len(args)-1] == known {
				return "LoadState=loaded\n", nil
			}
			return "LoadState=not-found\n", nil
		}
	}
	m := newMachine(t, map[string]string{
		"proc/7/cgroup": "12:pids:/system.slice/k3s-agent.service\n1:name=systemd:/system.slice/k3s-agent.service\n0::/\n",
		"proc/8/cgroup": "0::/\n",
	})
	for _, tc := range []struct {
		platform, known, want string
		running               *Running
	}{
		{"k3s", "x", "k3s-agent.service", &Running{PID: 7}},
		{"k3s", "k3s.service", "k3s.service", &Running{PID: 8}},
		{"rke2", "rke2-server.service", "rke2-server.service", nil},
		{"", "kubelet.service", "kubelet.service", nil},
		{"eks", "x", "", nil},
	} {
		got, err := FindUnit(t.Context(), m.open(), tc.platform, tc.running, knows(tc.known))
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s, %s: got %q, %v", tc.platform, tc.known, got, err)
		}
	}
}

func TestStartTime(t *testing.T) {
	m := newMachine(t, map[string]string{
		"proc/7/stat": "7 (a )( kubelet) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n",
		"proc/8/stat": "8 (x) S",
		"proc/stat":   "cpu 1 2\nbtime 1000000000\n",
	})
	if got, err := StartTime(m.open(), 7); err != nil || !got.Equal(time.Unix(1000000123, 450000000)) {
		t.Errorf("got %s, %v", got, err)
	}
	for _, pid := range []int{8, 9} {
		if got, err := StartTime(m.open(), pid); err == nil {
			t.Errorf("process %d: got %s", pid, got)
		}
	}
	own, err := tree.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = own.Close() }()
	if got, err := StartTime(own, os.Getpid()); err == nil && (time.Since(got) > time.Hour || time.Until(got) > time.Minute) {
		t.Errorf("this process started at %s", got)
	}
}

func TestConfigHash(t *testing.T) {
	const page = "# HELP kubelet_credential_provider_config_info x\nkubelet_credential_provider_config_info{hash=\"sha256:ab\"} 1\n"
	if got := ConfigHash([]byte(page)); got != "sha256:ab" {
		t.Errorf("got %q", got)
	}
	if got := ConfigHash([]byte("other 1\n")); got != "" {
		t.Errorf("got %q", got)
	}
}
