package main

import (
	"errors"
	"path/filepath"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/gcp"
	"regcred/e2e/cmd/internal/scene"
)

// subject is a plugin and the cloud that it is measured against.
type subject struct {
	plugin string
	// registry is whose images are asked for.
	registry string
	// service is the part of the cloud that the storm finds far away.
	service string
	// open starts the cloud, with a node that may read the registry.
	open func() (*cloud.Cloud, error)
}

// subjects are all plugins that are measured.
var subjects = []subject{
	{"ecr-credential-provider", scene.Registry, "ecr", func() (*cloud.Cloud, error) {
		stage, err := scene.Open()
		if err != nil {
			return nil, err
		}
		return stage.Cloud, nil
	}},
	{"gcr-credential-provider", "us-docker.pkg.dev/example-project", "metadata", func() (*cloud.Cloud, error) {
		c, err := cloud.New()
		if err != nil {
			return nil, err
		}
		fake := gcp.New(c.Calls, c.Faults)
		if err := fake.Place(c); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		fake.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = "node@example-project.iam.gserviceaccount.com" })
		return c, nil
	}},
	{"acr-credential-provider", "example.azurecr.io", "acr", func() (*cloud.Cloud, error) {
		c, err := cloud.New()
		if err != nil {
			return nil, err
		}
		fake := azure.New(c.Calls, c.Faults)
		if err := errors.Join(fake.Place(c), fake.PlaceRegistries(c, "example.azurecr.io")); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		node := azure.ManagedIdentity{ClientID: "0c1f6f2e-8d0b-4d46-9d0d-5c8a4e3f2b10", ObjectID: "6f5e4d3c-2b1a-4f0e-9d8c-7b6a59483726"}
		fake.Configure(func(s *azure.Settings) { s.IMDS.System = &node })
		fake.AddRegistry(azure.Registry{
			Hosts: []string{"example.azurecr.io"},
			Roles: []azure.Role{{Name: azure.AcrPull, Principal: azure.Principal{Tenant: azure.HomeTenant, ClientID: node.ClientID}}},
		})
		return c, nil
	}},
}

// rig is what is measured and what it is measured against.
type rig struct {
	subject
	plugin  []string
	minimal []string
}

// newRig lets the plugin answer once, so that the minimal program prints an
// answer of the same size.
func newRig(s subject, minimal, scratch string) (*rig, error) {
	r := &rig{subject: s, plugin: []string{filepath.Join("bin", s.plugin)}}
	file := filepath.Join(scratch, s.plugin)
	if err := keepOutput(file, r.plugin, r.request("warm")); err != nil {
		return nil, err
	}
	r.minimal = []string{minimal, file}
	return r, nil
}
