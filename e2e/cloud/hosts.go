package cloud

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// hostsFile is the namespace's file of static names. It is written in place,
// since what is bound over /etc/hosts is the file and not its name.
type hostsFile struct {
	path     string
	original []byte

	mu    sync.Mutex
	names map[string]netip.Addr // the first address of each, by lower-case name
}

func openHosts(path string) (*hostsFile, error) {
	original, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cloud: hosts: %w", err)
	}
	return &hostsFile{path: path, original: original, names: map[string]netip.Addr{}}, nil
}

// add appends one line a name: resolvers limit the length of a line.
func (h *hostsFile) add(ip netip.Addr, names []string) error {
	var lines strings.Builder
	for _, name := range names {
		fmt.Fprintf(&lines, "%s %s\n", ip, name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		if _, ok := h.names[strings.ToLower(name)]; !ok {
			h.names[strings.ToLower(name)] = ip
		}
	}
	file, err := os.OpenFile(h.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cloud: hosts: %w", err)
	}
	defer file.Close()
	if _, err := file.WriteString(lines.String()); err != nil {
		return fmt.Errorf("cloud: hosts: %w", err)
	}
	return nil
}

// find is the address of a name, or of an address.
func (h *hostsFile) find(name string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ip, ok := h.names[strings.ToLower(name)]
	if !ok {
		return netip.Addr{}, fmt.Errorf("cloud: no such name: %s", name)
	}
	return ip, nil
}

func (h *hostsFile) restore() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := os.WriteFile(h.path, h.original, 0o644); err != nil {
		return fmt.Errorf("cloud: hosts: %w", err)
	}
	return nil
}
