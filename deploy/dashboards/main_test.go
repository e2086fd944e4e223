package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imported is a dashboard as Grafana reads it, as far as we rely on it.
type imported struct {
	UID, Title, Description string
	SchemaVersion           int
	Tags                    []string
	Templating              struct {
		List []struct {
			Name, Type string
			Datasource struct{ UID string }
		}
	}
	Panels []importedPanel
}

type importedPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ UID string }
	}
}

func TestFiles_are_what_is_described_here(t *testing.T) {
	var want []string
	for _, d := range all {
		want = append(want, d.file())
		text, err := os.ReadFile(d.file())
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(text, d.render()) {
			t.Errorf("%s is another: run `make dashboards`, and do not edit it by hand", d.file())
		}
	}
	slices.Sort(want)
	if got, err := filepath.Glob("*.json"); err != nil || !slices.Equal(got, want) {
		t.Errorf("got the files %v, %v, want %v", got, err, want)
	}
}

func TestFiles_can_be_imported(t *testing.T) {
	uids := map[string]bool{}
	for _, d := range all {
		t.Run(d.name, func(t *testing.T) {
			var got imported
			if err := json.Unmarshal(d.render(), &got); err != nil {
				t.Fatal(err)
			}
			if uids[got.UID] || got.UID != "drover-"+d.name || got.Title == "" || got.Description == "" || got.SchemaVersion != schema || !slices.Contains(got.Tags, "drover") {
				t.Errorf("got uid %q (twice: %t), title %q, description %q, schema %d, tags %v",
					got.UID, uids[got.UID], got.Title, got.Description, got.SchemaVersion, got.Tags)
			}
			uids[got.UID] = true
			var names []string
			for _, v := range got.Templating.List {
				names = append(names, v.Name+" "+v.Type)
				if v.Type == "query" && v.Datasource.UID != "${datasource}" {
					t.Errorf("the variable %s asks %q, want the data source that was chosen", v.Name, v.Datasource.UID)
				}
			}
			if want := []string{"datasource datasource", "job query", "node query"}; !slices.Equal(names, want) {
				t.Errorf("got the variables %v, want %v", names, want)
			}
			for _, complaint := range complaints(got.Panels) {
				t.Error(complaint)
			}
		})
	}
}

// complaints says what is wrong with panels.
func complaints(panels []importedPanel) (out []string) {
	complain := func(p importedPanel, format string, args ...any) {
		out = append(out, fmt.Sprintf("panel %d (%s): %s", p.ID, p.Title, fmt.Sprintf(format, args...)))
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels {
		if p.ID == 0 || ids[p.ID] {
			complain(p, "its id is not its own")
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			complain(p, "it stands at %+v, and there are 24 columns", g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" && other != p.Title {
					complain(p, "it lies over %q at %d, %d", other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Title == "" {
			complain(p, "it has no title")
		}
		if p.Type == "row" {
			continue
		}
		if !strings.HasSuffix(p.Description, ".") {
			complain(p, "its description is no sentence: %q", p.Description)
		}
		if p.FieldConfig.Defaults.Unit == "" {
			complain(p, "it has no unit")
		}
		if p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" {
			complain(p, "its data source is %+v, want the variable", p.Datasource)
		}
		if len(p.Targets) == 0 {
			complain(p, "it asks nothing")
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if q.RefID == "" || refs[q.RefID] || q.LegendFormat == "" || q.Datasource.UID != "${datasource}" || !strings.Contains(q.Expr, `job="$job"`) {
				complain(p, "query %+v: want a refId of its own, a legend, the data source's variable, and only one bot", q)
			}
			refs[q.RefID] = true
		}
	}
	return out
}

// A check that can never fail is no check.
func TestComplaints_have_teeth(t *testing.T) {
	var sound imported
	if err := json.Unmarshal(fleet.render(), &sound); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spoil func(first, second *importedPanel)
		want  string
	}{
		{func(a, b *importedPanel) { b.ID = a.ID }, "id"},
		{func(a, b *importedPanel) { b.GridPos = a.GridPos }, "lies over"},
		{func(a, _ *importedPanel) { a.GridPos.X = 23 }, "24 columns"},
		{func(a, _ *importedPanel) { a.Title = "" }, "title"},
		{func(a, _ *importedPanel) { a.Description = "" }, "description"},
		{func(a, _ *importedPanel) { a.FieldConfig.Defaults.Unit = "" }, "unit"},
		{func(a, _ *importedPanel) { a.Datasource.UID = "PBFA97CFB590B2093" }, "data source"},
		{func(a, _ *importedPanel) { a.Targets = nil }, "asks nothing"},
		{func(a, _ *importedPanel) { a.Targets = slices.Clone(a.Targets); a.Targets[0].Expr = "up" }, "only one bot"},
	} {
		panels := slices.Clone(sound.Panels)
		c.spoil(&panels[1], &panels[2])
		got := complaints(panels)
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, c.want) }) {
			t.Errorf("got %q, want a complaint about %q", got, c.want)
		}
	}
}
