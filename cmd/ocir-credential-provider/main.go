// Command ocir-credential-provider is the kubelet's credential provider plugin
// for Oracle Cloud Infrastructure Registry.
package main

import (
	"regcred/plugins/ocir"
	"regcred/shared/serve"
)

func main() { serve.Main(ocir.Plugin()) }
