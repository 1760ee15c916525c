package part

import (
	"context"
	"net/http"
	"os"

	"regcred/e2e/node/process"
)

// NodeName is how the kubelet registers itself.
const NodeName = "node1"

// NodeAddress is the node's only address besides loopback; the namespace has
// no route by which the kubelet could find one. It is one of those for
// documentation, and somebody has to add it.
const NodeAddress = "192.0.2.1"

// KubeletURL answers /pods and /metrics to everybody.
const KubeletURL = "http://127.0.0.1:10255"

// Control groups are not divided up, and nothing of the machine is reserved or
// evicted. Pulls are not slowed down, but one after the other, as by default.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
readOnlyPort: 10255
authentication:
  anonymous:
    enabled: true
  webhook:
    enabled: false
authorization:
  mode: AlwaysAllow
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {}
imageGCHighThresholdPercent: 100
containerRuntimeEndpoint: unix://{{.Socket}}
podLogsDir: {{.PodLogs}}
staticPodPath: {{.StaticPods}}
fileCheckFrequency: 1s
syncFrequency: 10s
registryPullQPS: 0
`

// Kubelet is how a kubelet is started.
type Kubelet struct {
	Providers string // path of the credential providers' configuration
	Plugins   string // directory of the credential providers
	Cluster   bool   // false: it runs static pods alone and knows no API server
}

// StaticPods is the directory whose pods the kubelet runs.
func (p Place) StaticPods() string { return p.path("manifests") }

// StartKubelet starts the kubelet. One that was stopped before finds its
// directory and its pods again.
func (p Place) StartKubelet(ctx context.Context, kubelet Kubelet) (*process.Process, error) {
	config, err := p.write("kubelet.yaml", kubeletConfig, map[string]string{
		"Socket":     p.containerdSocket(),
		"PodLogs":    p.path("pod-logs"),
		"StaticPods": p.StaticPods(),
	})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.StaticPods(), 0o755); err != nil {
		return nil, err
	}
	arguments := []string{
		"--config=" + config,
		"--root-dir=" + p.path("kubelet"),
		"--cert-dir=" + p.path("kubelet-pki"),
		"--hostname-override=" + NodeName,
		"--node-ip=" + NodeAddress,
		"--image-credential-provider-config=" + kubelet.Providers,
		"--image-credential-provider-bin-dir=" + kubelet.Plugins,
		"--v=2",
	}
	if kubelet.Cluster {
		kubeconfig, err := p.write("kubeconfig.yaml", kubeconfig, map[string]string{"Server": APIServerURL, "Token": nodeToken})
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, "--kubeconfig="+kubeconfig)
	}
	started, err := p.start("kubelet", p.Programs.Kubelet, arguments...)
	if err != nil {
		return nil, err
	}
	return started, started.Ready(ctx, answers(http.DefaultClient, KubeletURL+"/healthz"))
}

// The API server's certificate is of the authority that the namespace trusts.
const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: e2e
  cluster:
    server: {{.Server}}
users:
- name: node
  user:
    token: {{.Token}}
contexts:
- name: e2e
  context:
    cluster: e2e
    user: node
current-context: e2e
`
