package node_test

import (
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/node/registry"
)

// row is what a cloud brings along, besides what clouds.All says of it.
type row struct {
	style func(host string) registry.Style // of its registries

	// Cases of its own, on the node that the common ones are run on.
	asNode, asPods []testCase

	// registries is how many of the cloud's there are, for a cloud whose cases
	// need more than 16.
	registries int
}

// rows are by the clouds' names.
var rows = map[string]row{
	"aws":    {style: registry.AWS, asNode: awsAsNode, registries: 29},
	"gcp":    {style: registry.GCP, asPods: gcpAsPods},
	"azure":  {style: registry.Azure},
	"oracle": {style: registry.Oracle},
	"ibm":    {style: registry.IBM},
}

// testCase is run on a node that others were run on before.
type testCase struct {
	name string
	run  func(n *node)
}

// eachCloud runs a test on a node of every cloud.
func eachCloud(t *testing.T, test func(n *node)) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) { test(bootNode(t, kind)) })
	}
}

// fetches counts how often a registry credential was asked for.
func (n *node) fetches() int {
	count := 0
	for operation := range n.fetching {
		count += n.Cloud.Calls.Count(cut(operation))
	}
	return count
}

// cut is the parts of "SERVICE OPERATION".
func cut(text string) (service, operation string) {
	service, operation, _ = strings.Cut(text, " ")
	return service, operation
}

// slowDown delays every fetch of the node's credential.
func (n *node) slowDown(delay time.Duration) {
	service, operation := cut(n.Machine.Fetch)
	n.Cloud.Faults.Always(service, operation, cloud.Slow{Delay: delay})
}

// goDown lets every call of every service fail until the case ends.
func (n *node) goDown() {
	for _, service := range n.Services {
		n.Cloud.Faults.Always(service, "", cloud.Reset{})
	}
}

// workload makes an identity that a service account may use.
func (n *node) workload(namespace, name string) fake.Identity {
	identity := n.Workload(oidc.ServiceAccount{Namespace: namespace, Name: name})
	n.fetching[identity.Fetch] = true
	return identity
}

// newRegistry is the host of a registry that was not used before, so that the
// kubelet has no credential for it. The first one is left out.
func (n *node) newRegistry() string {
	for {
		n.registries++
		if n.Registry(n.registries) != host(n.Public) {
			return n.Registry(n.registries)
		}
	}
}

// newImage is an image in a new registry that the node may read.
func (n *node) newImage() string {
	n.t.Helper()
	return n.imageOf(n.newRegistry(), "app")
}

// imageOf is an image in a registry that the node may read.
func (n *node) imageOf(host, name string) string {
	n.t.Helper()
	return n.readable(host+"/"+n.Repository+"/"+name+":v1", n.Machine.Owner)
}

// readable makes an image that an identity may read.
func (n *node) readable(image, owner string) string {
	n.t.Helper()
	n.push(image)
	n.policies.Allow(repository(image), owner)
	return image
}

// publicImage is an image that everybody may read, and that the plugin is asked
// about: of the cloud's public registry, or of one like any other.
func (n *node) publicImage(tag string) string {
	n.t.Helper()
	name := n.Public
	if name == "" {
		name = n.newRegistry() + "/library/app"
	}
	return n.readable(name+":"+tag, registry.Everybody)
}

// hosts are those of the cloud's registries.
func (n *node) hosts() []string {
	var hosts []string
	for number := range max(16, n.row.registries) {
		hosts = append(hosts, n.Registry(number))
	}
	if n.Public != "" {
		hosts = append(hosts, host(n.Public))
	}
	return hosts
}
