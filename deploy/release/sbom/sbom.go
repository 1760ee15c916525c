// Package sbom lists what a binary consists of, as CycloneDX does.
package sbom

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// tool is what the list says that it was made with.
const (
	tool        = "cyclonedx-gomod"
	toolVersion = "v1.10.0"
)

// Of lists the modules of a Go binary, the standard library among them. The
// licences are those of the modules by path. The same binary has the same list:
// its serial number is made of the binary's hash.
func Of(binary, version string, at time.Time, licences map[string][]string) ([]byte, error) {
	generator, err := bin.NewGenerator(binary,
		bin.WithIncludeStdlib(true),
		bin.WithVersionOverride(version),
		bin.WithLogger(zerolog.Nop()),
	)
	if err != nil {
		return nil, fmt.Errorf("sbom of %s: %w", binary, err)
	}
	bom, err := generator.Generate()
	if err != nil {
		return nil, fmt.Errorf("sbom of %s: %w", binary, err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("sbom: %w", err)
	}
	hash := sha256.Sum256(content)
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceOID, hash[:]).URN()
	bom.Metadata.Timestamp = at.UTC().Format(time.RFC3339)
	bom.Metadata.Tools = &cdx.ToolsChoice{Components: &[]cdx.Component{{
		Type: cdx.ComponentTypeApplication, Author: "CycloneDX", Name: tool, Version: toolVersion,
	}}}
	bom.Metadata.Component.Licenses = choose([]string{"Apache-2.0"})
	for i, component := range *bom.Components {
		known := licences[component.Name]
		if len(known) == 0 {
			return nil, fmt.Errorf("sbom of %s: the licence of %s is not known", binary, component.Name)
		}
		(*bom.Components)[i].Licenses = choose(known)
	}
	var list bytes.Buffer
	encoder := cdx.NewBOMEncoder(&list, cdx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("sbom of %s: %w", binary, err)
	}
	return list.Bytes(), nil
}

// choose says that all of the licences apply.
func choose(ids []string) *cdx.Licenses {
	var chosen cdx.Licenses
	for _, id := range ids {
		chosen = append(chosen, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	return &chosen
}
