package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testFunctions are the names of all test functions of the repository.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// statements is how many the list of docs/gateway.md has. Their numbers never change.
const statements = 60

var conformance = regexp.MustCompile(`^TestConformance(\d+)_`)

func TestDocs_conformance_table_is_what_is_tested(t *testing.T) {
	text, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| no. | statement | tests |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/gateway.md has no table of statements")
	}
	functions := testFunctions(t)
	listed := map[string]bool{}
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != statements {
		t.Errorf("got %d statements, want %d", len(lines), statements)
	}
	for i, line := range lines {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.TrimSpace(cells[1]) != strconv.Itoa(i+1) {
			t.Fatalf("want statement %d with three cells, got: %s", i+1, line)
		}
		if tests := strings.TrimSpace(cells[3]); tests != "not there yet" {
			for _, test := range strings.Split(tests, "<br>") {
				name := strings.Trim(test, "`")
				listed[name] = true
				m := conformance.FindStringSubmatch(name)
				if m == nil {
					t.Errorf("statement %d: %s carries no number", i+1, name)
				} else if n, _ := strconv.Atoi(m[1]); n != i+1 {
					t.Errorf("statement %d: %s carries the number %d", i+1, name, n)
				}
				if !functions[name] {
					t.Errorf("statement %d: there is no test %s", i+1, name)
				}
			}
		}
	}
	for name := range functions {
		if conformance.MatchString(name) && !listed[name] {
			t.Errorf("%s is missing in the table of docs/gateway.md", name)
		}
	}
}

// documents are the pages for readers, by their path from here.
func documents(t *testing.T) map[string]string {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../deploy/*.md", "../../deploy/*/*.md", "../../deploy/*/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) < 8 {
		t.Fatalf("got %d pages: is this test still about something?", len(paths))
	}
	texts := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	goFile   = regexp.MustCompile("`((?:actors|cmd|config|messages|system)/[A-Za-z0-9_/.-]+)`")
	testName = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]*_?[a-zA-Z0-9_]{6,}\b`)
)

// anchors are the headings of a page as links name them.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(strings.ReplaceAll(m[1], "`", ""))
		name = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(name, "")
		out = append(out, strings.ReplaceAll(name, " ", "-"))
	}
	return out
}

func TestDocs_name_only_what_exists(t *testing.T) {
	functions := testFunctions(t)
	texts := documents(t)
	for path, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, m[1])
			} else if anchor != "" && !slices.Contains(anchors(texts[target]), anchor) {
				t.Errorf("%s: the link %s names no heading", path, m[1])
			}
		}
		for _, m := range goFile.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s: there is no %s", path, m[1])
			}
		}
		for _, name := range testName.FindAllString(text, -1) {
			if !functions[name] && !strings.Contains(text, name+"…") {
				t.Errorf("%s: there is no test %s", path, name)
			}
		}
	}
}
