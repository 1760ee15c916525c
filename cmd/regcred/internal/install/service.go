package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"regcred/cmd/regcred/internal/tree"
)

// Systemctl runs systemctl with arguments and returns what it prints.
type Systemctl func(ctx context.Context, args ...string) (string, error)

// Service is the unit that runs the kubelet.
type Service struct {
	Unit string

	// Run runs systemctl.
	Run Systemctl

	// Healthy asks the kubelet how it is. Nil means that nobody can.
	Healthy func(context.Context) error
}

// unitState is what systemd says of a unit.
type unitState struct {
	active, sub string
	pid         int
	restarts    string
}

func (s unitState) String() string { return s.active + " (" + s.sub + ")" }

func (s *Service) state(ctx context.Context) (unitState, error) {
	text, err := s.Run(ctx, "show", "--property=ActiveState,SubState,MainPID,NRestarts", s.Unit)
	if err != nil {
		return unitState{}, err
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = value
		}
	}
	pid, _ := strconv.Atoi(values["MainPID"])
	return unitState{values["ActiveState"], values["SubState"], pid, values["NRestarts"]}, nil
}

// FindUnit returns the unit that runs the kubelet: that of its process, or the
// first of the platform's that systemd knows.
func FindUnit(ctx context.Context, t *tree.Tree, name string, running *Running, run Systemctl) (string, error) {
	if running != nil {
		text, err := t.Read(fmt.Sprintf("/proc/%d/cgroup", running.PID), maxText)
		if err == nil {
			for line := range strings.Lines(string(text)) {
				for name := range strings.SplitSeq(strings.TrimSpace(line), "/") {
					if strings.HasSuffix(name, ".service") {
						return name, nil
					}
				}
			}
		}
	}
	platform, err := findPlatform(t, name)
	if err != nil {
		return "", err
	}
	units := platform.Units
	if units == nil {
		units = []string{kubeletUnit}
	}
	for _, unit := range units {
		if text, err := run(ctx, "show", "--property=LoadState", unit); err != nil {
			return "", err
		} else if strings.TrimSpace(text) == "LoadState=loaded" {
			return unit, nil
		}
	}
	return "", fmt.Errorf("no unit runs a kubelet here: systemd knows none of %s", strings.Join(units, ", "))
}

// poll is how often a kubelet that starts is looked at, and settle how long it
// has to stay. A kubelet that refuses its configuration does so within a
// second or two.
const (
	poll   = 250 * time.Millisecond
	settle = 10 * time.Second
)

// Restart restarts the kubelet and waits until it runs and stays, at most for
// limit. Before that systemd reads its units again, if they changed.
func (s *Service) Restart(ctx context.Context, reload bool, limit time.Duration) error {
	err := s.restart(ctx, reload, limit)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("restart %s: interrupted", s.Unit)
	}
	return err
}

func (s *Service) restart(ctx context.Context, reload bool, limit time.Duration) error {
	// A kubelet that nobody can ask how it is, or that says it is not well
	// anyway, is believed when it runs.
	wasHealthy := s.Healthy != nil && s.Healthy(ctx) == nil
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	former, err := s.state(ctx)
	if err != nil {
		return err
	}
	if reload {
		if _, err := s.Run(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	// A unit that failed too often would not be started.
	_, _ = s.Run(ctx, "reset-failed", s.Unit)
	if _, err := s.Run(ctx, "restart", "--no-block", s.Unit); err != nil {
		return err
	}
	return s.watch(ctx, limit, former.pid, wasHealthy)
}

// watch waits for another process than the former, which stays.
func (s *Service) watch(ctx context.Context, limit time.Duration, former int, wantHealthy bool) error {
	stay := min(settle, limit/3)
	var last unitState
	var since time.Time
	health := errors.New("not asked yet")
	for {
		select {
		case <-ctx.Done():
			if last.active == "active" && wantHealthy {
				return fmt.Errorf("%s runs, but was not well within %s: %w", s.Unit, limit, health)
			}
			return fmt.Errorf("%s did not come back within %s: it is %s", s.Unit, limit, last)
		case <-time.After(poll):
		}
		state, err := s.state(ctx)
		if err != nil {
			if ctx.Err() != nil {
				continue
			}
			return err
		}
		if state != last {
			last, since = state, time.Now()
		}
		if state.active == "failed" {
			return fmt.Errorf("%s failed", s.Unit)
		}
		if state.active != "active" || state.sub != "running" || state.pid == 0 || state.pid == former || time.Since(since) < stay {
			continue
		}
		if !wantHealthy {
			return nil
		}
		if health = s.Healthy(ctx); health == nil {
			return nil
		}
	}
}

// Get fetches a page of the kubelet's.
func Get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	const limit = 64 << 20
	return io.ReadAll(io.LimitReader(response.Body, limit))
}

// ConfigHash finds the hash of the configuration in the kubelet's metrics. It
// is empty before 1.34.
func ConfigHash(metrics []byte) string {
	const prefix = `kubelet_credential_provider_config_info{hash="`
	for line := range strings.Lines(string(metrics)) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			hash, _, _ := strings.Cut(rest, `"`)
			return hash
		}
	}
	return ""
}

// StartTime returns when a process was started, by the clock of now.
func StartTime(t *tree.Tree, pid int) (time.Time, error) {
	name := path.Join("/proc", strconv.Itoa(pid), "stat")
	text, err := t.Read(name, maxText)
	if err != nil {
		return time.Time{}, err
	}
	system, err := t.Read("/proc/stat", maxText)
	if err != nil {
		return time.Time{}, err
	}
	// The name in the second field may have anything in it, parentheses too.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const starttime = 22 - 3 // the field's number, less those before
	if len(fields) <= starttime {
		return time.Time{}, fmt.Errorf("%s: too short", name)
	}
	ticks, err := strconv.ParseInt(fields[starttime], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: start time: %w", name, err)
	}
	for line := range strings.Lines(string(system)) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			boot, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			if err != nil {
				return time.Time{}, fmt.Errorf("/proc/stat: boot time: %w", err)
			}
			const perSecond = 100 // on every architecture of Linux
			return time.Unix(boot, 0).Add(time.Duration(ticks) * time.Second / perSecond), nil
		}
	}
	return time.Time{}, errors.New("/proc/stat: no boot time")
}
