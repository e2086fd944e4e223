package bench

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	operator "go/token"
	"io/fs"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	scalePage  = "../../docs/scale.md"
	reportFile = "../../docs/benchmarks/report.json"

	baseHead    = "| name | what | value | row of the report | column |"
	settingHead = "| name | what | value | where it comes from |"
	formulaHead = "| name | what | formula | 1,000 shards, high |"
	planHead    = "| | 25 shards, low |"

	drift  = 0.15 // of a base value from the report
	inputs = 3    // rows of the plan that are chosen and not computed
	worked = 4    // column of the plan whose arithmetic is written out
)

var rewrite = flag.Bool("rewrite", false, "rewrite the numbers of docs/scale.md from docs/benchmarks/report.json and the page's formulas")

// page is docs/scale.md, whose numbers follow from one another.
type page struct {
	t     testing.TB
	lines []string
}

func openPage(t testing.TB) *page {
	t.Helper()
	text, err := os.ReadFile(scalePage)
	if err != nil {
		t.Fatal(err)
	}
	return &page{t, strings.Split(string(text), "\n")}
}

// table calls row for each row of a table, and puts what it returns in the row's place.
func (p *page) table(head string, row func(cells []string) []string) {
	p.t.Helper()
	for i, line := range p.lines {
		if !strings.HasPrefix(line, head) {
			continue
		}
		for i += 2; i < len(p.lines) && strings.HasPrefix(p.lines[i], "|"); i++ {
			p.lines[i] = tableRow(row(cells(p.lines[i])))
		}
		return
	}
	p.t.Fatalf("%s has no table %q", scalePage, head)
}

