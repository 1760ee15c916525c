package ecr

import (
	"context"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// instance is the instance metadata service as the SDK's chain asks it.
type instance struct {
	attempt *attempt
	client  func() *imds.Client
}

// newInstance returns the service of a configuration that is complete when it
// is first asked: the instance is an option of the configuration, and the
// address of the service is in it.
func newInstance(a *attempt, cfg *aws.Config) instance {
	return instance{a, sync.OnceValue(func() *imds.Client {
		return imds.NewFromConfig(*cfg, func(o *imds.Options) {
			// Any request that the node's workloads can be made to send reaches
			// version 1.
			o.EnableFallback = aws.FalseTernary
			// 5 s, after which a service that is slow would never be heard.
			o.DisableDefaultTimeout = true
		})
	})}
}

// GetMetadata asks for what is at a path. That of the credentials ends with the
// name of the instance's role.
func (i instance) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, options ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	if role, ok := strings.CutPrefix(in.Path, "/iam/security-credentials/"); ok && role != "" {
		caller := "instance role " + role
		i.attempt.caller.Store(&caller)
	}
	return i.client().GetMetadata(ctx, in, options...)
}
