package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
)

// declared is a variable or an output.
type declared struct {
	name, typ, fallback, description string
	validated, output                bool
}

// documents holds README.md against the modules, or writes its tables, and counts what they describe.
func (t tool) documents(write bool) (int, error) {
	file := filepath.Join(t.root, "terraform", "README.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	got, count := string(text), 0
	want := got
	for _, u := range units {
		all, err := t.declared(u)
		if err != nil {
			return 0, err
		}
		count += len(all)
		begin, end := fmt.Sprintf("<!-- %s: made by check --write -->\n", u), fmt.Sprintf("<!-- end of %s -->", u)
		head, rest, ok := strings.Cut(want, begin)
		_, tail, closed := strings.Cut(rest, end)
		if !ok || !closed {
			return 0, fmt.Errorf("README.md has no %q … %q", begin, end)
		}
		want = head + begin + table(all) + end + tail
	}
	if write {
		return count, os.WriteFile(file, []byte(want), 0o644)
	}
	if got != want {
		return 0, fmt.Errorf("README.md is not what the modules say: run deploy/terraform/check --write")
	}
	return count, nil
}

func table(all []declared) string {
	var b strings.Builder
	b.WriteString("| input | type | default | meaning |\n|---|---|---|---|\n")
	for _, d := range all {
		if !d.output {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.typ, d.fallback, d.description)
		}
	}
	b.WriteString("\n| output | meaning |\n|---|---|\n")
	for _, d := range all {
		if d.output {
			fmt.Fprintf(&b, "| `%s` | %s |\n", d.name, d.description)
		}
	}
	return b.String()
}

// free are variables of which every value is a good one, or that the module below refuses.
var free = []string{"tags", "multi_az", "deletion_protection", "running", "images", "image_repository_arns", "files_image", "environment", "metrics_client_security_group_ids"}

func (t tool) declared(unit string) ([]declared, error) {
	files, err := filepath.Glob(filepath.Join(t.root, "terraform", unit, "*.tf"))
	if err != nil {
		return nil, err
	}
	var all []declared
	parser := hclparse.NewParser()
	for _, file := range files {
		f, diags := parser.ParseHCLFile(file)
		if diags.HasErrors() {
			return nil, diags
		}
		content, _, diags := f.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "variable", LabelNames: []string{"name"}}, {Type: "output", LabelNames: []string{"name"}}}})
		if diags.HasErrors() {
			return nil, diags
		}
		for _, b := range content.Blocks {
			inner, _, diags := b.Body.PartialContent(&hcl.BodySchema{
				Attributes: []hcl.AttributeSchema{{Name: "description"}, {Name: "type"}, {Name: "default"}},
				Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
			})
			if diags.HasErrors() {
				return nil, diags
			}
			d := declared{name: b.Labels[0], output: b.Type == "output", validated: len(inner.Blocks) > 0, fallback: "required"}
			if a := inner.Attributes["description"]; a != nil {
				v, diags := a.Expr.Value(nil)
				if diags.HasErrors() || v.Type() != cty.String {
					return nil, fmt.Errorf("%s: %s: description: %w", unit, d.name, diags)
				}
				d.description = strings.ReplaceAll(v.AsString(), "|", "\\|")
			}
			if a := inner.Attributes["type"]; a != nil {
				typ := strings.Join(strings.Fields(string(a.Expr.Range().SliceBytes(f.Bytes))), " ")
				if rest, ok := strings.CutPrefix(typ, "map(object("); ok && rest != "" {
					typ = "map of objects"
				} else if strings.HasPrefix(typ, "object(") {
					typ = "object"
				}
				d.typ = typ
			}
			if a := inner.Attributes["default"]; a != nil {
				d.fallback = "`" + strings.Join(strings.Fields(string(a.Expr.Range().SliceBytes(f.Bytes))), " ") + "`"
			}
			if d.description == "" || !strings.HasSuffix(d.description, ".") {
				return nil, fmt.Errorf("%s: %s %s has no description that ends with a full stop", unit, b.Type, d.name)
			}
			if !d.output && d.typ == "" {
				return nil, fmt.Errorf("%s: variable %s has no type", unit, d.name)
			}
			if !d.output && !d.validated && !slices.Contains(free, d.name) {
				return nil, fmt.Errorf("%s: variable %s takes any value: add a validation", unit, d.name)
			}
			all = append(all, d)
		}
	}
	return all, nil
}
