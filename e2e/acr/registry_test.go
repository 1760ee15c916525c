package acr_test

import (
	"testing"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// The kubelet looks a credential up by the host as the image writes it, so
// that, to the letter, is the answer's one key. The registry is asked by its
// own name.
func TestEveryLoginServerIsAnsweredUnderItsNameAsWritten(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host string
		args []string
	}{
		{host: "myregistry.azurecr.io"},
		{host: "MyRegistry.azurecr.io"},
		{host: "myregistry.AzureCR.IO"},
		{host: "myregistry.azurecr.io:443"},
		{host: "MyRegistry.azurecr.io:443"},
		{host: "contosoacrregistry-e7ggejfuhzhgedc8.azurecr.io"},
		{host: "colemicktest-microsoft.azurecr.io"},
		{host: "myregistry.eastus.geo.azurecr.io"},
		{host: "myregistry-d7ezgzevdwfvc8ht.westeurope.geo.azurecr.io"},
		{"myregistry.azurecr.us", []string{"--cloud=AzureUSGovernmentCloud"}},
		{"myregistry.usgovvirginia.geo.azurecr.us", []string{"--cloud=azureusgovernment"}},
		{"myregistry.azurecr.cn", []string{"--cloud=AzureChinaCloud"}},
		{"myregistry.azurecr.eaglex.ic.gov", []string{"--cloud=USNat"}},
		{"myregistry.azurecr.microsoft.scloud", []string{"--cloud=USSec"}},
		{"myregistry.francecentral.geo.azurecr.sovcloud-azure.fr", []string{"--cloud=Bleu"}},
		{"registry123.deloscloudgermanycentral.geo.azurecr.sovcloud-azure.de", []string{"--cloud=Delos"}},
		{"myregistry.azurecr.de", []string{"--registry-suffix=azurecr.de"}},
		{"foo.azurecr.my.cloud", []string{"--registry-suffix=azurecr.my.cloud"}},
		{"foo.local.geo.azurecr.my.cloud", []string{"--cloud=AzureStackCloud", "--registry-suffix=.azurecr.my.cloud"}},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			server := loginServer(test.host)
			n.serve(server, system.ClientID)
			n.ask(question{Image: test.host + "/" + repository, Args: test.args}).wantCredential(test.host, system.ClientID)
			n.WantCalls(askIMDS, askExchangeAt(server))
		})
	}
}

// A registry and its endpoint in a region are two hosts: a runtime keeps their
// credentials apart, and each is asked for its own.
func TestARegionalEndpointIsAskedItself(t *testing.T) {
	t.Parallel()
	const regional = "example.eastus.geo.azurecr.io"
	n := bootNode(t)
	n.serve(regional, system.ClientID)
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.ask(question{Image: regional + "/" + repository}).wantCredential(regional, system.ClientID)
	n.WantCalls(askIMDS, askExchange, askExchangeAt(regional))
}

// Every cloud has its own operator. A token of one does not go to another's
// registry, whatever the image says.
func TestARegistryOfAnotherCloudIsAnErrorThatSaysHowToAllowIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ cloud, host, its string }{
		{"AzurePublicCloud", "example.azurecr.cn", "AzureChinaCloud"},
		{"AzurePublicCloud", "example.azurecr.us", "AzureUSGovernmentCloud"},
		{"AzureChinaCloud", "example.azurecr.io", "AzurePublicCloud"},
		{"AzureUSGovernmentCloud", "example.eastus.geo.azurecr.io", "AzurePublicCloud"},
	} {
		t.Run(test.cloud+" "+test.host, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.ask(question{Image: test.host + "/app", Args: []string{"--cloud", test.cloud}}).
				WantFailure(1, test.host, test.cloud, test.its, "registries")
			n.WantCalls()
		})
	}
}

