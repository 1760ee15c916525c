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
	"regcred/e2e/cloud/fake"
	"regcred/e2e/node/part"
	"regcred/e2e/node/process"
	"regcred/e2e/node/registry"
)

// startTime is how long a part may take to be ready on a busy machine.
const startTime = 2 * time.Minute

// node is a machine in a cloud, as it is after its boot: everything runs but
// the kubelet.
type node struct {
	*fake.Node // nil: there is no cloud yet
	row        row

	t        *testing.T // the one that uses it at the moment
	place    part.Place
	policies registry.Policies // of the cloud's registries
	images   *registry.Images
	parts    []*process.Process    // but the kubelet, in the order of their start
	api      *kubernetes.Clientset // nil: there is no cluster
	kubelet  *process.Process      // nil: it does not run
	config   part.Kubelet          // how it was started

	registries int               // that are in use
	fetching   map[string]bool   // the calls that are answered with a credential: "SERVICE OPERATION"
	namespace  string            // of the case's pods
	owners     map[string]string // of the credentials of workloads, by namespace
}

// bootNode starts a node that lives as long as the test.
func bootNode(t *testing.T, kind fake.Kind) *node {
	t.Helper()
	own, ok := rows[kind.Name]
	if !ok {
		t.Fatalf("no row for %s", kind.Name)
	}
	return bootRow(t, own, kind)
}

// bootRow is bootNode with a row that is not among those of clouds.
func bootRow(t *testing.T, own row, kind fake.Kind) *node {
	t.Helper()
	begin := time.Now()
	n := &node{t: t, row: own, place: place}
	n.place.Logs = filepath.Join(place.Logs, strings.ReplaceAll(t.Name(), "/", "-"))
	t.Cleanup(n.shutDown)
	n.makeDirectories()
	n.bootCloud(kind)
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
		n.Cloud.Faults.Clear()
		n.Live(0)
		n.Regain()
	})
	return n
}

// makeDirectories empties the node's directories, and the plugin's cache.
func (n *node) makeDirectories() {
	n.t.Helper()
	for _, directory := range []string{n.place.Dir, n.place.Logs, cloudtest.CacheDir} {
		if err := os.RemoveAll(directory); err != nil {
			n.t.Fatal(err)
		}
	}
	for _, directory := range []string{n.place.Dir, n.place.Logs} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
}

// bootCloud makes the cloud with its registries and the others.
func (n *node) bootCloud(kind fake.Kind) {
	n.t.Helper()
	c, err := cloud.New()
	if err != nil {
		n.t.Fatal(err)
	}
	n.Node = &fake.Node{Kind: kind, Cloud: c}
	if err := c.AddAddress(netip.MustParseAddr(part.NodeAddress)); err != nil {
		n.t.Fatal(err)
	}
	booted, err := kind.Boot(c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Node = booted
	n.fetching = map[string]bool{n.Machine.Fetch: true}

	fronts := []registry.Front{
		{Host: host(part.SandboxImage), Login: registry.Open},
		{Host: ownRegistry, Login: registry.Basic(ownUser, ownPassword)},
		// It asks for a password so as to be shown one.
		{Host: n.LookAlike, Login: registry.Basic("nobody", "nothing")},
	}
	for _, host := range n.hosts() {
		fronts = append(fronts, n.row.style(host).Front(host, n.Node, &n.policies))
	}
	if err := registry.Place(c, fronts...); err != nil {
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
		started, n.api, err = n.place.StartAPIServer(ctx, n.Cloud.Authority, n.Issuer)
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
