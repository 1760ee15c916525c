// Command icr-credential-provider is the kubelet's credential provider plugin
// for IBM Cloud Container Registry.
package main

import (
	"regcred/plugins/icr"
	"regcred/shared/serve"
)

func main() { serve.Main(icr.Plugin()) }
