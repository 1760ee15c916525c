//go:build linux

package regcred_test

import (
	"os"
	"testing"
)

// The tool is put onto every node, beside the plugins.
func TestSize(t *testing.T) {
	const most = 20 << 20
	info, err := os.Stat(tool)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= most {
		t.Errorf("%d bytes; want less than %d", info.Size(), most)
	}
}
