package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const testsOfAllKinds = `package m

import "testing"

func TestGood_one(t *testing.T) {
	for _, name := range []string{"a", "b", "c"} {
		t.Run(name, func(*testing.T) {})
	}
}
func TestGood_two(t *testing.T) {}
func TestSkips(t *testing.T) {
	t.Run("one", func(*testing.T) {})
	t.Run("other", func(t *testing.T) { t.Skip("there is no such program here") })
}
func TestFails(t *testing.T) { t.Error("two is not three") }
func TestPanics(t *testing.T) { panic("at once") }
`

func TestGoTest_counts_what_passed_and_takes_nothing_else_for_a_result(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module m\n\ngo 1.26\n", "m_test.go": testsOfAllKinds} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	tests := []struct {
		name string
		args string
		code int
		want string // a pattern in what it prints
	}{
		{"passed", ". TestGood", 0, `(?m)^result: \.: 2 tests with 3 subtests passed, none was skipped \(TestGood 2\)$`},
		{"several names", ". TestGood_one TestGood_two", 0, `\(TestGood_one 1, TestGood_two 1\)`},
		{"a subtest is skipped", ". TestGood TestSkips", 1, `(?s)there is no such program here.*result: .*1 tests were skipped and show nothing: TestSkips/other`},
		{"a name of nobody", ". TestGood TestGone", 1, `result: .*no test whose name begins with TestGone ran`},
		{"no test at all", ". TestGone", 1, `result: .*no test whose name begins with TestGone ran`},
		{"failed", ". TestGood TestFails", 1, `(?s)two is not three.*result: .*1 tests failed: TestFails`},
		{"panic", ". TestPanics", 1, `(?s)panic: at once.*result: .*1 tests failed: TestPanics`},
		{"not a package", "./none TestGood", 1, `result: .*go test: exit status`},
		{"no name", ".", 2, `usage:`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if code := goTest(&out, strings.Fields(tt.args)); code != tt.code || !regexp.MustCompile(tt.want).MatchString(out.String()) {
				t.Errorf("got exit code %d and\n%s\nwant %d and %s", code, out.String(), tt.code, tt.want)
			}
		})
	}
}

// Each name in the list is that of a test, so that a run which takes minutes does not have to find out.
func TestChecks_name_tests_that_exist(t *testing.T) {
	command, commands := regexp.MustCompile(`"\$CHECK" gotest (\S+) (.+)$`), 0
	for _, c := range checks {
		m := command.FindStringSubmatch(c.command)
		if m == nil {
			continue
		}
		commands++
		files, err := filepath.Glob(filepath.Join("..", "..", m[1], "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no tests in %s: %v", c.artefact, m[1], err)
		}
		var all strings.Builder
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
		for name := range strings.FieldsSeq(m[2]) {
			if !strings.Contains(all.String(), "\nfunc "+name) {
				t.Errorf("%s: no test in %s begins with %s", c.artefact, m[1], name)
			}
		}
	}
	if commands < 3 {
		t.Errorf("got %d commands with gotest, want those for NATS, PostgreSQL and the dashboards", commands)
	}
}