func cells(line string) []string {
	list := strings.Split(strings.Trim(line, "|"), "|")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func tableRow(list []string) string { return "| " + strings.Join(list, " | ") + " |" }

// values reads a table of names and values.
func (p *page) values(head string) map[string]string {
	out := map[string]string{}
	p.table(head, func(c []string) []string {
		out[strings.Trim(c[0], "`")] = c[2]
		return c
	})
	return out
}

// settle compares with the file, or rewrites it.
func (p *page) settle() {
	p.t.Helper()
	want := strings.Join(p.lines, "\n")
	text, err := os.ReadFile(scalePage)
	if err != nil {
		p.t.Fatal(err)
	}
	if string(text) == want {
		return
	}
	if *rewrite {
		if err := os.WriteFile(scalePage, []byte(want), 0o644); err != nil {
			p.t.Fatal(err)
		}
		return
	}
	have := strings.Split(string(text), "\n")
	for i, line := range p.lines {
		if i >= len(have) || have[i] != line {
			p.t.Errorf("%s:%d does not follow from the page's formulas: go test ./system/bench -run Docs -rewrite, and look at the text around it.\nwant %s", scalePage, i+1, line)
		}
	}
}

// TestDocs_scale_begins_with_what_the_report_measured stands before the next one, which goes on with what this one rewrites.
func TestDocs_scale_begins_with_what_the_report_measured(t *testing.T) {
	text, err := os.ReadFile(reportFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not there: make bench-report writes it", reportFile)
	}
	var rep Report
	if err == nil {
		err = json.Unmarshal(text, &rep)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := openPage(t)
	p.table(baseHead, func(c []string) []string {
		have, want := number(t, c[2]), rep.median(c[3], c[4])
		switch off := math.Abs(have-want) / want; {
		case math.IsNaN(want):
			t.Errorf("%s: %s has no row %q with %q", c[0], reportFile, c[3], c[4])
		case *rewrite:
			c[2] = digits(want)
		case off > drift:
			t.Errorf("%s is %s in %s, and %s in the report's row %q: go test ./system/bench -run Docs -rewrite, and look at the text around it",
				c[0], c[2], scalePage, digits(want), c[3])
		}
		return c
	})
	if *rewrite {
		p.settle()
	}
}

// median is the value that stands in a row and a column of the report.
func (r *Report) median(row, column string) float64 {
	if column == "mean stored event" {
		return r.Payload
	}
	for _, m := range measures {
		for _, have := range r.Rows {
			if v, ok := have.Values[m.name]; ok && m.text == column && have.Name == row {
				return v.Median
			}
		}
	}
	return math.NaN()
}

func TestDocs_scale_follows_from_its_formulas(t *testing.T) {
	p := openPage(t)
	known := p.values(baseHead)
	for name, value := range p.values(settingHead) {
		known[name] = value
	}
	type formula struct{ name, what, text string }
	var formulas []formula
	p.table(formulaHead, func(c []string) []string {
		formulas = append(formulas, formula{strings.Trim(c[0], "`"), c[1], strings.Trim(c[2], "`")})
		return c
	})

	var rows [][]string
	p.table(planHead, func(c []string) []string {
		rows = append(rows, c)
		return c
	})
	if len(rows) < inputs {
		t.Fatalf("the plan has %d rows", len(rows))
	}
	rows = rows[:inputs]
	arithmetic := map[string]string{}
	for _, f := range formulas {
		rows = append(rows, []string{"`" + f.name + "`: " + f.what})
	}
	for column := 1; column < len(rows[0]); column++ {
		at := map[string]string{}
		for name, value := range known {
			at[name] = value
		}
		for _, row := range rows[:inputs] {
			at[strings.Split(row[0], "`")[1]] = row[column]
		}
		for i, f := range formulas {
			at[f.name] = digits(compute(t, f.text, at))
			rows[inputs+i] = append(rows[inputs+i], at[f.name])
			if column == worked {
				arithmetic[f.name] = filled(f.text, at) + " = " + at[f.name]
			}
		}
	}

	p.table(formulaHead, func(c []string) []string {
		c[3] = arithmetic[strings.Trim(c[0], "`")]
		return c
	})
	p.replace(planHead, rows)
	p.settle()
}

// replace puts other rows under a table's head.
func (p *page) replace(head string, rows [][]string) {
	for i, line := range p.lines {
		if strings.HasPrefix(line, head) {
			end := i + 2
			for end < len(p.lines) && strings.HasPrefix(p.lines[end], "|") {
				end++
			}
			var list []string
			for _, row := range rows {
				list = append(list, tableRow(row))
			}
			p.lines = append(p.lines[:i+2:i+2], append(list, p.lines[end:]...)...)
			return
		}
	}
}

// names are what formulas name; a name before a parenthesis is a function.
var names = regexp.MustCompile(`[a-z][a-z_0-9]*\(?`)

// filled is a formula with values in the place of names.
func filled(formula string, at map[string]string) string {
	return names.ReplaceAllStringFunc(formula, func(name string) string {
		if value, ok := at[name]; ok {
			return value
		}
		return name
	})
}

var thousands = regexp.MustCompile(`,(\d)`)

// compute works a formula out, with the values as they are shown.
func compute(t testing.TB, formula string, at map[string]string) float64 {
	t.Helper()
	text := strings.NewReplacer("×", "*", "÷", "/", "−", "-").Replace(thousands.ReplaceAllString(formula, "$1"))
	expr, err := parser.ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", formula, err)
	}
	return value(t, expr, at)
}

func value(t testing.TB, expr ast.Expr, at map[string]string) float64 {
	t.Helper()
	switch e := expr.(type) {
	case *ast.ParenExpr:
		return value(t, e.X, at)
	case *ast.BasicLit:
		return number(t, e.Value)
	case *ast.Ident:
		text, ok := at[e.Name]
		if !ok {
			t.Fatalf("a formula names %s, which stands in no table before it", e.Name)
		}
		return number(t, text)
	case *ast.BinaryExpr:
		a, b := value(t, e.X, at), value(t, e.Y, at)
		switch e.Op {
		case operator.ADD:
			return a + b
		case operator.SUB:
			return a - b
		case operator.MUL:
			return a * b
		case operator.QUO:
			return a / b
		case operator.GTR:
			if a > b {
				return 1
			}
			return 0
		}
	case *ast.CallExpr:
		var args []float64
		for _, arg := range e.Args {
			args = append(args, value(t, arg, at))
		}
		switch name := fmt.Sprint(e.Fun); {
		case name == "up" && len(args) == 1:
			return math.Ceil(args[0])
		case name == "larger" && len(args) == 2:
			return max(args[0], args[1])
		case name == "smaller" && len(args) == 2:
			return min(args[0], args[1])
		case name == "choose" && len(args) == 3 && args[0] != 0:
			return args[1]
		case name == "choose" && len(args) == 3:
			return args[2]
		}
	}
	t.Fatalf("what a formula may not hold: %T", expr)
	return 0
}

func number(t testing.TB, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil {
		t.Fatalf("%q is no number", text)
	}
	return v
}

// digits writes three digits, and of large numbers the rest as zeros: people plan with no more.
func digits(v float64) string {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	text := strconv.FormatFloat(v, 'f', -1, 64)
	whole, rest, found := strings.Cut(text, ".")
	if found {
		return grouped(whole) + "." + rest
	}
	return grouped(whole)
}
