package bench

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// example is a report of two made-up rounds in which every row is measured.
func example(t *testing.T, change func(*Options)) *Report {
	t.Helper()
	o := Options{Program: "drover", Dir: t.TempDir(), Version: "v1 <x>", Command: "drover bench", Rounds: 2}
	if change != nil {
		change(&o)
	}
	if err := o.Check(); err != nil {
		t.Skip(err) // no Linux
	}
	r := &run{o: o, payload: 1704}
	var rounds []round
	for i := range o.Rounds {
		one := round{}
		for _, group := range o.Only {
			for n, w := range r.rows(group) {
				one[w.name] = values{}
				for _, m := range measures {
					one[w.name][m.name] = float64(1000*(n+1) + i)
				}
			}
		}
		rounds = append(rounds, one)
	}
	return r.report(rounds, time.Now())
}

func TestReport_shows_every_figure_and_row(t *testing.T) {
	r := example(t, nil)
	var table, page, doc strings.Builder
	for _, err := range []error{r.WriteTable(&table), r.WriteMarkdown(&page, "plots"), r.WriteJSON(&doc)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range Figures() {
		if !strings.Contains(table.String(), f.Text) || !strings.Contains(page.String(), "| "+f.Text+" | "+f.Limit(f.Must)+" |") {
			t.Errorf("%s is not in the table or not in the page", f.ID)
		}
	}
	for _, row := range r.Rows {
		if !strings.Contains(table.String(), row.Name) || !strings.Contains(page.String(), "\n| "+row.Name+" |") {
			t.Errorf("%s is not in the table or not in the page", row.Name)
		}
	}
	if !strings.Contains(page.String(), "](plots/sessions.svg)") || !strings.Contains(page.String(), "2,000 [2,000–2,001]") {
		t.Errorf("no plot or no spread in\n%s", page.String())
	}
	var back Report
	if err := json.Unmarshal([]byte(doc.String()), &back); err != nil || len(back.Figures) != len(Figures()) || len(back.PerRow) != 2*len(back.Rows) {
		t.Errorf("got %d figures, %d measurements of %d rows (%v)", len(back.Figures), len(back.PerRow), len(back.Rows), err)
	}
	if len(r.Missed()) == 0 {
		t.Error("made-up numbers hold everything that they must")
	}
}

func TestReport_of_a_quick_run_has_no_verdicts(t *testing.T) {
	r := example(t, func(o *Options) { o.Quick, o.Only = true, []string{"latency"} })
	if missed := r.Missed(); len(missed) > 0 || len(r.Figures) != 1 || len(r.Rows) != 2 {
		t.Errorf("got %v missed, %d figures, %d rows, want none, 1 and 2", missed, len(r.Figures), len(r.Rows))
	}
	if err := r.WritePlots(t.TempDir()); err == nil {
		t.Error("got no plots and no error")
	}
}

func TestReport_plots_are_pictures(t *testing.T) {
	r := example(t, nil)
	dir := filepath.Join(t.TempDir(), "new")
	if err := r.WritePlots(dir); err != nil {
		t.Fatal(err)
	}
	for _, p := range plotOf {
		text, err := os.ReadFile(filepath.Join(dir, p.file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "prefers-color-scheme: dark") || !strings.Contains(string(text), "v1 &lt;x&gt;") {
			t.Errorf("%s: no colours for the dark, or text that is not escaped", p.file)
		}
		for dec := xml.NewDecoder(strings.NewReader(string(text))); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", p.file, err)
			}
		}
		if strings.Contains(string(text), "NaN") || strings.Contains(string(text), "Inf") {
			t.Errorf("%s has places that are no numbers", p.file)
		}
	}
}

func TestOptions_check_names_the_flag(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"group", func(o *Options) { o.Only = []string{"sheep"} }, "--only sheep"},
		{"rounds", func(o *Options) { o.Rounds = -1 }, "--rounds is -1"},
		{"events", func(o *Options) { o.Events = 10 }, "--events is 10"},
		{"sessions", func(o *Options) { o.Sessions = 1001 }, "--sessions is 1001"},
		{"rows", func(o *Options) { o.Rows = "(" }, "--rows is no regular expression"},
		{"server", func(o *Options) { o.NATS = "no-such-server" }, "--nats-server"},
		{"storage", func(o *Options) { o.Storage = "tape" }, `--storage is "tape"`},
	}
	for _, tt := range tests {
		o := Options{Program: "drover", Dir: "."}
		tt.change(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
