package acr_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// azureJSON is the cloud provider's configuration as AKS writes it, with fields
// changed or, for nil, left out.
func azureJSON(t *testing.T, changes map[string]any) string {
	t.Helper()
	fields := map[string]any{
		"cloud": "AzurePublicCloud", "tenantId": tenant, "subscriptionId": "e0000000-0000-4000-8000-000000000001",
		"aadClientId": "msi", "aadClientSecret": "msi", "resourceGroup": "MC_grün", "location": "eastus", "vmType": "vmss",
		"cloudProviderBackoff": true, "cloudProviderBackoffRetries": 6, "cloudProviderBackoffExponent": 1.5,
		"useManagedIdentityExtension": true, "userAssignedIdentityID": pull.ClientID, "useInstanceMetadata": true,
		"loadBalancerSku": "Standard", "maximumLoadBalancerRuleCount": 250, "providerVaultName": "", "userAgent": "AKS",
	}
	for name, value := range changes {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	}
	content, err := json.MarshalIndent(fields, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	return cloudtest.File(t, string(content))
}

// bootAKS starts a node of AKS: its kubelet's identity is one of two.
func bootAKS(t *testing.T) *node {
	t.Helper()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{pull, other}})
	n.serve(registry, pull.ClientID)
	return n
}

// The file may come last, too.
func TestTheConfigurationMayComeLast(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	n.ask(question{Image: image, Args: []string{"--registry-mirror=mcr.microsoft.com:" + registry, azureJSON(t, nil)}}).wantCredential(registry, pull.ClientID)
	n.WantCalls(askNode)
}

func TestTheCloudProvidersConfigurationSaysWhoTheNodeIs(t *testing.T) {
	t.Parallel()
	secret := func(n *node) map[string]any {
		n.azure.AddApp(azure.App{ClientID: appID})
		return map[string]any{"useManagedIdentityExtension": false, "aadClientId": appID, "aadClientSecret": n.azure.AddSecret(appID, time.Hour)}
	}
	for _, test := range []struct {
		name   string
		fields func(n *node) map[string]any
		want   string
		asks   []calls
	}{
		{"kubelet's identity", func(*node) map[string]any { return nil }, pull.ClientID, []calls{askNode}},
		{"by resource id", func(*node) map[string]any { return map[string]any{"userAssignedIdentityID": pull.ResourceID} }, pull.ClientID, []calls{askNode}},
		{"by resource id, in other letters", func(*node) map[string]any {
			return map[string]any{"userAssignedIdentityID": strings.ToUpper(strings.ReplaceAll(pull.ResourceID, "grün", "GRÜN"))}
		}, pull.ClientID, []calls{askNode}},
		{"the system's", func(n *node) map[string]any {
			n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull}})
			return map[string]any{"userAssignedIdentityID": ""}
		}, system.ClientID, []calls{askNode}},
		{"keys in other letters", func(*node) map[string]any {
			return map[string]any{
				"useManagedIdentityExtension": nil, "USEMANAGEDIDENTITYEXTENSION": true,
				"userAssignedIdentityID": nil, "userassignedidentityid": pull.ClientID, "tenantId": nil, "TenantID": tenant,
			}
		}, pull.ClientID, []calls{askNode}},
		{"a service principal", secret, appID, []calls{askEntra, askExchange}},
		{"a service principal, and nothing about managed identities", func(n *node) map[string]any {
			fields := secret(n)
			fields["useManagedIdentityExtension"] = nil
			return fields
		}, appID, []calls{askEntra, askExchange}},
		{"a service principal with a certificate", func(n *node) map[string]any {
			n.azure.AddApp(azure.App{ClientID: appID})
			pfx, _ := n.pfxFile()
			return map[string]any{
				"useManagedIdentityExtension": false, "aadClientId": appID, "aadClientSecret": "",
				"aadClientCertPath": pfx, "aadClientCertPassword": "pfx password",
			}
		}, appID, []calls{askEntra, askExchange}},
		{"a workload identity", func(n *node) map[string]any {
			n.trust(appID, shop)
			return map[string]any{
				"useManagedIdentityExtension": false, "useFederatedWorkloadIdentityExtension": true, "aadClientId": appID,
				"aadFederatedTokenFile": n.file(n.pod(shop, podAudience, time.Hour).token),
			}
		}, appID, []calls{askEntra, askExchange}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootAKS(t)
			n.serve(registry, pull.ClientID, system.ClientID, appID)
			file := azureJSON(t, test.fields(n))
			for _, args := range [][]string{{file}, {"--azure-config", file}} {
				n.ask(question{Image: image, Args: args}).wantCredential(registry, test.want)
			}
			n.WantCalls(test.asks...)
		})
	}
}

