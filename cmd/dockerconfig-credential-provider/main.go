// Command dockerconfig-credential-provider is the kubelet's credential provider
// plugin for docker configuration of the node.
package main

import (
	"regcred/plugins/dockerconfig"
	"regcred/shared/serve"
)

func main() { serve.Main(dockerconfig.Plugin()) }
