package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// k6 takes minutes to build, so nothing here runs it: these tests hold script,
// program and documentation together.

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// find is what an expression's first group matches, which must be there once.
func find(t *testing.T, text, expression string) string {
	t.Helper()
	found := regexp.MustCompile(expression).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%s: got %d matches, want one", expression, len(found))
	}
	return found[0][1]
}

func TestScript_has_the_documented_conditions(t *testing.T) {
	script, readme := read(t, "load.js"), read(t, "README.md")
	for _, tt := range []struct{ name, expression, want string }{
		{"p99", `P99_MS \|\| (\d+)\)`, "10"},
		{"it is a threshold", "transaction: \\[`(.*)`\\]", "p(99)<${P99_MS}"},
		{"success", `const SUCCESS = ([\d.]+);`, strconv.FormatFloat(mustSucceed, 'f', -1, 64)},
		{"it is a threshold", "success: \\[`(.*)`\\]", "rate>${SUCCESS}"},
		{"wrong rows", `wrong_rows: \['(.*)'\]`, "count==0"},
		{"thinking", `const THINK_MS = \[(.*)\];`, "50, 150"},
		{"steady", `const STEADY_USERS = (\d+);`, "100"},
		{"spike", `const SPIKE_USERS = (\d+);`, "200"},
		{"tenants", `const TENANTS = (\d+);`, "20"},
		{"members", `const MEMBERS = (\d+);`, "1000"},
		{"guilds", `const FIRST_GUILD = (\d+);`, find(t, seed, `-- What(?s:.*?)generate_series\((\d+), 1000020\) g\nON`)},
	} {
		if got := find(t, script, tt.expression); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, want := range []string{
		"p99 < 10 ms; success > 99.9 %; wrong rows 0", "50–150 ms of thinking", "20 communities with 1,000 members",
		"a ramp to 100 in 20 s, 45 s with 100, a spike to 200 in 2 s, 20 s with 200, back to 100 in 8 s, to the end in 5 s; 100 s together (quick: 10 s)",
	} {
		if !strings.Contains(strings.Join(strings.Fields(readme), " "), want) {
			t.Errorf("README.md does not say %q", want)
		}
	}

	var weights []string
	sum := 0
	for _, m := range regexp.MustCompile(`(\w+): \{\n\s+weight: (\d+)`).FindAllStringSubmatch(script, -1) {
		weights = append(weights, m[1])
		n, _ := strconv.Atoi(m[2])
		sum += n
	}
	if !slices.Equal(weights, kinds) || sum != 100 {
		t.Errorf("kinds: got %v with %d %% together, want %v with 100 %%", weights, sum, kinds)
	}
}

// Both shapes take as long as the program says, and have no phase that it does not know.
func TestScript_takes_as_long_as_the_program_says(t *testing.T) {
	script := read(t, "load.js")
	for quick, expression := range map[bool]string{true: `\? (\[\[.*\]\])`, false: `: (\[\[.*\]\])\n`} {
		total := 0.0
		for _, m := range regexp.MustCompile(`\[([\d.]+), \w+, '(\w+)'\]`).FindAllStringSubmatch(find(t, script, expression), -1) {
			seconds, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			total += seconds
			if !slices.Contains(phases, m[2]) {
				t.Errorf("phase %s is in no report", m[2])
			}
		}
		if want := (options{quick: quick}).length().Seconds(); total != want {
			t.Errorf("quick %v: got %v s, want %v s", quick, total, want)
		}
	}
}

// Somebody who takes the script for one of the public extension's must read otherwise.
func TestScript_says_that_it_is_unproven_on_xk6_sql(t *testing.T) {
	for _, file := range []string{"load.js", "README.md"} {
		if text := strings.ToLower(read(t, file)); !strings.Contains(text, "unproven on the public xk6-sql") {
			t.Errorf("%s does not say so", file)
		}
	}
}

// The load is put on with the driver that drover uses, and drover carries no k6.
func TestModule_of_k6_stands_apart(t *testing.T) {
	ours, theirs := read(t, "../../go.mod"), read(t, "sql/go.mod")
	if strings.Contains(ours, "go.k6.io") {
		t.Error("drover's module requires k6")
	}
	const driver = `github\.com/jackc/pgx/v5 (\S+)`
	if got, want := find(t, theirs, driver), find(t, ours, driver); got != want {
		t.Errorf("pgx is %s in deploy/k6/sql/go.mod and %s in go.mod: cd deploy/k6/sql && go get github.com/jackc/pgx/v5@%s && go mod tidy", got, want, want)
	}
	if version := strings.TrimPrefix(find(t, theirs, `go\.k6\.io/k6 (\S+)`), "v"); !strings.Contains(read(t, "README.md"), "k6 "+version) {
		t.Errorf("README.md does not name k6 %s", version)
	}
}

func TestDocs_name_every_way_and_target(t *testing.T) {
	readme, makefile := read(t, "README.md"), read(t, "../../Makefile")
	for _, w := range ways {
		if !strings.Contains(readme, fmt.Sprintf("| `%s` |", w.name)) {
			t.Errorf("README.md does not have %s", w.name)
		}
	}
	for _, target := range []string{"loadtest", "loadtest-quick", "bin/k6"} {
		if !strings.Contains(makefile, "\n"+target+":") || !strings.Contains(readme, "make "+target) {
			t.Errorf("make %s is missing in the Makefile or in README.md", target)
		}
	}
}
