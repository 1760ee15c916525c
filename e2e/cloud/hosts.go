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

	mu sync.Mutex
}

func openHosts(path string) (*hostsFile, error) {
	original, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cloud: hosts: %w", err)
	}
	return &hostsFile{path: path, original: original}, nil
}

// add appends one line a name: resolvers limit the length of a line.
func (h *hostsFile) add(ip netip.Addr, names []string) error {
	var lines strings.Builder
	for _, name := range names {
		fmt.Fprintf(&lines, "%s %s\n", ip, name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
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

func (h *hostsFile) restore() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := os.WriteFile(h.path, h.original, 0o644); err != nil {
		return fmt.Errorf("cloud: hosts: %w", err)
	}
	return nil
}
