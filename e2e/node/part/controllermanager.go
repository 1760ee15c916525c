package part

import (
	"context"
	"crypto/tls"
	"net/http"

	"regcred/e2e/node/process"
)

// AdminKubeconfig is a file of the cluster's administrator. StartControllerManager
// writes it.
func (p Place) AdminKubeconfig() string { return p.path("admin.yaml") }

// StartControllerManager starts the controllers that make the pods of DaemonSets, and
// that take away what belonged to what was deleted.
func (p Place) StartControllerManager(ctx context.Context) (*process.Process, error) {
	admin, err := p.write("admin.yaml", kubeconfig, map[string]string{"Server": APIServerURL, "Token": adminToken})
	if err != nil {
		return nil, err
	}
	started, err := p.start("kube-controller-manager", p.Programs.ControllerManager,
		"--kubeconfig="+admin,
		"--controllers=daemonset-controller,garbage-collector-controller",
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
		"--secure-port=10257",
		"--cert-dir="+p.path("controller-manager-pki"),
	)
	if err != nil {
		return nil, err
	}
	// Its certificate is its own.
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer trusting.CloseIdleConnections()
	return started, started.Ready(ctx, answers(trusting, "https://127.0.0.1:10257/healthz"))
}
