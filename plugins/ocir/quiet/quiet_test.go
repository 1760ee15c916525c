package quiet_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/common"

	_ "regcred/plugins/ocir/quiet"
)

// The SDK would print, make a file, or end this process before any test runs.
func TestTheSDKSeesNoDebugVariables(t *testing.T) {
	if os.Getenv("QUIET_TEST_CHILD") != "" {
		common.Logln("a word of the SDK's")
		return
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{
		"debug":                      {"OCI_GO_SDK_DEBUG=debug"},
		"file":                       {"OCI_GO_SDK_DEBUG=v", "OCI_GO_SDK_LOG_OUTPUT_MODE=file"},
		"file that cannot be made":   {"OCI_GO_SDK_DEBUG=1", "OCI_GO_SDK_LOG_OUTPUT_MODE=combine", "OCI_GO_SDK_LOG_FILE=/none/such/file"},
		"level that means something": {"OCI_GO_SDK_DEBUG="},
	} {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), self, "-test.run=^TestTheSDKSeesNoDebugVariables$")
			child.Dir, child.Env = dir, append([]string{"QUIET_TEST_CHILD=1"}, env...)
			out, err := child.CombinedOutput()
			if err != nil || string(out) != "PASS\n" {
				t.Errorf("%v: %s", err, out)
			}
			if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
				t.Errorf("made %v, %v", made, err)
			}
		})
	}
}
