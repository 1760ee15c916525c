package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/distribution/reference"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"regcred/shared/file"
)

// Pinned images are left alone by the kubelet's garbage collection, whichever
// of an image's names is pinned. The kubelet's interface cannot pin: each
// runtime has a way of its own.
const (
	// containerd takes an image for pinned that has this label, whether its own
	// configuration or somebody else set it.
	pinnedLabel = "io.cri-containerd.pinned"
	pinnedValue = "pinned"

	// crioPinned is where CRI-O is told of images to pin. What it has in other
	// files is not lost: the last file that sets pinned_images replaces the
	// others', so they are named here too.
	crioDirectory = "/etc/crio/crio.conf.d"
	crioPinned    = "99-regcred-pinned.conf"

	// pinTime is how long containerd may take to see its own label.
	pinTime = 5 * time.Second
)

// Pin keeps the kubelet's garbage collection from images that are here. Root
// is the root of the node's file tree. What it returns is what is left to do,
// or "".
func (r *Runtime) Pin(ctx context.Context, root string, names ...string) (todo string, err error) {
	switch r.Name {
	case "containerd":
		for _, name := range names {
			if err := r.label(ctx, name); err != nil {
				return "", fmt.Errorf("pin %s: %w", name, err)
			}
		}
		return "", nil
	case "cri-o":
		changed, err := pinForCRIO(within(root, crioDirectory), names)
		if err != nil {
			return "", fmt.Errorf("pin for cri-o: %w", err)
		}
		if !changed {
			return "", nil
		}
		return "systemctl reload crio", nil
	default:
		return "", fmt.Errorf("%s cannot pin images: containerd and cri-o can", r.Name)
	}
}

// label sets containerd's label, and waits until its CRI side knows.
func (r *Runtime) label(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	normalized, err := containerdName(name)
	if err != nil {
		return err
	}
	// The kubelet's images are in this namespace, which is containerd's word.
	namespaced := metadata.AppendToOutgoingContext(ctx, "containerd-namespace", "k8s.io")
	images := imagesapi.NewImagesClient(r.conn)
	found, err := images.Get(namespaced, &imagesapi.GetImageRequest{Name: normalized})
	if err != nil {
		return plain(err)
	}
	// The image goes back whole, though the mask names the label alone:
	// containerd panics at one without a target.
	image := found.Image
	if image.GetTarget() == nil {
		return errors.New("containerd does not tell the image's target")
	}
	if image.Labels == nil {
		image.Labels = map[string]string{}
	}
	image.Labels[pinnedLabel] = pinnedValue
	_, err = images.Update(namespaced, &imagesapi.UpdateImageRequest{
		Image:      image,
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels." + pinnedLabel}},
	})
	if err != nil {
		return plain(err)
	}
	for deadline := time.Now().Add(pinTime); ; {
		image, err := r.Image(ctx, name)
		switch {
		case err != nil:
			return err
		case image != nil && image.Pinned:
			return nil
		case time.Now().After(deadline):
			return errors.New("labelled, and still not pinned for the kubelet: containerd before 1.7.7 cannot pin by label")
		}
		select {
		case <-ctx.Done():
			return errors.New("no answer in time")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// containerdName is the name that containerd keeps an image under. Of a tag
// and a digest, it keeps the digest.
func containerdName(name string) (string, error) {
	named, err := reference.ParseDockerRef(name)
	if err != nil {
		return "", err
	}
	return named.String(), nil
}

// pinForCRIO writes CRI-O's list of pinned images with names added to it.
func pinForCRIO(directory string, names []string) (changed bool, err error) {
	path := filepath.Join(directory, crioPinned)
	all := slices.Clone(names)
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasSuffix(entry.Name(), ".conf") {
			continue
		}
		text, err := file.Read(filepath.Join(directory, entry.Name()))
		if err != nil {
			return false, err
		}
		all = append(all, pinnedImages(text)...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	var text bytes.Buffer
	text.WriteString("# Written by regcred prepull --pin. CRI-O takes the last list that it reads, so\n# this one has those of the files before it too.\n[crio.image]\npinned_images = [\n")
	for _, name := range all {
		fmt.Fprintf(&text, "  %q,\n", name)
	}
	text.WriteString("]\n")
	if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, text.Bytes()) {
		return false, nil
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return false, err
	}
	return true, file.Replace(path, text.Bytes(), 0o644)
}

var (
	pinnedList  = regexp.MustCompile(`(?ms)^\s*pinned_images\s*=\s*\[(.*?)\]`)
	quoted      = regexp.MustCompile(`"([^"\\\n]*)"|'([^'\n]*)'`)
	sandboxLine = regexp.MustCompile(`(?m)^\s*(?:sandbox_image|sandbox|pause_image)\s*=\s*(?:"([^"\\\n]+)"|'([^'\n]+)')`)
	comment     = regexp.MustCompile(`(?m)^\s*#.*$`)
)

// pinnedImages are the images of a pinned_images list in TOML.
func pinnedImages(text []byte) []string {
	var images []string
	for _, list := range pinnedList.FindAllSubmatch(comment.ReplaceAll(text, nil), -1) {
		for _, item := range quoted.FindAllSubmatch(list[1], -1) {
			images = append(images, string(item[1])+string(item[2]))
		}
	}
	return images
}
