// Command gcr-credential-provider is the kubelet's credential provider plugin
// for Google's Container Registry and Artifact Registry.
package main

import (
	"regcred/plugins/gcr"
	"regcred/shared/serve"
)

func main() { serve.Main(gcr.Plugin()) }
