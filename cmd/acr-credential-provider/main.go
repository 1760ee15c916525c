// Command acr-credential-provider is the kubelet's credential provider plugin
// for Azure Container Registry.
package main

import (
	"regcred/plugins/acr"
	"regcred/shared/serve"
)

func main() { serve.Main(acr.Plugin()) }
