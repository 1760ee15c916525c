package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Pushed is a name that an image now has in a registry.
type Pushed struct {
	Name   string // REGISTRY/REPOSITORY:TAG
	Digest v1.Hash
}

// Push puts what a layout has into a registry: the index under the repository,
// and the image of each architecture under the repository with -ARCH behind it,
// which is what manifests from before there were indexes ask for. The login is
// that of docker's configuration. The names of the architectures come first, so
// that the one that people use appears when everything is there.
//
// A tag that is there already, with something else, is not overwritten, except
// with force.
func Push(ctx context.Context, repository, directory string, force bool) ([]Pushed, error) {
	index, tag, err := ReadLayout(directory)
	if err != nil {
		return nil, err
	}
	plain, err := name.NewTag(repository + ":" + tag)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	wanted := map[name.Tag]remote.Taggable{}
	var order []name.Tag
	for _, child := range manifest.Manifests {
		image, err := index.Image(child.Digest)
		if err != nil {
			return nil, err
		}
		tag, err := name.NewTag(fmt.Sprintf("%s-%s:%s", repository, child.Platform.Architecture, tag))
		if err != nil {
			return nil, err
		}
		wanted[tag] = image
		order = append(order, tag)
	}
	wanted[plain] = index
	order = append(order, plain)

	var pushed []Pushed
	for _, tag := range order {
		digest, err := push(tag, wanted[tag], force, options)
		if err != nil {
			return pushed, fmt.Errorf("push %s: %w", tag, err)
		}
		pushed = append(pushed, Pushed{tag.String(), digest})
	}
	return pushed, nil
}

func push(tag name.Tag, content remote.Taggable, force bool, options []remote.Option) (v1.Hash, error) {
	digest, err := content.(interface{ Digest() (v1.Hash, error) }).Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	there, err := remote.Head(tag, options...)
	switch missing := (*transport.Error)(nil); {
	case errors.As(err, &missing) && missing.StatusCode == http.StatusNotFound:
	case err != nil:
		return v1.Hash{}, err
	case there.Digest == digest:
		return digest, nil
	case !force:
		return v1.Hash{}, fmt.Errorf("it is there already, as %s and not %s; -force overwrites it", there.Digest, digest)
	}
	if index, ok := content.(v1.ImageIndex); ok {
		return digest, remote.WriteIndex(tag, index, options...)
	}
	return digest, remote.Write(tag, content.(v1.Image), options...)
}
