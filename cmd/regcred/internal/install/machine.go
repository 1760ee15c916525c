package install

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"

	"regcred/cmd/regcred/internal/tree"
)

// checkMachine returns why a plugin does not run on a node: a kubelet starts
// with it all the same, and every pull that it is for fails. Where it cannot be
// told there is no reason.
func checkMachine(t *tree.Tree, source string) error {
	file, err := os.Open(source)
	if err != nil {
		return nil // which others report
	}
	defer func() { _ = file.Close() }()
	plugin, err := machineOf(file)
	if err != nil {
		return err
	}
	for _, name := range []string{"/usr/bin/kubelet", "/bin/sh", "/usr/lib/systemd/systemd", "/sbin/init"} {
		resolved, err := t.Resolve(name)
		if err != nil {
			continue
		}
		there, err := t.Open(resolved)
		if err != nil {
			continue
		}
		machine, err := machineOf(there)
		_ = there.Close()
		switch {
		case err != nil || machine == elf.EM_NONE:
			continue
		case plugin != elf.EM_NONE && plugin != machine:
			return fmt.Errorf("built for %s, and this node's %s for %s: give --from with plugins for it", plugin, name, machine)
		}
		return nil
	}
	return nil
}

// machineOf returns the machine that a program is for, or EM_NONE if it is no
// program of ELF's form.
func machineOf(file io.ReaderAt) (elf.Machine, error) {
	begin := make([]byte, len(elf.ELFMAG))
	if n, err := file.ReadAt(begin, 0); n < len(begin) || !bytes.Equal(begin, []byte(elf.ELFMAG)) {
		if n == 0 && errors.Is(err, io.EOF) {
			return elf.EM_NONE, errors.New("an empty file")
		}
		return elf.EM_NONE, nil
	}
	parsed, err := elf.NewFile(file)
	if err != nil {
		return elf.EM_NONE, fmt.Errorf("not a whole program: %w", err)
	}
	return parsed.Machine, nil
}
