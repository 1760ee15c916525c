package image

import (
	"errors"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// refName is where a layout has the tag of an image.
const refName = "org.opencontainers.image.ref.name"

// WriteLayout makes an OCI layout with one index in it, which has a tag. What the
// directory had before is gone.
func WriteLayout(directory, tag string, index v1.ImageIndex) error {
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	made, err := layout.Write(directory, empty.Index)
	if err != nil {
		return fmt.Errorf("layout %s: %w", directory, err)
	}
	if err := made.AppendIndex(index, layout.WithAnnotations(map[string]string{refName: tag})); err != nil {
		return fmt.Errorf("layout %s: %w", directory, err)
	}
	return nil
}

// ReadLayout finds the one index of a layout, and its tag.
func ReadLayout(directory string) (index v1.ImageIndex, tag string, err error) {
	root, err := layout.ImageIndexFromPath(directory)
	if err != nil {
		return nil, "", fmt.Errorf("layout %s: %w", directory, err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return nil, "", fmt.Errorf("layout %s: %w", directory, err)
	}
	if len(manifest.Manifests) != 1 || !manifest.Manifests[0].MediaType.IsIndex() {
		return nil, "", fmt.Errorf("layout %s: want one index in it", directory)
	}
	only := manifest.Manifests[0]
	if tag = only.Annotations[refName]; tag == "" {
		return nil, "", errors.New("layout " + directory + ": its index has no tag")
	}
	index, err = root.ImageIndex(only.Digest)
	return index, tag, err
}
