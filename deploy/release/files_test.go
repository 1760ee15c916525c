package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"regcred/deploy/release/image"
	"regcred/deploy/release/tree"
)

// With this file, and a signature of it, everything else can be verified.
func TestChecksumsAreOfEverything(t *testing.T) {
	check := exec.Command("sha256sum", "--check", "--strict", "--quiet", "checksums.txt")
	check.Dir = dist
	if output, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, output)
	}
	sums, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, pattern := range []string{"*", "sbom/*"} {
		found, err := filepath.Glob(filepath.Join(dist, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(dist, path)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.IsDir() || name == "checksums.txt" {
				continue
			}
			count++
			if strings.Count(string(sums), "  "+name+"\n") != 1 {
				t.Errorf("checksums.txt does not have %s", name)
			}
		}
	}
	if lines := strings.Count(string(sums), "\n"); count == 0 || lines != count {
		t.Errorf("checksums.txt has %d lines, for %d files", lines, count)
	}
}

func TestTheArchiveHasWhatWasBuilt(t *testing.T) {
	for _, edition := range []struct{ name, directory string }{{"regcred", native()}, {"regcred-fips", filepath.Join(dist, "fips", "linux", runtime.GOARCH)}} {
		path := one(t, edition.name+"_*_linux_"+runtime.GOARCH+".tar.gz")
		top := strings.TrimSuffix(filepath.Base(path), ".tar.gz") + "/"
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		content, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(content)
		got := map[string]string{}
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			name, inside := strings.CutPrefix(header.Name, top)
			if !inside || header.Uid != 0 || header.Gid != 0 || header.Uname != "" {
				t.Errorf("%s: %s of %d:%d %s", path, header.Name, header.Uid, header.Gid, header.Uname)
			}
			hash := sha256.New()
			if _, err := io.Copy(hash, archive); err != nil {
				t.Fatal(err)
			}
			got[name] = fmt.Sprintf("%s %s %x", header.FileInfo().Mode(), header.Linkname, hash.Sum(nil))
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range binaries(t, edition.directory) {
			hash, err := hashOf(filepath.Join(edition.directory, name))
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("-rwxr-xr-x  %x", hash); got["bin/"+name] != want {
				t.Errorf("%s: bin/%s is %q, want %q", path, name, got["bin/"+name], want)
			}
		}
		if link := got["bin/"+tree.Helper]; !strings.HasPrefix(link, "Lrwxrwxrwx regcred ") {
			t.Errorf("%s: bin/%s is %q", path, tree.Helper, link)
		}
		for _, name := range []string{
			"LICENSE", "THIRD-PARTY-LICENCES.txt", "README.md", "credential-providers.yaml", "docs/install.md", "examples/ecr-pods.yaml",
			"man/man1/regcred.1.gz", "man/man8/ecr-credential-provider.8.gz", "completions/regcred.bash", "completions/regcred.fish", "completions/_regcred",
		} {
			if !strings.HasPrefix(got[name], "-rw-r--r-- ") {
				t.Errorf("%s: %s is %q", path, name, got[name])
			}
		}
	}
}

// Pages lead to one another where they are installed, too.
func TestLinksOfDocumentsLeadToDocuments(t *testing.T) {
	documents, err := release{repository: repository}.documents()
	if err != nil {
		t.Fatal(err)
	}
	installed := map[string]bool{}
	for _, document := range documents {
		installed[document.Path] = true
	}
	count := 0
	for _, document := range documents {
		if path.Ext(document.Path) != ".md" {
			continue
		}
		text, err := os.ReadFile(document.Source)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\]\(([^)\s#:]+)[^):\s]*\)`).FindAllStringSubmatch(string(text), -1) {
			if count++; !installed[path.Join(path.Dir(document.Path), match[1])] {
				t.Errorf("%s: %s is not installed", document.Path, match[1])
			}
		}
	}
	if count < 100 {
		t.Errorf("%d links", count)
	}
}

func TestTheZipIsForWindows(t *testing.T) {
	path := one(t, "regcred_*_windows_amd64.zip")
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	top := strings.TrimSuffix(filepath.Base(path), ".zip") + "/"
	var got []string
	for _, file := range archive.File {
		name, inside := strings.CutPrefix(file.Name, top)
		if !inside || file.Mode()&fs.ModeType != 0 {
			t.Errorf("%s: %s", file.Name, file.Mode())
		}
		got = append(got, name)
		if filepath.Ext(name) != ".exe" {
			continue
		}
		content, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		magic := make([]byte, 2)
		if _, err := io.ReadFull(content, magic); err != nil || string(magic) != "MZ" {
			t.Errorf("%s begins with %q, %v", file.Name, magic, err)
		}
		_ = content.Close() // read only
	}
	want := []string{"LICENSE", "THIRD-PARTY-LICENCES.txt", "README.md", "completions/regcred.ps1", "bin/docker-credential-regcred.exe"}
	for _, name := range binaries(t, native()) {
		want = append(want, "bin/"+name+".exe")
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s is not in %q", name, got)
		}
	}
}

