package acr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
)

// The operator says which registry is a mirror of which: what is pulled through
// it is pulled as the node, also for pods.
func TestAMirroredRegistryIsAnsweredWithTheTokenOfItsMirror(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, host string
		args       []string
	}{
		{"bootstrap registry of AKS", "mcr.microsoft.com", []string{"--registry-mirror=mcr.microsoft.com:" + registry}},
		{"short", "mcr.microsoft.com", []string{"-r", "mcr.microsoft.com:" + registry}},
		{"among others", "quay.io", []string{"-r", "mcr.microsoft.com:other.azurecr.io,quay.io:" + registry}},
		{"repeated", "quay.io", []string{"-r", "mcr.microsoft.com:other.azurecr.io", "-r", "quay.io:" + registry}},
		{"at a port", "registry.local:5000", []string{"-r", "registry.local:5000:" + registry}},
		{"at ports", "registry.local:5000", []string{"-r", "registry.local:5000:" + registry + ":443"}},
		{"with a path", "mcr.microsoft.com", []string{"-r", "mcr.microsoft.com:" + registry + "/aks"}},
		{"with a slash", "mcr.microsoft.com", []string{"-r", "mcr.microsoft.com:" + registry + "/,"}},
		{"in the file", "mcr.microsoft.com", []string{"--config", configFile(t, "registryMirrors: {mcr.microsoft.com: "+registry+"/aks/}\n")}},
		{"after an empty one", "mcr.microsoft.com", []string{"--registry-mirror=", "-r", "mcr.microsoft.com:" + registry}},
		{"in capitals", "MCR.microsoft.com", []string{"-r", "mcr.microsoft.com:" + registry}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.ask(question{Image: test.host + "/" + repository, Args: test.args}).wantMirrored(test.host, system.ClientID)
			n.WantCalls(askNode)
		})
	}
}

// The vendor's plugin compares how images begin.
func TestAHostThatOnlyBeginsLikeAMirroredOneGetsNothing(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	for _, host := range []string{
		"mcr.microsoft.community", "mcr.microsoft.com.evil.com", "evil-mcr.microsoft.com", "evil.mcr.microsoft.com", "mcr.microsoft.com:8443", "microsoft.com",
	} {
		n.ask(question{Image: host + "/app", Args: []string{"-r", "mcr.microsoft.com:" + registry}}).wantNothing()
	}
	n.ask(question{Image: "registry.local/app", Args: []string{"-r", "registry.local:5000:" + registry}}).wantNothing()
	n.WantCalls()
}

func TestAMirroredImageIsPulledAsTheNodeByPodsToo(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.trust(appID, shop)
	p := n.pod(shop, podAudience, time.Hour)
	for _, args := range [][]string{nil, n.bind()} {
		q := p.question(clientAnnotation, appID, tenantAnnotation, tenant).with(args...).with("-r", "mcr.microsoft.com:"+registry, "--cache-dir=")
		q.Image = "mcr.microsoft.com/" + repository
		n.ask(q).wantMirrored("mcr.microsoft.com", system.ClientID)
		n.WantCalls(askNode)
	}
	// An image that names the mirror itself is the pod's own.
	n.serve(registry, appID)
	n.ask(p.question(clientAnnotation, appID, tenantAnnotation, tenant).with("-r", "mcr.microsoft.com:"+registry)).wantCredential(registry, appID)
	n.WantCalls(askEntra, askExchange)
}

// The mirror may have an identity of its own, which is the node's there.
func TestTheIdentityOfAMirrorIsThatOfItsRegistry(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull}})
	n.serve(registry, pull.ClientID)
	config := configFile(t, "registryMirrors: {mcr.microsoft.com: "+registry+"}\nregistries:\n  "+registry+":\n    clientID: "+pull.ClientID+"\n")
	n.ask(question{Image: "mcr.microsoft.com/" + repository, Args: []string{"--config", config}}).wantMirrored("mcr.microsoft.com", pull.ClientID)
}

// Vendors' templates write an empty one where there is none.
func TestAnEmptyMirrorIsNone(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.ask(question{Image: image, Args: []string{"--registry-mirror="}}).wantCredential(registry, system.ClientID)
	n.ask(question{Image: "mcr.microsoft.com/app", Args: []string{"--registry-mirror="}}).wantNothing()
}

// A password is of one host: nothing that stands for it is told.
func TestALoginIsNotForMirrorsAndAliases(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	config := configFile(t, "registries:\n  admin.azurecr.io:\n    login: {username: admin, passwordFile: "+n.file("Passw0rd")+"}\n")
	n.ask(question{Image: "mcr.microsoft.com/app", Args: []string{"--config", config, "-r", "mcr.microsoft.com:admin.azurecr.io"}}).
		WantFailure(2, "registryMirrors", "admin.azurecr.io", "for that host alone")
	n.ask(question{Image: "images.example.com/app", Args: []string{"--config", config, "--alias", "images.example.com=admin.azurecr.io"}}).
		WantFailure(1, "images.example.com", "admin.azurecr.io", "for that host alone")
	n.WantCalls()
}

func TestAMirrorHasToBeALoginServer(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	for _, mirror := range []string{
		"mcr.microsoft.com", "mcr.microsoft.com:", ":" + registry, "mcr.microsoft.com:" + registry + "/AKS", "mcr.microsoft.com:evil.com/" + registry, "mcr.microsoft.com:evil.com", "mcr.microsoft.com:evilazurecr.io",
		"mcr.microsoft.com:" + registry + ":5000", "mcr.microsoft.com:example.eastus.data.azurecr.io", "a:b:c:d:e",
	} {
		t.Run(mirror, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: "mcr.microsoft.com/app", Args: []string{"-r", mirror}}).WantFailure(2, "irror")
			n.WantCalls()
		})
	}
}
