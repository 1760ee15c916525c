package main

import (
	"archive/tar"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blang/semver/v4"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/siderolabs/talos/pkg/machinery/extensions"

	"regcred/deploy/release/image"
	"regcred/deploy/release/tree"
)

// layout is the index of a layout in dist, whose blobs are what their digests
// say.
func layout(t *testing.T, name string) v1.ImageIndex {
	t.Helper()
	index, tag, err := image.ReadLayout(filepath.Join(dist, name))
	if err != nil {
		t.Fatal(err)
	}
	if tag != version(t) {
		t.Errorf("%s has tag %q, want %q", name, tag, version(t))
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return index
}

// each calls a function with every image of an index, and the directory of the
// binaries that should be in it.
func each(t *testing.T, index v1.ImageIndex, look func(platform v1.Platform, binaries string, image v1.Image)) []string {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, child := range manifest.Manifests {
		image, err := index.Image(child.Digest)
		if err != nil {
			t.Fatal(err)
		}
		platforms = append(platforms, child.Platform.String())
		look(*child.Platform, filepath.Join(dist, child.Platform.OS, child.Platform.Architecture), image)
	}
	return platforms
}

// files are the files in an image: mode, owner, where a link leads and hash, by
// place.
func files(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(content)
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if header.Typeflag == tar.TypeDir {
				continue
			}
			hash := sha256.New()
			if _, err := io.Copy(hash, archive); err != nil {
				t.Fatal(err)
			}
			found["/"+header.Name] = fmt.Sprintf("%s %d:%d %s %x", header.FileInfo().Mode(), header.Uid, header.Gid, header.Linkname, hash.Sum(nil))
		}
		if err := content.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func describe(t *testing.T, file string) string {
	t.Helper()
	hash, err := hashOf(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("-rwxr-xr-x 0:0  %x", hash)
}

func TestTheImageCarriesTheBinariesOfEveryArchitecture(t *testing.T) {
	made := released(t)
	index := layout(t, "image")
	platforms := each(t, index, func(platform v1.Platform, directory string, image v1.Image) {
		got := files(t, image)
		want := map[string]bool{"/etc/ssl/certs/ca-certificates.crt": true, "/usr/share/doc/regcred/LICENSE": true, "/usr/share/doc/regcred/THIRD-PARTY-LICENCES.txt": true}
		for _, name := range binaries(t, directory) {
			place := path.Join("/usr/bin", name)
			if tree.IsPlugin(name) {
				place = path.Join("/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec", name)
			}
			want[place] = true
			if got[place] != describe(t, filepath.Join(directory, name)) {
				t.Errorf("%s: %s is %q", platform, place, got[place])
			}
		}
		want["/usr/bin/docker-credential-regcred"] = true
		if !strings.HasPrefix(got["/usr/bin/docker-credential-regcred"], "Lrwxrwxrwx 0:0 regcred ") {
			t.Errorf("%s: the helper is %q", platform, got["/usr/bin/docker-credential-regcred"])
		}
		for place := range got {
			if !want[place] {
				t.Errorf("%s: there is %s", platform, place)
			}
		}

		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.OS != "linux" || config.Architecture != platform.Architecture || !config.Created.Equal(made.time) ||
			config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/regcred"}) || len(config.History) != 2 {
			t.Errorf("%s: got %+v", platform, config)
		}
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON || manifest.Layers[0].MediaType != types.OCILayer {
			t.Errorf("%s: got %+v", platform, manifest)
		}
		wantAbout(t, made, config.Config.Labels)
		wantAbout(t, made, manifest.Annotations)
	})
	var want []string
	directories, err := filepath.Glob(filepath.Join(dist, "linux", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, directory := range directories {
		want = append(want, "linux/"+filepath.Base(directory))
	}
	if !slices.Equal(platforms, want) {
		t.Errorf("got %q, want %q", platforms, want)
	}
	manifest, err := index.IndexManifest()
	if err != nil || manifest.MediaType != types.OCIImageIndex {
		t.Errorf("got %+v, %v", manifest, err)
	}
	wantAbout(t, made, manifest.Annotations)
}

func wantAbout(t *testing.T, made release, about map[string]string) {
	t.Helper()
	const prefix = "org.opencontainers.image."
	if about[prefix+"version"] != made.label.Text || about[prefix+"licenses"] != "Apache-2.0" || about[prefix+"created"] != made.time.Format("2006-01-02T15:04:05Z07:00") ||
		len(about[prefix+"revision"]) != 40 || about[prefix+"title"] == "" {
		t.Errorf("got %q", about)
	}
}

// A program in the image verifies the clouds' certificates with nothing mounted.
func TestTheImageHasCertificateAuthorities(t *testing.T) {
	each(t, layout(t, "image"), func(platform v1.Platform, _ string, image v1.Image) {
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		archive := tar.NewReader(content)
		var bundle []byte
		for {
			header, err := archive.Next()
			if err != nil {
				t.Fatal(err)
			}
			if header.Name == "etc/ssl/certs/ca-certificates.crt" {
				if bundle, err = io.ReadAll(archive); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		names := map[string]bool{}
		for rest := bundle; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			authority, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			names[authority.Subject.CommonName] = true
		}
		// The roots of AWS, Google, Azure, Oracle and IBM.
		for _, name := range []string{"Amazon Root CA 1", "GTS Root R1", "DigiCert Global Root G2", "Microsoft RSA Root Certificate Authority 2017"} {
			if !names[name] {
				t.Errorf("%s: %s is not among the %d authorities", platform, name, len(names))
			}
		}
	})
}

// Talos itself says whether it would take the extension.
func TestTalosTakesTheExtension(t *testing.T) {
	platforms := each(t, layout(t, "talos"), func(platform v1.Platform, directory string, image v1.Image) {
		got := files(t, image)
		root := t.TempDir()
		unpack(t, image, root)
		extension, err := extensions.Load(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []semver.Version{semver.MustParse("1.6.0"), semver.MustParse("1.12.0")} {
			err := extension.Validate(extensions.WithValidateConstraints(), extensions.WithValidateContents(), extensions.WithTalosVersion(&version))
			if err != nil {
				t.Errorf("%s: Talos %s: %v", platform, version, err)
			}
		}
		if about := extension.Manifest.Metadata; about.Name != "regcred" || about.Version != version(t) || about.Author == "" {
			t.Errorf("%s: got %+v", platform, about)
		}
		for _, name := range binaries(t, directory) {
			if !tree.IsPlugin(name) {
				continue
			}
			// The path is Talos' constant KubeletCredentialProviderBinDir.
			place := "/rootfs/usr/local/lib/kubelet/credentialproviders/" + name
			if got[place] != describe(t, filepath.Join(directory, name)) {
				t.Errorf("%s: %s is %q", platform, place, got[place])
			}
		}
	})
	for _, platform := range platforms {
		if platform != "linux/amd64" && platform != "linux/arm64" {
			t.Errorf("Talos does not run on %s", platform)
		}
	}
	if len(platforms) == 0 {
		t.Error("there is no platform")
	}
}

func unpack(t *testing.T, image v1.Image, directory string) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		tar := exec.Command("tar", "-C", directory, "-x")
		tar.Stdin, tar.Stderr = content, os.Stderr
		if err := tar.Run(); err != nil {
			t.Fatal(err)
		}
	}
}

// One file has all of a layout, for a machine that reaches no registry.
func TestTheArchiveOfAnImageIsItsLayout(t *testing.T) {
	made := released(t)
	for name, directory := range map[string]string{"regcred": "image", "regcred-talos": "talos"} {
		unpacked := t.TempDir()
		must(t, "tar", "-C", unpacked, "-xf", one(t, name+"_"+made.label.Plain()+"_oci.tar"))
		must(t, "diff", "-r", unpacked, filepath.Join(dist, directory))
	}
}
