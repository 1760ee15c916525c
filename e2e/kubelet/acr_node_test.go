package kubelet_test

import (
	"fmt"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/kubelet/wire"
)

const (
	acrPlugin     = "acr-credential-provider"
	acrNodeSample = "../../plugins/acr/node.yaml"
	acrPodsSample = "../../plugins/acr/pods.yaml"
	acrRegistry   = "example.azurecr.io"
)

// acrNodeIdentity is the identity of a node of AKS.
var acrNodeIdentity = azure.ManagedIdentity{ClientID: "d0000000-0000-4000-8000-000000000001", ObjectID: "d0000000-0000-4000-8000-000000000002"}

// acrNode is a machine in Azure that has just booted, with an identity that may
// pull from its registries, and nothing cached.
type acrNode struct {
	t     *testing.T
	cloud *cloud.Cloud
	azure *azure.Fake
}

func bootACRNode(t *testing.T) *acrNode {
	t.Helper()
	c := cloudtest.New(t)
	n := &acrNode{t: t, cloud: c, azure: azure.New(c.Calls, c.Faults)}
	if err := n.azure.Place(c); err != nil {
		t.Fatal(err)
	}
	n.azure.Configure(func(s *azure.Settings) { s.IMDS.User = []azure.ManagedIdentity{acrNodeIdentity} })
	n.serve(acrRegistry, acrNodeIdentity.ClientID)
	return n
}

// serve makes a registry from which identities may pull.
func (n *acrNode) serve(host string, clientIDs ...string) {
	n.t.Helper()
	registry := azure.Registry{Hosts: []string{host}}
	for _, id := range clientIDs {
		registry.Roles = append(registry.Roles, azure.Role{Name: azure.AcrPull, Principal: azure.Principal{Tenant: azure.HomeTenant, ClientID: id}})
	}
	n.azure.AddRegistry(registry)
	if err := n.azure.PlaceRegistries(n.cloud, host); err != nil {
		n.t.Fatal(err)
	}
}

// azureJSON is the cloud provider's configuration as AKS writes it.
func azureJSON(t *testing.T) string {
	t.Helper()
	return cloudtest.File(t, `{"cloud":"AzurePublicCloud","tenantId":"`+azure.HomeTenant+`","aadClientId":"msi","aadClientSecret":"msi",
		"resourceGroup":"MC_example","location":"eastus","cloudProviderBackoff":true,"cloudProviderBackoffExponent":1.5,
		"useManagedIdentityExtension":true,"userAssignedIdentityID":"`+acrNodeIdentity.ClientID+`"}`)
}

// slowDown makes a service take so long that every plugin that is started at
// once waits for the one that asks.
func (n *acrNode) slowDown(service string) {
	n.cloud.Faults.Always(service, "", cloud.Slow{Delay: 500 * time.Millisecond})
}

// whose is the client id of whom kubelet would pull an image as, or a
// description of what it would do instead.
func (n *acrNode) whose(image string, answer wire.Answer) string {
	switch {
	case !answer.Found:
		return "nobody's"
	case len(answer.Credentials) != 1:
		return fmt.Sprintf("%d credentials", len(answer.Credentials))
	}
	return n.owner(image, answer.Credentials[0])
}

func (n *acrNode) owner(image string, credential wire.Credential) string {
	if credential.Username == "" && credential.Password == "" {
		return "anonymous"
	}
	token, issued := n.azure.Credential(credential.Password)
	if !issued {
		return "not a token of a registry's"
	}
	host, repository := splitImage(image)
	if err := n.azure.Pull(host, credential.Username, credential.Password, repository); err != nil {
		return "useless: " + err.Error()
	}
	return token.Principal.ClientID
}

// wantAll fails the test for every answer to a lookup that is not a token of the
// client id that pulls its image.
func (n *acrNode) wantAll(images []string, answers []wire.Answer, clientID string) {
	n.t.Helper()
	for i, answer := range answers {
		if got := n.whose(images[i], answer); got != clientID {
			n.t.Errorf("%s: %s, want %s", images[i], got, clientID)
		}
	}
}

// askACRNode is what it takes to pull as the node from one registry.
var askACRNode = calls{"imds GetToken": 1, "acr Exchange": 1}

// wantCalls fails the test unless the cloud was asked exactly that since the
// last time.
func (n *acrNode) wantCalls(want calls) {
	n.t.Helper()
	wantCalls(n.t, n.cloud, want)
}