// The cloud decides which Entra is asked, not the image.
func TestEachCloudHasItsOwnEntra(t *testing.T) {
	t.Parallel()
	for cloud, host := range map[string]string{
		"AzurePublicCloud":       "login.microsoftonline.com",
		"AzureUSGovernmentCloud": "login.microsoftonline.us",
		"AzureChinaCloud":        "login.chinacloudapi.cn",
		"USNat":                  "login.microsoftonline.eaglex.ic.gov",
		"USSec":                  "login.microsoftonline.microsoft.scloud",
		"Bleu":                   "login.sovcloud-identity.fr",
		"Delos":                  "login.sovcloud-identity.de",
	} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			n := bootOutside(t)
			suffix := map[string]string{
				"AzurePublicCloud": "azurecr.io", "AzureUSGovernmentCloud": "azurecr.us", "AzureChinaCloud": "azurecr.cn",
				"USNat": "azurecr.eaglex.ic.gov", "USSec": "azurecr.microsoft.scloud", "Bleu": "azurecr.sovcloud-azure.fr", "Delos": "azurecr.sovcloud-azure.de",
			}[cloud]
			q, server := n.sovereign(azure.Cloud(cloud), "example."+suffix)
			n.ask(q).wantCredentialOf(server, sovereignApp)
			n.WantCalls(askEntraAt(host), askExchangeAt(server))
		})
	}
}

func TestAnotherAuthorityIsAskedInTheCloudsPlace(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	if err := n.azure.PlaceAuthority(n.Cloud, "AzureChinaCloud", "login.example.cn"); err != nil {
		t.Fatal(err)
	}
	q, server := n.sovereign("AzureChinaCloud", "example.azurecr.cn")
	for _, authority := range []string{"https://login.example.cn", "https://login.partner.microsoftonline.cn/"} {
		n.ask(q.with("--cache-dir=", "--authority", authority)).wantCredentialOf(server, sovereignApp)
	}
	n.WantCalls(askEntraAt("login.example.cn"), askExchangeAt(server), askEntraAt("login.partner.microsoftonline.cn"), askExchangeAt(server))
	for _, authority := range []string{"http://login.example.cn", "login.example.cn", "https://login.example.cn/tenant", "https://user@login.example.cn", "https://login.example.cn?x"} {
		n.ask(q.with("--authority", authority)).WantFailure(2, "authority")
	}
	n.WantCalls()
}

// Azure Stack and clouds that nobody else has are described in a file.
func TestTheFileOfTheEnvironmentDescribesACloud(t *testing.T) {
	t.Parallel()
	const server = "example.azurecr.stack.example"
	n := bootOutside(t)
	if err := n.azure.PlaceAuthority(n.Cloud, "Stack", "login.stack.example"); err != nil {
		t.Fatal(err)
	}
	q, _ := n.sovereign("Stack", server)
	q.Args[1] = "AzureStackCloud"
	environment := cloudtest.File(t, `{"name":"AzureStackCloud","activeDirectoryEndpoint":"https://login.stack.example/",
		"resourceManagerEndpoint":"https://management.stack.example/","tokenAudience":"https://management.stack.example/",
		"containerRegistryDNSSuffix":"azurecr.stack.example"}`)
	described := q
	described.Env = []string{"AZURE_ENVIRONMENT_FILEPATH=" + environment}
	n.ask(described).wantCredentialOf(server, sovereignApp)
	n.WantCalls(askEntraAt("login.stack.example"), askExchangeAt(server))

	n.ask(q).WantFailure(2, "AzureStackCloud", "AZURE_ENVIRONMENT_FILEPATH")
	// A cloud without registries has no login servers.
	without := described
	without.Env = []string{"AZURE_ENVIRONMENT_FILEPATH=" + cloudtest.File(t, `{"activeDirectoryEndpoint":"https://login.stack.example/"}`)}
	n.ask(without).wantNothing()
	described.Args[1] = "AzurePublicCloud"
	n.ask(described).wantNothing() // the file is of no other cloud
	n.WantCalls()
}
