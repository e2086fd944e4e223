package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// sbom is what verify reads of one: of the JSON itself, and not by the library that wrote it.
type sbom struct {
	BOMFormat, SpecVersion string
	Metadata               struct{ Component part }
	Components             []part
	Dependencies           []struct {
		Ref       string
		DependsOn []string
	}
}

type part struct {
	BOMRef              string `json:"bom-ref"`
	Name, Version, PURL string
	Hashes              []hash
	ExternalReferences  []struct {
		URL    string
		Hashes []hash
	}
}

type hash struct{ Alg, Content string }

func (p part) sum() string {
	if len(p.Hashes) != 1 || p.Hashes[0].Alg != "SHA-256" {
		return ""
	}
	return p.Hashes[0].Content
}

// verifySBOM holds name.cdx.json against CycloneDX's schema, and against what `go version -m` prints of the binary.
func verifySBOM(ctx context.Context, wrong *findings, root, name, version, binary string, t target) error {
	text, err := os.ReadFile(name + ".cdx.json")
	if err != nil {
		return err
	}
	if err := validate(ctx, text); err != nil {
		wrong.add("%s.cdx.json: %w", filepath.Base(name), err)
	}
	var bom sbom
	if err := json.Unmarshal(text, &bom); err != nil {
		return err
	}
	main := bom.Metadata.Component
	if want := "pkg:golang/drover@" + version + "?goarch=" + t.arch + "&goos=" + t.os + "#cmd/drover"; main.PURL != want {
		wrong.add("%s.cdx.json: is about %q, want %q", filepath.Base(name), main.PURL, want)
	}
	for file, want := range map[string]string{binary: main.sum(), name + ".tar.gz": archiveSum(main)} {
		sum, err := fileSum(file)
		if err != nil {
			return err
		}
		if sum != want {
			wrong.add("%s.cdx.json: has %q as the checksum of %s, which is %q", filepath.Base(name), want, filepath.Base(file), sum)
		}
	}
	listed := map[string]part{}
	for _, c := range bom.Components {
		listed[c.Name] = c
	}
	out, err := goOutput(ctx, root, "version", "-m", binary)
	if err != nil {
		return err
	}
	modules, last := 0, ""
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		switch {
		case len(f) >= 3 && (f[0] == "dep" || f[0] == "=>"):
			if f[0] == "=>" { // instead of the line before
				delete(listed, last)
				modules--
			}
			c, ok := listed[f[1]]
			last = f[1]
			modules++
			if !ok || c.Version != f[2] {
				wrong.add("%s.cdx.json: %s %s is in the binary, and not in the SBOM", filepath.Base(name), f[1], f[2])
				continue
			}
			if raw, err := hex.DecodeString(c.sum()); len(f) == 4 && (err != nil || "h1:"+base64.StdEncoding.EncodeToString(raw) != f[3]) {
				wrong.add("%s.cdx.json: %s has another checksum than in the binary", filepath.Base(name), f[1])
			}
			if !strings.HasPrefix(c.PURL, "pkg:golang/") || c.PURL != c.BOMRef {
				wrong.add("%s.cdx.json: %s has the package URL %q", filepath.Base(name), f[1], c.PURL)
			}
			delete(listed, f[1])
		case len(f) == 2 && f[0] == "build":
			for key, want := range map[string]string{"GOOS": t.os, "GOARCH": t.arch, "CGO_ENABLED": "0", "-trimpath": "true"} {
				if got, ok := strings.CutPrefix(f[1], key+"="); ok && got != want {
					wrong.add("%s: built with %s, want %s=%s", filepath.Base(name), f[1], key, want)
				}
			}
		}
	}
	if _, ok := listed["std"]; !ok {
		wrong.add("%s.cdx.json: Go's standard library is missing", filepath.Base(name))
	}
	delete(listed, "std")
	for other := range listed {
		wrong.add("%s.cdx.json: %s is not in the binary", filepath.Base(name), other)
	}
	if modules < 10 || len(bom.Dependencies) != 1 || len(bom.Dependencies[0].DependsOn) != modules+1 {
		wrong.add("%s.cdx.json: %d modules in the binary, and the SBOM's dependencies are not these", filepath.Base(name), modules)
	}
	return nil
}

func archiveSum(p part) string {
	if len(p.ExternalReferences) != 1 || len(p.ExternalReferences[0].Hashes) != 1 {
		return ""
	}
	return p.ExternalReferences[0].Hashes[0].Content
}

// validate holds an SBOM against the schema that CycloneDX publishes; its Go library has it along for its own tests.
func validate(ctx context.Context, text []byte) error {
	cmd := exec.CommandContext(ctx, goCommand(), "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("where is cyclonedx-go: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for url, file := range map[string]string{"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json"} {
		raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "schema", file))
		if err != nil {
			return err
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+url, schema); err != nil {
			return err
		}
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		return err
	}
	bom, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(bom)
}
