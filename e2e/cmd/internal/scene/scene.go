// Package scene is the fake AWS that the demonstration programs share: one
// account, one node, one pod that pulls with an identity of its own.
package scene

import (
	"errors"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/oidc"
)

const (
	// Registry is the account's registry.
	Registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	// LookAlike begins like the registry and belongs to somebody else.
	LookAlike = Registry + ".evil.com"

	// NodeRole is attached to the instance.
	NodeRole = "arn:aws:iam::123456789012:role/node"
	// PodRole trusts one service account.
	PodRole = "arn:aws:iam::123456789012:role/shop-pull"

	// RoleAnnotation is how a service account says which role to pull with.
	RoleAnnotation = "eks.amazonaws.com/ecr-role-arn"
)

// Scene is the fake AWS at its production names.
type Scene struct {
	Cloud *cloud.Cloud
	AWS   *aws.Fake
}

// Open sets the scene, in a namespace that cloud.Enter was called for.
func Open() (*Scene, error) {
	place, err := cloud.New()
	if err != nil {
		return nil, err
	}
	fake := aws.New(place.Calls, place.Faults)
	if err := fake.Place(place); err != nil {
		return nil, errors.Join(err, place.Close())
	}
	fake.AddRole(aws.Role{ARN: NodeRole, Allow: []aws.Action{aws.ECRToken, aws.ECRPublicToken, aws.BearerToken}})
	fake.AddRole(aws.Role{ARN: PodRole, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{puller().Subject()}})
	fake.Configure(func(s *aws.Settings) { s.Instance.Role = NodeRole })
	return &Scene{Cloud: place, AWS: fake}, nil
}

// Close takes the fake AWS down.
func (s *Scene) Close() error { return s.Cloud.Close() }

// puller is the service account of the pod.
func puller() oidc.ServiceAccount {
	return oidc.ServiceAccount{
		Namespace: "shop", Name: "puller", UID: "8f0e1b1c-3c4f-4b55-9a1d-0c3f6a1f2b10",
		Pod: "web-0", PodUID: "5d8c7a52-6e0b-4d2e-8f33-1b2a9c4d5e6f",
		Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
	}
}
