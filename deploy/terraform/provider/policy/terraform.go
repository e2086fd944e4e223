package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
)

// tool runs terraform.
type tool struct {
	terraform, data, root string
}

// outcome is what one `terraform test` said.
type outcome struct {
	passed int
	failed []string // ids of assertions
	errors []string // everything else that went wrong
	states []state  // one for each run that applied
}

func (t tool) command(deploy, unit string, args ...string) *exec.Cmd {
	cmd := exec.Command(t.terraform, args...)
	cmd.Dir = filepath.Join(deploy, "terraform", unit)
	// Modules are found by relative paths: what init noted holds for every copy.
	cmd.Env = append(os.Environ(), "TF_DATA_DIR="+filepath.Join(t.data, filepath.Base(unit)), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
	return cmd
}

// initialise reports errors by validate: with a provider that is overridden, init itself always ends with one.
func (t tool) initialise(unit string) error {
	out, err := t.command(t.root, unit, "init", "-backend=false", "-input=false", "-no-color").CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("development overrides")) {
		return fmt.Errorf("%s: terraform init: %w\n%s", unit, err, out)
	}
	return nil
}

func (t tool) validate(unit string) error {
	out, err := t.command(t.root, unit, "validate", "-no-color").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: terraform validate: %w\n%s", unit, err, out)
	}
	return nil
}

// test runs the unit's tests in a copy of deploy, or those of some files. A failing test is an outcome, no error.
func (t tool) test(deploy, unit string, files ...string) (*outcome, error) {
	args := []string{"test", "-json", "-verbose"}
	for _, f := range files {
		args = append(args, "-filter=tests/"+f)
	}
	cmd := t.command(deploy, unit, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, _ := cmd.Output()
	var out outcome
	lines := bufio.NewScanner(bytes.NewReader(stdout))
	lines.Buffer(nil, 64<<20)
	summary := false
	for lines.Scan() {
		var m struct {
			Type       string `json:"type"`
			Diagnostic struct {
				Severity, Summary, Detail string
				Range                     struct{ Filename string }
			}
			Summary struct{ Passed int } `json:"test_summary"`
			State   json.RawMessage      `json:"test_state"`
			Run     string               `json:"@testrun"`
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%s: terraform test says %.200q: %w", unit, lines.Text(), err)
		}
		switch m.Type {
		case "test_summary":
			summary, out.passed = true, m.Summary.Passed
		case "diagnostic":
			if m.Diagnostic.Severity != "error" {
				continue
			}
			if m.Diagnostic.Summary == "Test assertion failed" {
				out.failed = append(out.failed, assertion(unit, m.Diagnostic.Range.Filename, m.Run, m.Diagnostic.Detail))
			} else {
				out.errors = append(out.errors, m.Diagnostic.Summary+": "+m.Diagnostic.Detail)
			}
		case "test_state":
			s, err := readState(m.State)
			if err != nil {
				return nil, err
			}
			out.states = append(out.states, s)
		}
	}
	if !summary && len(out.errors) == 0 {
		return nil, fmt.Errorf("%s: terraform test ended without a summary: %s", unit, stderr.String())
	}
	return &out, lines.Err()
}

// assertion names one assertion of one run.
func assertion(unit, file, run, message string) string {
	return strings.Join([]string{unit, filepath.Base(file), run, message}, " | ")
}

// assertions lists all of a unit.
func (t tool) assertions(unit string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(t.root, "terraform", unit, "tests", "*.tftest.hcl"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s has no tests: %w", unit, err)
	}
	var ids []string
	seen := map[string]bool{}
	parser := hclparse.NewParser()
	for _, file := range files {
		f, diags := parser.ParseHCLFile(file)
		if diags.HasErrors() {
			return nil, diags
		}
		content, _, diags := f.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "run", LabelNames: []string{"name"}}}})
		if diags.HasErrors() {
			return nil, diags
		}
		for _, r := range content.Blocks {
			asserts, _, diags := r.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "assert"}}})
			if diags.HasErrors() {
				return nil, diags
			}
			for _, a := range asserts.Blocks {
				attrs, diags := a.Body.JustAttributes()
				if diags.HasErrors() {
					return nil, diags
				}
				message, diags := attrs["error_message"].Expr.Value(nil)
				if diags.HasErrors() {
					return nil, diags
				}
				id := assertion(unit, file, r.Labels[0], message.AsString())
				if seen[id] {
					return nil, fmt.Errorf("%s: two assertions of one run say the same", id)
				}
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}