func TestTheCloudProvidersConfigurationMayBeYAML(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	file := cloudtest.File(t, "cloud: AzureCloud\ntenantId: "+tenant+"\nuseManagedIdentityExtension: true\nuserAssignedIdentityID: "+pull.ClientID+"\n")
	n.ask(question{Image: image, Args: []string{file}}).wantCredential(registry, pull.ClientID)
}

// In the vendor's plugin the secret is the password, for every registry of four
// clouds.
func TestASecretOfAServicePrincipalIsNoAnswer(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	n.azure.AddApp(azure.App{ClientID: appID})
	n.serve(registry, appID)
	secret := n.azure.AddSecret(appID, time.Hour)
	file := azureJSON(t, map[string]any{"useManagedIdentityExtension": false, "aadClientId": appID, "aadClientSecret": secret})
	for host, check := range map[string]func(answer){
		registry:              func(a answer) { a.wantCredential(registry, appID) },
		"stranger.azurecr.cn": func(a answer) { a.WantFailure(1, "stranger.azurecr.cn", "AzureChinaCloud") },
		"mcr.microsoft.com":   answer.wantNothing,
	} {
		a := n.ask(question{Image: host + "/" + repository, Args: []string{file}})
		check(a)
		if strings.Contains(a.Stdout+a.Stderr, secret) {
			t.Errorf("the answer for %s holds the secret", host)
		}
	}
}

// What is given by a flag is one whole identity: none of the file's is mixed
// into it. Cloud and tenant are the file's still.
func TestAFlagReplacesTheWholeIdentityOfTheFile(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull, other}})
	n.serve(registry, pull.ClientID, system.ClientID, other.ClientID)
	file := azureJSON(t, nil)
	n.ask(question{Image: image, Args: []string{file, "--object-id", other.ObjectID}}).wantCredential(registry, other.ClientID)
	n.ask(question{Image: image, Args: []string{file, "--credential=managed-identity"}}).wantCredential(registry, system.ClientID)
	n.ask(question{Image: image, Args: []string{file}, Env: []string{"REGCRED_CLIENT_ID=" + system.ClientID}}).wantCredential(registry, system.ClientID)
	n.ask(question{Image: image, Args: []string{file, "--config", configFile(t, "resourceID: "+pull.ResourceID+"\n")}}).wantCredential(registry, pull.ClientID)
	for _, summary := range cloudtest.Summaries(n.Cloud, "acr", "") {
		if !strings.Contains(summary, `tenant "`+tenant+`"`) {
			t.Errorf("a registry was asked for %s, not of the file's tenant", summary)
		}
	}
	// The tenant of a flag counts; the identity is the file's still.
	n.ask(question{Image: image, Args: []string{file, "--tenant-id", abroad}}).WantFailure(1, pull.ClientID, abroad)
}

// Another cloud is another operator's: what azure.json holds is not sent there.
func TestTheIdentityOfTheFileDoesNotLeaveItsCloud(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	file := azureJSON(t, map[string]any{"useManagedIdentityExtension": false, "aadClientId": appID, "aadClientSecret": "hunter2"})
	for _, q := range []question{
		{Args: []string{file, "--cloud=AzureChinaCloud"}}, {Args: []string{file}, Env: []string{"REGCRED_CLOUD=AzureChinaCloud"}},
		{Args: []string{file, "--config", configFile(t, "cloud: AzureChinaCloud\n")}},
	} {
		q.Image = "example.azurecr.cn/app"
		n.ask(q).WantFailure(2, "AzureChinaCloud", "AzurePublicCloud", file)
	}
	n.WantCalls()
	n.ask(question{Image: image, Args: []string{azureJSON(t, nil), "--cloud=azurecloud"}}).wantCredential(registry, pull.ClientID)
}

