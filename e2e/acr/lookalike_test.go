package acr_test

import (
	"strings"
)

// notLoginServers are hosts of others, many of them made to be taken for a
// login server, and Azure's hosts that are none.
var notLoginServers = []string{
	"registry.k8s.io", "docker.io", "gcr.io", "quay.io", "us-docker.pkg.dev", "public.ecr.aws",
	"localhost:5000", "169.254.169.254", "login.microsoftonline.com", "management.azure.com",

	// Azure's, but no login server.
	"mcr.microsoft.com", "azurecr.io", "myregistry.eastus.data.azurecr.io", "myregistry.privatelink.azurecr.io",
	"myregistry.eastus.azurecr.io", "eus.azurecr.io.windows.net", "account.blob.core.windows.net",
	// Not at the port of one.
	"myregistry.azurecr.io:80", "myregistry.azurecr.io:5000", "myregistry.azurecr.io:8443",
	// Of a depth that there is not.
	"a.b.azurecr.io", "a.b.c.geo.azurecr.io", "geo.azurecr.io.geo.azurecr.io", "eastus.geo.azurecr.io", "a.eastus.ge0.azurecr.io",

	"evilazurecr.io", "foo.evilazurecr.io", "foo.azurecr.io.evil.com", "azurecr.io.evil", "foo.azurecr.io.azurecr.cn",
	"foo.azurecr.com", "foo.azurecr.iox", "foo.azurecr-io.com", "foo-azurecr.io", "foo.eastus.geo.evil.io", "foo.eastus.geo.evilazurecr.io",
	"mcr.microsoft.com.evil.com", "mcr.microsoft.community", "xn--zurecr-pta.io",
	strings.Repeat("a", 64) + ".azurecr.io",

	// Closed, or not configured.
	"foo.azurecr.de", "foo.azurecr.my.cloud",
}
