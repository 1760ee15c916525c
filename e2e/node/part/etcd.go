package part

import (
	"context"
	"net/http"

	"regcred/e2e/node/process"
)

const etcdURL = "http://127.0.0.1:2379"

// StartEtcd starts the API server's database. It need not survive anything, so
// it does not wait for disks.
func (p Place) StartEtcd(ctx context.Context) (*process.Process, error) {
	const peers = "http://127.0.0.1:2380"
	started, err := p.start("etcd", p.Programs.Etcd,
		"--data-dir="+p.path("etcd"),
		"--listen-client-urls="+etcdURL,
		"--advertise-client-urls="+etcdURL,
		"--listen-peer-urls="+peers,
		"--initial-advertise-peer-urls="+peers,
		"--initial-cluster=default="+peers,
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
	if err != nil {
		return nil, err
	}
	return started, started.Ready(ctx, answers(http.DefaultClient, etcdURL+"/health"))
}
