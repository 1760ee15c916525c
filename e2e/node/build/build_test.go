package build

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// module is the directory of the module that this package belongs to.
const module = ".."

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
}

// built is a cache with everything in it, and a machine that has runc.
func built(t *testing.T) (cache string) {
	t.Helper()
	cache = t.TempDir()
	machine := t.TempDir()
	t.Setenv("PATH", machine)
	write(t, filepath.Join(machine, "runc"))
	for name, programs := range map[string][]string{
		"containerd": {"containerd", "containerd-shim-runc-v2"},
		"registry":   {"registry"},
		"etcd":       {"server"},
		"kubernetes": {"kubelet", "kube-apiserver", "kube-controller-manager"},
	} {
		for _, part := range parts() {
			if part.name != name {
				continue
			}
			key, err := part.key(module)
			if err != nil {
				t.Fatal(err)
			}
			for _, program := range programs {
				write(t, filepath.Join(cache, key, program))
			}
		}
	}
	write(t, workload(cache))
	return cache
}

func TestWhatWasBuiltIsFound(t *testing.T) {
	cache := built(t)
	programs, err := Find(module, cache)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := missing(module, cache); err != nil || len(left) != 0 {
		t.Errorf("missing %v, %v", left, err)
	}
	for _, program := range []string{
		programs.Kubelet, programs.APIServer, programs.ControllerManager, programs.Etcd, programs.Containerd,
		filepath.Join(programs.Runtime, "containerd-shim-runc-v2"), programs.Registry, programs.Workload,
	} {
		if _, err := os.Stat(program); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsNotThereIsMissing(t *testing.T) {
	for name, take := range map[string]func(cache string, programs Programs) error{
		"a part":       func(_ string, programs Programs) error { return os.RemoveAll(filepath.Dir(programs.Kubelet)) },
		"the workload": func(cache string, _ Programs) error { return os.Remove(workload(cache)) },
		"runc":         func(string, Programs) error { return os.Setenv("PATH", "/nowhere") },
		"all":          func(cache string, _ Programs) error { return os.RemoveAll(cache) },
	} {
		t.Run(name, func(t *testing.T) {
			cache := built(t)
			programs, err := Find(module, cache)
			if err != nil {
				t.Fatal(err)
			}
			if err := take(cache, programs); err != nil {
				t.Fatal(err)
			}
			if _, err := Find(module, cache); !errors.Is(err, ErrMissing) {
				t.Errorf("%v", err)
			}
		})
	}
}
