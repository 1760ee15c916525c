package node_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"regcred/e2e/node/part"
)

// pluginRuns is how often this kubelet has run the plugin.
func (n *node) pluginRuns() int {
	n.t.Helper()
	return n.counter("kubelet_credential_provider_plugin_duration_count")
}

// pluginErrors is how often the plugin has failed this kubelet.
func (n *node) pluginErrors() int {
	n.t.Helper()
	return n.counter("kubelet_credential_provider_plugin_errors_total")
}

// counter reads a metric of the plugin; one that has never counted is absent.
func (n *node) counter(metric string) int {
	n.t.Helper()
	for _, line := range n.metrics() {
		value, ok := strings.CutPrefix(line, fmt.Sprintf("%s{plugin_name=%q} ", metric, n.Plugin))
		if !ok {
			continue
		}
		count, err := strconv.ParseFloat(value, 64)
		if err != nil {
			n.t.Fatal(err)
		}
		return int(count)
	}
	return 0
}

// metrics are the kubelet's metrics of its plugins, without the buckets.
func (n *node) metrics() []string {
	n.t.Helper()
	response, err := http.Get(part.KubeletURL + "/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "kubelet_credential_provider_") && !strings.Contains(line, "_bucket{") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// reportMetrics shows the kubelet's metrics of the plugin, and checks that the
// configuration in use is the one that was meant.
func (n *node) reportMetrics() {
	n.t.Helper()
	metrics := n.metrics()
	n.t.Logf("the kubelet's metrics:\n%s", strings.Join(metrics, "\n"))
	content, err := os.ReadFile(n.config.Providers)
	if err != nil {
		n.t.Fatal(err)
	}
	hashed := append(binary.BigEndian.AppendUint64(nil, uint64(len(content))), content...)
	want := fmt.Sprintf(`kubelet_credential_provider_config_info{hash="sha256:%x"} 1`, sha256.Sum256(hashed))
	if !slices.Contains(metrics, want) {
		n.t.Errorf("the kubelet does not report the configuration %s: want %s", n.config.Providers, want)
	}
}
