package cloud

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// resolverConfiguration sends every look-up of a name that is not in the
// hosts file to the cloud's own name server, and gives up at once when there
// is none.
const resolverConfiguration = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"

// prepare makes the namespace ready for a Cloud: it is private, loopback is
// up, and /run, /var/opt, the trusted authorities, the static names and the
// resolver's configuration are its own.
func prepare(outside string) error {
	if here, err := mountNamespace(); err != nil || here == outside {
		return fmt.Errorf("cloud: enter: %s names this very namespace: %w", marker, syscall.EPERM)
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return fmt.Errorf("cloud: enter: %w", err)
	}
	// Systemd keeps the resolver's configuration under /run, behind a link
	// that leads nowhere as soon as /run is empty.
	resolver, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cloud: enter: %w", err)
	}

	// The kernel walks its one table of connections, which is for the whole
	// machine, when those of a namespace are listed and when one ends. What is
	// made from this namespace has a small table of its own, since Linux 6.1.
	_ = os.WriteFile("/proc/sys/net/ipv4/tcp_child_ehash_entries", []byte("256"), 0)

	if err := mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE); err != nil {
		return err
	}
	for _, directory := range []string{runPath, trustPath} {
		if err := mount("tmpfs", directory, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV); err != nil {
			return err
		}
	}
	// Not every machine has the directory.
	if err := mount("tmpfs", agentsPath, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := replace("/etc/hosts", hostsPath, hosts); err != nil {
		return err
	}
	if resolver != "" {
		if err := replace(resolver, resolverPath, []byte(resolverConfiguration)); err != nil {
			return err
		}
	}
	return raiseLoopback()
}

// replace binds a file with the given content over target, which it creates
// when the directory that held it has just been emptied.
func replace(target, source string, content []byte) error {
	for _, path := range []string{target, source} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("cloud: enter: %w", err)
		}
	}
	if err := os.WriteFile(source, content, 0o644); err != nil {
		return fmt.Errorf("cloud: enter: %w", err)
	}
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(target, nil, 0o644); err != nil {
			return fmt.Errorf("cloud: enter: %w", err)
		}
	}
	return mount(source, target, "", syscall.MS_BIND)
}

func mount(source, target, kind string, flags uintptr) error {
	options := ""
	if kind == "tmpfs" {
		options = "mode=0755"
	}
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("cloud: enter: mount over %s: %w", target, err)
	}
	return nil
}
