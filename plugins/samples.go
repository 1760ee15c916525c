// Package plugins holds the samples of the kubelet's configuration that the
// plugins document, without the plugins.
package plugins

import "embed"

// Samples has node.yaml and pods.yaml in a directory a cloud, and what else
// one has.
//
//go:embed */*.yaml
var Samples embed.FS
