package enclosure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// groupPrefix is before the process id of who made a control group.
const groupPrefix = "regcred-node-"

// makeGroup makes a control group in every hierarchy and returns its name.
func makeGroup() (name string, err error) {
	hierarchies, err := hierarchies()
	if err != nil {
		return "", err
	}
	name = groupPrefix + strconv.Itoa(os.Getpid())
	for _, hierarchy := range hierarchies {
		if err := os.Mkdir(filepath.Join(hierarchy.mount, name), 0o755); err != nil {
			return "", fmt.Errorf("make control group: %w", err)
		}
		if err := lendProcessors(hierarchy.mount, name); err != nil {
			return "", fmt.Errorf("make control group: %w", err)
		}
	}
	return name, nil
}

// visitGroup calls visit while this process is in a group. A process that is
// started then, in a namespace of control groups, has it for its root.
func visitGroup(name string, visit func() error) (err error) {
	hierarchies, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := join(filepath.Join(hierarchy.mount, name)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, join(filepath.Join(hierarchy.mount, hierarchy.own))) }()
	}
	return visit()
}

func join(group string) error {
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("join control group: %w", err)
	}
	return nil
}

// lendProcessors gives a new group its parent's processors and memory where
// that is not done by itself: in version 1 it begins with none.
func lendProcessors(hierarchy, name string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own := filepath.Join(hierarchy, name, file)
		if has, err := os.ReadFile(own); err != nil || strings.TrimSpace(string(has)) != "" {
			continue // another hierarchy, or done
		}
		parents, err := os.ReadFile(filepath.Join(hierarchy, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // version 2, where an empty file means the parent's
		} else if err != nil {
			return err
		}
		if err := os.WriteFile(own, parents, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mountGroup shows those inside the group that they are in as the whole
// hierarchy.
func mountGroup(name string) error {
	hierarchies, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := syscall.Mount(filepath.Join(hierarchy.mount, name), hierarchy.mount, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount control group over %s: %w", hierarchy.mount, err)
		}
	}
	return nil
}

// hierarchy is a tree of control groups: the only one with version 2, one for
// each controller with version 1, and there may be both.
type hierarchy struct {
	mount string // where it is mounted
	own   string // the group of this process, as a path in it
}

func hierarchies() ([]hierarchy, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var found []hierarchy
	for line := range strings.Lines(string(mounts)) {
		// ID PARENT DEVICE ROOT MOUNT OPTIONS… - KIND SOURCE CONTROLLERS
		place, what, _ := strings.Cut(strings.TrimSpace(line), " - ")
		kind, controllers, _ := strings.Cut(what, " ")
		if kind != "cgroup" && kind != "cgroup2" {
			continue
		}
		_, controllers, _ = strings.Cut(controllers, " ")
		found = append(found, hierarchy{
			mount: strings.Fields(place)[4],
			own:   ownGroup(string(groups), strings.Split(controllers, ",")),
		})
	}
	if len(found) == 0 {
		return nil, errors.New("no control groups are mounted")
	}
	return found, nil
}

// ownGroup finds the line ID:CONTROLLERS:PATH of a hierarchy. That of version
// 2 names no controllers.
func ownGroup(groups string, controllers []string) string {
	own := "/"
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		first, _, _ := strings.Cut(fields[1], ",")
		if slices.Contains(controllers, first) {
			return fields[2]
		}
		if first == "" {
			own = fields[2]
		}
	}
	return own
}

// removeAbandonedGroups removes the groups of programs that were killed, which
// had no time to do it.
func removeAbandonedGroups() error {
	hierarchies, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		groups, err := filepath.Glob(filepath.Join(hierarchy.mount, groupPrefix+"*"))
		if err != nil {
			return err
		}
		for _, group := range groups {
			name := filepath.Base(group)
			maker, err := strconv.Atoi(strings.TrimPrefix(name, groupPrefix))
			if err != nil || syscall.Kill(maker, 0) == nil {
				continue // not ours, or in use
			}
			if err := removeGroup(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeGroup removes a group and the groups in it from every hierarchy. The
// kernel has ended their processes and may still be busy with it.
func removeGroup(name string) error {
	hierarchies, err := hierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(5 * time.Second)
	for _, hierarchy := range hierarchies {
		for {
			err := removeTree(filepath.Join(hierarchy.mount, name))
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("remove control group: %w", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// removeTree removes the inner groups first. Their files are the kernel's and
// go with them.
func removeTree(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(path)
}
