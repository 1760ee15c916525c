// Command ecr-credential-provider is the kubelet's credential provider plugin
// for Amazon ECR.
package main

import (
	"regcred/plugins/ecr"
	"regcred/shared/serve"
)

func main() { serve.Main(ecr.Plugin()) }
