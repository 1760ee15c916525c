package acr_test

import "regcred/e2e/cloud/azure"

// sovereignTenant is a tenant of whatever cloud the test is about, and
// sovereignApp an app in it.
const sovereignTenant = "99999999-8888-4777-8666-555555555555"

var sovereignApp = azure.Principal{Tenant: sovereignTenant, ClientID: appID}

// sovereign is the question of a node that is an app in a cloud, for an image
// of one of its registries.
func (n *node) sovereign(cloud azure.Cloud, server string) (q question, host string) {
	n.T.Helper()
	n.azure.AddTenant(azure.Tenant{ID: sovereignTenant, Cloud: cloud})
	file := n.secretFile(azure.App{ClientID: appID, Tenants: []string{sovereignTenant}})
	n.serveRegistry(azure.Registry{Hosts: []string{server}, Tenant: sovereignTenant, Roles: pullers(sovereignTenant, appID)})
	return question{Image: server + "/" + repository, Args: []string{
		"--cloud", string(cloud), "--credential=client-secret", "--tenant-id", sovereignTenant, "--client-id", appID, "--client-secret-file", file,
	}}, server
}
