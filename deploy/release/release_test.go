package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func TestSection_of_a_version(t *testing.T) {
	const changelog = "# Changelog\n\n## Unreleased\n\n## v0.2.0 (2026-12-01)\n\n- [FEATURE] Two.\n\n### More\n\n- three\n\n## [v0.1.0] - 2026-11-01\n- [CHANGE] One.\n\n## v0.0.9\n"
	tests := []struct {
		name  string
		title string
		want  string
		found bool
	}{
		{"with a date", "v0.2.0", "- [FEATURE] Two.\n\n### More\n\n- three", true},
		{"in brackets", "v0.1.0", "- [CHANGE] One.", true},
		{"without text", "Unreleased", "", true},
		{"the last one, without text", "v0.0.9", "", true},
		{"one that is not there", "v0.3.0", "", false},
		{"the beginning of another", "v0.2", "", false},
		{"a dot is a dot", "v0x1.0", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, found := section(changelog, tt.title); got != tt.want || found != tt.found {
				t.Errorf("got %q, %v; want %q, %v", got, found, tt.want, tt.found)
			}
		})
	}
}

func TestNotes_say_what_to_do_where_there_are_none(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "CHANGELOG.md"), []byte("# Changelog\n\n## Unreleased\n\n## v0.1.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ version, want string }{
		{"v0.2.0", `rename "## Unreleased" to it`},
		{"v0.1.0", "write there what changed"},
	}
	for _, tt := range tests {
		if _, err := readNotes(root, tt.version); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.version, err, tt.want)
		}
	}
	if got, err := readNotes(root, "snapshot"); err != nil || got != "Nothing yet.\n" {
		t.Errorf("snapshot: got %q, %v", got, err)
	}
}

func TestSource_refuses_versions_of_another_form(t *testing.T) {
	for _, version := range []string{"", "0.1.0", "v1", "v0.1", "v0.1.0 ", "v0.1.0/../x", "1313f96-dirty", "latest"} {
		if _, err := readSource(t.Context(), t.TempDir(), version); err == nil || !strings.Contains(err.Error(), "VERSION=v0.1.0") {
			t.Errorf("%q: got %v, want an error that shows the form", version, err)
		}
	}
}

const help = `Move writes a plan
down. It's "so".

  drover shards move 3 \n   # .x

.hidden is a line.

Usage:
  drover shards move POOL NODE [flags]

Examples:
  drover shards move 3 a

  drover shards move 3 --anywhere

Flags:
      --anywhere        take it back
      --long-name-without-text
  -h, --help            help for move
      --set key=value   like --set a=b: twice

Global Flags:
      --nats text   servers – comma-separated
`

func TestHelp_becomes_a_page(t *testing.T) {
	c, err := parseHelp([]string{"drover", "shards", "move"}, "Have a node serve a pool", help)
	if err != nil {
		t.Fatal(err)
	}
	got := string(manPage(c, []command{{words: []string{"drover", "shards"}}, c}, "v0.1.0", time.Unix(0, 0).UTC()))
	for _, want := range []string{
		".TH \"DROVER\\-SHARDS\\-MOVE\" 1 1970-01-01 \"drover v0.1.0\" \"drover\"\n",
		".SH NAME\ndrover\\-shards\\-move \\- Have a node serve a pool\n",
		"\\fBdrover shards move\\fR POOL NODE [flags]\n",
		"down. It\\(aqs \\(dqso\\(dq.\n.PP\n.RS 4\n.nf\ndrover shards move 3 \\en   # .x\n.fi\n.RE\n.PP\n\\&.hidden is a line.\n",
		".TP\n\\fB\\-\\-anywhere\\fR\ntake it back\n",
		".TP\n\\fB\\-\\-long\\-name\\-without\\-text\\fR\n",
		".TP\n\\fB\\-h, \\-\\-help\\fR\nhelp for move\n",
		".TP\n\\fB\\-\\-set key=value\\fR\nlike \\-\\-set a=b: twice\n",
		"servers \\[u2013] comma\\-separated\n",
		".SH EXAMPLES\n.RS 4\n.nf\ndrover shards move 3 a\n\ndrover shards move 3 \\-\\-anywhere\n.fi\n.RE\n",
		".SH SEE ALSO\n.BR drover\\-shards (1)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page has no %q:\n%s", want, got)
		}
	}
}

func TestHelp_that_is_not_understood_is_an_error(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"a new heading", "Global Flags:", "Persistent Flags:", "Persistent Flags"},
		{"a flag of another form", "  -h, --help ", "-help ", "-help"},
		{"no usage", "Usage:", "Use:", "no usage"},
		{"no description", help[:strings.Index(help, "Usage:")], "", "no description"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseHelp([]string{"drover"}, "", strings.Replace(help, tt.old, tt.new, 1)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestArchive_is_the_same_whoever_writes_it(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	a, b := filepath.Join(t.TempDir(), "a.tar.gz"), filepath.Join(t.TempDir(), "other.tar.gz")
	files := []entry{{"drover", 0o755, []byte("x")}, {"README.md", 0o644, []byte("y")}}
	if err := writeArchive(a, "drover-v1", files, at); err != nil {
		t.Fatal(err)
	}
	files[0], files[1] = files[1], files[0]
	if err := writeArchive(b, "drover-v1", files, at.In(time.FixedZone("far", 9*3600))); err != nil {
		t.Fatal(err)
	}
	one, _ := os.ReadFile(a)
	two, _ := os.ReadFile(b)
	if len(one) == 0 || !bytes.Equal(one, two) {
		t.Errorf("%d bytes and %d bytes differ", len(one), len(two))
	}
	var wrong findings
	contents, err := readArchive(&wrong, a, "drover-v1")
	if err != nil || len(wrong) > 0 || string(contents["drover"]) != "x" || string(contents["README.md"]) != "y" {
		t.Errorf("got %v, %v, %v", contents, wrong, err)
	}
	if _, err := readArchive(&wrong, a, "drover-v2"); err != nil || len(wrong) != 2 {
		t.Errorf("another folder: got %v, %v, want both files refused", wrong, err)
	}
}

func TestSBOM_names_what_was_built_in(t *testing.T) {
	info, err := buildinfo.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	info.Deps = []*debug.Module{
		{Path: "github.com/Some/Mod", Version: "v1.0.0+incompatible", Sum: "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
		{Path: "example.org/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v1.1.0"}},
	}
	bom, err := describe(info, source{version: "v0.1.0", commit: "c"}, "aa", "x.tar.gz", strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	c := *bom.Components
	if len(c) != 3 || c[0].Name != "std" || c[2].PackageURL != "pkg:golang/example.org/fork@v1.1.0" {
		t.Fatalf("got %+v", c)
	}
	if got, want := c[1].PackageURL, "pkg:golang/github.com/some/mod@v1.0.0%2Bincompatible"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := (*c[1].Hashes)[0].Value, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := bom.SerialNumber, "urn:uuid:abababab-abab-8bab-abab-abababababab"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := moduleSum("h1:AAAA"); err == nil {
		t.Error("a checksum that is too short was taken")
	}
}