// An Azure Stack with federation services has no tenant, and pods may pull from
// elsewhere still.
func TestFederationServicesAreToldOfWhereTheNodesIdentityIsNeeded(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	n.serve(registry, appID)
	n.trust(appID, shop)
	file := azureJSON(t, map[string]any{"tenantId": "adfs", "identitySystem": "adfs"})
	n.ask(question{Image: image, Args: []string{file}}).WantFailure(1, file, "Active Directory Federation Services")
	n.WantCalls()
	n.ask(n.pod(shop, podAudience, time.Hour).question(annotated...).with(file)).wantCredential(registry, appID)
}

// Where a machine is managed by Arc, that is all that has to be said besides.
func TestTheIdentityOfTheFileAtAzureArc(t *testing.T) {
	t.Parallel()
	n := bootArc(t)
	n.ask(question{Image: image, Args: []string{azureJSON(t, nil), "--credential=azure-arc"}}).wantCredential(registry, pull.ClientID)
	n.WantCalls(askArc, askExchange)
}

func TestTheCloudOfTheFileCounts(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]string{
		"AzureCloud": "example.azurecr.io", "azurepubliccloud": "example.azurecr.io", "AzureChinaCloud": "example.azurecr.cn",
		"AzureUSGovernment": "example.azurecr.us", "AZUREUSGOVERNMENTCLOUD": "example.azurecr.us",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootAKS(t)
			n.serve(host, pull.ClientID)
			file := azureJSON(t, map[string]any{"cloud": name})
			n.ask(question{Image: host + "/" + repository, Args: []string{file}}).wantCredential(host, pull.ClientID)
		})
	}
}

// The vendor's plugin takes an unknown cloud for the public one, and a file that
// names nobody for one with an empty password.
func TestAConfigurationThatSaysNothingOfUseIsAnError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, content string
		exit          int
		says          []string
	}{
		{"unknown cloud", `{"cloud":"AzureGermanCloud","useManagedIdentityExtension":true}`, 2, []string{"cloud", "AzureGermanCloud"}},
		{"nobody", `{"cloud":"AzurePublicCloud","tenantId":"` + tenant + `"}`, 1, []string{"useManagedIdentityExtension", "aadClientId"}},
		{"the literal msi", `{"tenantId":"` + tenant + `","aadClientId":"msi","aadClientSecret":"msi"}`, 1, []string{"useManagedIdentityExtension"}},
		{"half a service principal", `{"tenantId":"` + tenant + `","aadClientId":"` + appID + `"}`, 1, []string{"aadClientSecret"}},
		{"no tenant", `{"aadClientId":"` + appID + `","aadClientSecret":"hunter2"}`, 1, []string{"tenantId"}},
		{"a text for a boolean", `{"useManagedIdentityExtension":"true"}`, 2, []string{"useManagedIdentityExtension"}},
		{"no JSON", `{"aadClientSecret":"hunter2"`, 2, []string{"azureConfig"}},
		{"a list", `[]`, 2, []string{"azureConfig"}},
		{"empty", ``, 2, []string{"azureConfig"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootAKS(t)
			file := cloudtest.File(t, test.content)
			a := n.ask(question{Image: image, Args: []string{file}})
			a.WantFailure(test.exit, append(test.says, file)...)
			if strings.Contains(a.Stderr, "hunter2") {
				t.Errorf("the secret is in the message: %s", a.Stderr)
			}
			n.WantCalls()
		})
	}
}

// A node without an identity still pulls for pods that have their own.
func TestAFileThatNamesNobodyIsNoConcernOfPods(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	n.serve(registry, appID)
	n.trust(appID, shop)
	file := azureJSON(t, map[string]any{"useManagedIdentityExtension": false})
	q := n.pod(shop, podAudience, time.Hour).question(clientAnnotation, appID).with(file)
	n.ask(q).wantCredential(registry, appID)
	n.WantCalls(askEntra, askExchange)
}

// What the operator got wrong is found before anything is asked.
func TestAMistakeOfTheOperatorIsExitCode2(t *testing.T) {
	t.Parallel()
	n := bootAKS(t)
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"a file that is not there", []string{"/nonexistent/azure.json"}, "/nonexistent/azure.json"},
		{"a file by a relative name", []string{"azure.json"}, "azureConfig"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: image, Args: test.args}).WantFailure(2, test.says)
			n.WantCalls()
		})
	}
}
