package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Images makes images of one program.
type Images struct {
	layer v1.Layer
}

// NewImages reads the static program that the images' containers run.
func NewImages(program string) (*Images, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("registry: images: %w", err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if err := writer.WriteHeader(&tar.Header{Name: "workload", Mode: 0o755, Size: int64(len(content))}); err != nil {
		return nil, fmt.Errorf("registry: images: %w", err)
	}
	if _, err := writer.Write(content); err != nil {
		return nil, fmt.Errorf("registry: images: %w", err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("registry: images: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	})
	if err != nil {
		return nil, fmt.Errorf("registry: images: %w", err)
	}
	return &Images{layer}, nil
}

// Push puts an image, written as a pod writes it, into the registry behind the
// fronts. No two images have a digest in common.
func (i *Images) Push(ctx context.Context, image string) error { return i.PushAs(ctx, image, image) }

// PushAs is Push with the content of another image: both have one ID.
func (i *Images) PushAs(ctx context.Context, image, content string) error {
	reference, err := name.NewTag(Address+"/"+image, name.Insecure)
	if err != nil {
		return fmt.Errorf("registry: push: %w", err)
	}
	config := &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Config:       v1.Config{Entrypoint: []string{"/workload"}, Labels: map[string]string{"image": content}},
	}
	made, err := mutate.ConfigFile(empty.Image, config)
	if err != nil {
		return fmt.Errorf("registry: push: %w", err)
	}
	if made, err = mutate.AppendLayers(made, i.layer); err != nil {
		return fmt.Errorf("registry: push: %w", err)
	}
	if err := remote.Write(reference, made, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("registry: push %s: %w", image, err)
	}
	return nil
}
