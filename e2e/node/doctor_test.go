package node_test

import (
	"encoding/json"
	"slices"
	"strings"
)

// doctorReport is what is looked at of a report.
type doctorReport struct {
	Results []struct {
		Name, Level, Subject, Message string
		Evidence                      []string
	}
}

// doctor runs the tool's doctor, and leaves out what this machine, and the cases
// before, have for the node.
func (n *node) doctor(args ...string) (code int, report doctorReport) {
	n.t.Helper()
	code, stdout, stderr := n.regcred("doctor", append([]string{"-o", "json", "--skip=journal,clock-unsynchronised,plugin-errors,plugin-slow"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || stderr != "" {
		n.t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	return code, report
}

// told is what is told under the names of a finding or of a check.
func (r doctorReport) told(names ...string) string {
	var b strings.Builder
	for _, result := range r.Results {
		if slices.Contains(names, result.Name) {
			b.WriteString(strings.Join(append([]string{result.Level, result.Subject, result.Message}, result.Evidence...), " ") + "\n")
		}
	}
	return b.String()
}

// A node on which pods run has nothing that is wrong with it.
func doctorFindsNothing(n *node) { n.wantWell("no provider has tokenAttributes") }

// Nor has one whose plugin gets their tokens.
func doctorFindsNothingForPods(n *node) {
	n.wantWell("the kubelet may request tokens for audience " + n.Audience)
}

// wantWell fails the test if something is wrong with the node, and unless this
// is told of audiences.
func (n *node) wantWell(audience string) {
	n.t.Helper()
	code, report := n.doctor()
	for _, result := range report.Results {
		if result.Level == "warning" || result.Level == "error" {
			n.t.Errorf("%s: %s", result.Name, report.told(result.Name))
		}
	}
	if code != 0 {
		n.t.Errorf("exit code %d", code)
	}
	for name, says := range map[string]string{
		"kubelet":  "runs (process ",
		"binaries": n.Plugin,
		"metrics":  "the kubelet runs with the configuration on disk",
		"cache":    "in memory",
		"audience": audience,
	} {
		if !strings.Contains(report.told(name), says) {
			n.t.Errorf("%s does not say %q: %s", name, says, report.told(name))
		}
	}
}

// doctorMissesDocumented is for a cluster in which nodes may not request tokens
// for the plugin's audience.
func doctorMissesDocumented(n *node) {
	code, report := n.doctor("audience")
	if code != 2 || !strings.Contains(report.told("audience-forbidden"), n.Audience) {
		n.t.Errorf("exit code %d, %s", code, report.told("audience-forbidden", "audience", "api-server-unreachable"))
	}
}