// The chart is the one in the repository, of the version that is released.
func TestTheChartIsOfThisVersion(t *testing.T) {
	made := released(t)
	unpacked := t.TempDir()
	must(t, "tar", "-C", unpacked, "-xzf", one(t, "regcred-"+made.label.Semver()+".tgz"))
	source := filepath.Join(repository, "deploy", "chart")
	must(t, "diff", "-r", "--exclude=Chart.yaml", "--exclude=.helmignore", source, filepath.Join(unpacked, "regcred"))
	var got, want map[string]any
	for file, into := range map[string]*map[string]any{filepath.Join(unpacked, "regcred"): &got, source: &want} {
		content, err := os.ReadFile(filepath.Join(file, "Chart.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(content, into); err != nil {
			t.Fatal(err)
		}
	}
	want["version"], want["appVersion"] = made.label.Semver(), made.label.Text
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Every module that the Go tool finds in a binary is in its list, and no other.
func TestEverySBOMListsTheModulesOfItsBinary(t *testing.T) {
	made := released(t)
	checked := 0
	for _, place := range []struct{ directory, suffix string }{
		{native(), "_linux_" + runtime.GOARCH}, {filepath.Join(dist, "fips", "linux", runtime.GOARCH), "_linux_" + runtime.GOARCH + "_fips"},
		{filepath.Join(dist, "windows", "amd64"), "_windows_amd64"},
	} {
		for _, name := range binaries(t, place.directory) {
			checked++
			binary := filepath.Join(place.directory, name)
			info, err := buildinfo.ReadFile(binary)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"std@" + info.GoVersion}
			for _, module := range info.Deps {
				want = append(want, module.Path+"@"+module.Version)
			}
			hash, err := hashOf(binary)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(dist, "sbom", strings.TrimSuffix(name, ".exe")+"_"+made.label.Plain()+place.suffix+".cdx.json"))
			if err != nil {
				t.Fatal(err)
			}
			var list struct {
				BOMFormat, SpecVersion, SerialNumber string
				Metadata                             struct {
					Timestamp  time.Time
					Component  struct{ Name, Version, Type string }
					Properties []struct{ Name, Value string }
				}
				Components []struct {
					Name, Version, PURL string
					Licenses            []struct{ License struct{ ID string } }
				}
			}
			if err := json.Unmarshal(content, &list); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, component := range list.Components {
				got = append(got, component.Name+"@"+component.Version)
				if !strings.HasPrefix(component.PURL, "pkg:golang/") || len(component.Licenses) == 0 || component.Licenses[0].License.ID == "" {
					t.Errorf("%s: %+v", binary, component)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %q\nwant %q", binary, got, want)
			}
			if list.BOMFormat != "CycloneDX" || list.SpecVersion != "1.6" || !strings.HasPrefix(list.SerialNumber, "urn:uuid:") ||
				!list.Metadata.Timestamp.Equal(made.time) || list.Metadata.Component.Version != made.label.Text || list.Metadata.Component.Type != "application" {
				t.Errorf("%s: got %+v", binary, list.Metadata)
			}
			if !strings.Contains(string(content), fmt.Sprintf("%x", hash)) {
				t.Errorf("%s: its hash is not in the list", binary)
			}
		}
	}
	if checked == 0 {
		t.Error("there is no binary")
	}
}

// The same sources give the same release, wherever they are and whoever the
// machine belongs to.
func TestTheSameInAnotherPlace(t *testing.T) {
	made := released(t)
	copied := t.TempDir()
	for _, name := range []string{"LICENSE", "README.md", "CONTRIBUTING.md", "SECURITY.md", "go.mod", "go.sum", "docs", "plugins", "deploy/credential-providers.yaml", "deploy/chart", "deploy/manifests"} {
		target := filepath.Join(copied, filepath.Dir(name))
		if err := os.MkdirAll(target, 0o700); err != nil {
			t.Fatal(err)
		}
		must(t, "cp", "-r", filepath.Join(repository, name), target)
	}
	must(t, "chmod", "-R", "u=rwX,go=", copied)
	t.Setenv("TZ", "Asia/Kolkata")
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	t.Setenv("HOSTNAME", "elsewhere")
	other := again(t, made.label.Text, made.revision, made.time, copied)

	sums, err := os.ReadFile(filepath.Join(other.dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for line := range strings.Lines(string(sums)) {
		// It has the images of this machine's architecture alone.
		if strings.HasSuffix(line, "_oci.tar\n") {
			continue
		}
		same++
		if !strings.Contains(string(all), line) {
			t.Errorf("made elsewhere it is not the same: %s", line)
		}
	}
	// A deb, an rpm, an archive, the chart.
	if want := 4 + len(binaries(t, native())); same != want {
		t.Errorf("%d files were made, want %d", same, want)
	}
	for _, name := range []string{"image", "talos"} {
		elsewhere, _, err := image.ReadLayout(filepath.Join(other.dist, name))
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := elsewhere.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := layout(t, name).Image(manifest.Manifests[0].Digest); err != nil || len(manifest.Manifests) != 1 {
			t.Errorf("made elsewhere the %s is not the same: %v", name, err)
		}
	}
}

// The configuration in the packages is the one that the kubelet's own code is
// tested with.
func TestTheConfigurationIsTheOneInTheReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(repository, "deploy", "credential-providers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	comment, body, _ := strings.Cut(string(config), "apiVersion: kubelet.config.k8s.io/v1\n")
	if !strings.Contains(string(readme), "\n```yaml\napiVersion: kubelet.config.k8s.io/v1\n"+body+"```\n") {
		t.Error("the README has another one")
	}
	if !strings.Contains(comment, "--image-credential-provider-bin-dir="+tree.PluginDir+"\n") ||
		!strings.Contains(comment, "--image-credential-provider-config="+tree.ConfigDir+"/credential-providers.yaml\n") {
		t.Error("it does not say how the kubelet finds it")
	}
	for _, name := range binaries(t, native()) {
		// The registries of docker configurations are whatever the operator has.
		if tree.IsPlugin(name) && name != "dockerconfig-credential-provider" && !strings.Contains(body, "- name: "+name+"\n") {
			t.Errorf("it does not have %s", name)
		}
	}
}
