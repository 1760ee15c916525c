package kubelet_test

import (
	"fmt"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
	"regcred/e2e/kubelet/wire"
)

const (
	gcrPlugin      = "gcr-credential-provider"
	gcrNodeSample  = "../../plugins/gcr/node.yaml"
	gcrPodsSample  = "../../plugins/gcr/pods.yaml"
	gcrRegistry    = "us-docker.pkg.dev"
	gcrNodeAccount = "node@example-project.iam.gserviceaccount.com"
)

// gcrNode is a machine in Google Cloud that has just booted, with a service
// account whose tokens registries accept, and nothing cached.
type gcrNode struct {
	t     *testing.T
	cloud *cloud.Cloud
	gcp   *gcp.Fake
}

func bootGCRNode(t *testing.T) *gcrNode {
	t.Helper()
	c := cloudtest.New(t)
	n := &gcrNode{t: t, cloud: c, gcp: gcp.New(c.Calls, c.Faults)}
	if err := n.gcp.Place(c); err != nil {
		t.Fatal(err)
	}
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = gcrNodeAccount })
	return n
}

// slowDown makes a service take so long that every plugin that is started at
// once waits for the one that asks.
func (n *gcrNode) slowDown(service string) {
	n.cloud.Faults.Always(service, "", cloud.Slow{Delay: 500 * time.Millisecond})
}

// whose is the principal whose access token kubelet would pull with, or a
// description of what it would do instead.
func (n *gcrNode) whose(answer wire.Answer) gcp.Principal {
	switch {
	case !answer.Found:
		return "nobody's"
	case len(answer.Credentials) != 1:
		return gcp.Principal(fmt.Sprintf("%d credentials", len(answer.Credentials)))
	}
	credential := answer.Credentials[0]
	if credential.Username != "_token" {
		return gcp.Principal(fmt.Sprintf("user %q", credential.Username))
	}
	token, issued := n.gcp.Token(credential.Password)
	if !issued {
		return "not a token of Google's"
	}
	return token.Principal
}

// wantAll fails the test for every answer that is not the principal's token.
func (n *gcrNode) wantAll(answers []wire.Answer, principal gcp.Principal) {
	n.t.Helper()
	for i, answer := range answers {
		if got := n.whose(answer); got != principal {
			n.t.Errorf("answer %d of %d is %s, want %s", i+1, len(answers), got, principal)
		}
	}
}

// askGCRNode is what it takes to get the node's token, once, and to know that
// registries accept it.
var askGCRNode = calls{"metadata GetToken": 1, "metadata GetUniverse": 1, "metadata GetScopes": 1}

// wantCalls fails the test unless the cloud was asked exactly that since the
// last time.
func (n *gcrNode) wantCalls(want calls) {
	n.t.Helper()
	wantCalls(n.t, n.cloud, want)
}

// gcrImages are distinct images of one registry.
func gcrImages(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s/project/team/app-%d:v1.2.%d", gcrRegistry, i, i)
	}
	return names
}
