package node_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/node/part"
	"regcred/e2e/node/process"
	"regcred/e2e/node/registry"
)

// startTime is how long a part may take to be ready on a busy machine.
const startTime = 2 * time.Minute

// node is a machine in a cloud, as it is after its boot: everything runs but
// the kubelet.
type node struct {
	t       *testing.T // the one that uses it at the moment
	vendor  vendor
	place   part.Place
	cloud   *cloud.Cloud
	account account
	images  *registry.Images
	parts   []*process.Process    // but the kubelet, in the order of their start
	api     *kubernetes.Clientset // nil: there is no cluster
	kubelet *process.Process      // nil: it does not run
	config  part.Kubelet          // how it was started

	registries int    // that are in use
	namespace  string // of the case's pods
}

// bootNode starts a node that lives as long as the test.
func bootNode(t *testing.T, v vendor) *node {
	t.Helper()
	begin := time.Now()
	n := &node{t: t, vendor: v, place: place}
	n.place.Logs = filepath.Join(place.Logs, strings.ReplaceAll(t.Name(), "/", "-"))
	t.Cleanup(n.shutDown)
	n.makeFolders()
	n.placeCloud()
	images, err := registry.NewImages(place.Programs.Workload)
	if err != nil {
		t.Fatal(err)
	}
	n.images = images
	n.start(n.place.StartRegistry)
	n.start(n.place.StartContainerd)
	n.push(part.SandboxImage)
	t.Logf("the node booted in %s", time.Since(begin).Round(time.Millisecond))
	return n
}

// in gives the node to a subtest, before which the plugin keeps nothing and
// after which the cloud is in good order again.
func (n *node) in(t *testing.T) *node {
	t.Helper()
	outer := n.t
	n.t = t
	if err := os.RemoveAll(cloudtest.CacheDir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.t = outer
		n.cloud.Faults.Clear()
		n.account.tokensLive(0)
		n.account.regainIdentity()
	})
	return n
}

// makeFolders empties the node's folders, and the plugin's cache.
func (n *node) makeFolders() {
	n.t.Helper()
	for _, folder := range []string{n.place.Dir, n.place.Logs, cloudtest.CacheDir} {
		if err := os.RemoveAll(folder); err != nil {
			n.t.Fatal(err)
		}
	}
	for _, folder := range []string{n.place.Dir, n.place.Logs} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
}

// placeCloud makes the cloud with its registries and the others.
func (n *node) placeCloud() {
	n.t.Helper()
	c, err := cloud.New()
	if err != nil {
		n.t.Fatal(err)
	}
	n.cloud = c
	if err := c.AddAddress(netip.MustParseAddr(part.NodeAddress)); err != nil {
		n.t.Fatal(err)
	}
	if n.account, err = n.vendor.place(c); err != nil {
		n.t.Fatal(err)
	}
	err = registry.Place(c,
		registry.Front{Hosts: []string{host(part.SandboxImage)}, Login: registry.Open},
		registry.Front{Hosts: []string{ownRegistry}, Login: registry.Basic(ownUser, ownPassword)},
		// It asks for a password so as to be shown one.
		registry.Front{Hosts: []string{n.account.lookAlike()}, Login: registry.Basic("nobody", "nothing")},
	)
	if err != nil {
		n.t.Fatal(err)
	}
}

// A registry that is no cloud's, and who may read it.
const (
	ownRegistry = "registry.example.com"
	ownUser     = "team"
	ownPassword = "password-of-the-team"
)

// start starts one part. The test fails with the part's name and its last
// words when it does not get ready.
func (n *node) start(start func(context.Context) (*process.Process, error)) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), startTime)
	defer cancel()
	started, err := start(ctx)
	if started != nil {
		n.parts = append(n.parts, started)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// startCluster gives the node an API server.
func (n *node) startCluster() {
	n.t.Helper()
	begin := time.Now()
	n.start(n.place.StartEtcd)
	n.start(func(ctx context.Context) (started *process.Process, err error) {
		started, n.api, err = n.place.StartAPIServer(ctx, n.cloud.Authority, n.account.issuer())
		return started, err
	})
	n.t.Logf("the cluster started in %s", time.Since(begin).Round(time.Millisecond))
}

// push puts images into the registries.
func (n *node) push(images ...string) {
	n.t.Helper()
	for _, image := range images {
		if err := n.images.Push(n.t.Context(), image); err != nil {
			n.t.Fatal(err)
		}
	}
}

// newRegistry is the host of a registry that was not used before, so that the
// kubelet has no credential for it.
func (n *node) newRegistry() string {
	n.registries++
	return n.account.registry(n.registries)
}
