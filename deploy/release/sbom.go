package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// specVersion is of CycloneDX: what most scanners read by now.
const specVersion = cdx.SpecVersion1_6

// writeSBOM lists what is in the binary, by what the Go command wrote into it and not by go.mod: modules that no package of it needs are not there.
func writeSBOM(file string, src source, binary, archive string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	sum, err := fileSum(binary)
	if err != nil {
		return err
	}
	packed, err := fileSum(archive)
	if err != nil {
		return err
	}
	bom, err := describe(info, src, sum, filepath.Base(archive), packed)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, specVersion); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// describe is the SBOM of a binary with the SHA-256 sum, which is in the archive with the sum packed.
func describe(info *debug.BuildInfo, src source, sum, archive, packed string) (*cdx.BOM, error) {
	main := cdx.Component{
		BOMRef: "drover", Type: cdx.ComponentTypeApplication, Name: "drover", Version: src.version,
		Description: "Herds the gateway sessions of a Discord bot and publishes their events to NATS JetStream",
		PackageURL:  modulePURL("drover", src.version) + "?goarch=" + setting(info, "GOARCH") + "&goos=" + setting(info, "GOOS") + "#cmd/drover",
		Hashes:      &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}},
		ExternalReferences: &[]cdx.ExternalReference{{
			Type: cdx.ERTypeDistribution, URL: archive, Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: packed}},
		}},
		Properties: &[]cdx.Property{{Name: "drover:commit", Value: src.commit}, {Name: "drover:go", Value: info.GoVersion}},
	}
	for _, key := range []string{"GOOS", "GOARCH", "CGO_ENABLED", "-trimpath"} {
		*main.Properties = append(*main.Properties, cdx.Property{Name: "drover:build:" + strings.ToLower(strings.TrimLeft(key, "-")), Value: setting(info, key)})
	}

	std := strings.TrimPrefix(info.GoVersion, "go")
	components := []cdx.Component{{
		BOMRef: modulePURL("std", std), Type: cdx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion,
		Description: "the standard library of Go", Scope: cdx.ScopeRequired, PackageURL: modulePURL("std", std),
	}}
	refs := []string{components[0].BOMRef}
	for _, dep := range info.Deps {
		m := actual(dep)
		c := cdx.Component{
			BOMRef: modulePURL(m.Path, m.Version), Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, Scope: cdx.ScopeRequired,
			PackageURL: modulePURL(m.Path, m.Version),
		}
		if m.Sum != "" {
			h, err := moduleSum(m.Sum)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.Path, err)
			}
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: h}}
		}
		components = append(components, c)
		refs = append(refs, c.BOMRef)
	}

	bom := cdx.NewBOM()
	bom.SerialNumber = serial(packed)
	bom.Metadata = &cdx.Metadata{
		Timestamp: src.time.Format(time.RFC3339), Component: &main,
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhaseBuild}},
		Tools:      &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "drover/deploy/release", Version: src.version}}},
	}
	bom.Components = &components
	// A binary knows what it consists of, and not who asked for it: all of it hangs at drover itself.
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	bom.Compositions = &[]cdx.Composition{{Aggregate: cdx.CompositionAggregateComplete, Assemblies: &[]cdx.BOMReference{cdx.BOMReference(main.BOMRef)}}}
	return bom, nil
}

// actual is the module that was built in: go.mod can replace one by another.
func actual(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// modulePURL is a package URL: lower case is demanded for Go, and + is not allowed bare.
func modulePURL(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
}

// moduleSum turns go.sum's h1, a SHA-256 sum in base64 over the names and sums of a module's files, into the form of CycloneDX.
func moduleSum(sum string) (string, error) {
	encoded, ok := strings.CutPrefix(sum, "h1:")
	if !ok {
		return "", fmt.Errorf("the checksum %q has no h1: before it", sum)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("the checksum %q is no SHA-256 sum in base64", sum)
	}
	return hex.EncodeToString(raw), nil
}

// serial is a UUID (version 8) made of the archive's checksum: another one for every archive, and the same for the same.
func serial(sum string) string {
	raw, _ := hex.DecodeString(sum) // fileSum made it
	raw[6], raw[8] = raw[6]&0x0f|0x80, raw[8]&0x3f|0x80
	u := hex.EncodeToString(raw[:16])
	return "urn:uuid:" + strings.Join([]string{u[:8], u[8:12], u[12:16], u[16:20], u[20:]}, "-")
}
