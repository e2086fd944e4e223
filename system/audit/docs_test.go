package audit

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented returns the cells of the table under a heading of docs/audit.md: of the rows that begin with code.
func documented(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/audit.md has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		var row []string
		for _, cell := range strings.Split(strings.Trim(line, "|\n"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	return rows
}

func TestDocs_list_every_plan_with_its_sentence_and_what_it_may_cost(t *testing.T) {
	var want [][]string
	for _, p := range Plans() {
		want = append(want, []string{"`" + p.Name + "`", p.Sentence, mayCost(p.Expect)})
	}
	if diff := cmp.Diff(want, documented(t, "Plans")); diff != "" {
		t.Errorf("docs/audit.md, Plans (-code +page):\n%s", diff)
	}
}

// mayCost says in words what each shard may cost.
func mayCost(e Expect) string {
	var parts []string
	switch {
	case e.Identifies == anything:
		parts = append(parts, "an IDENTIFY for each session that Discord ended")
	case e.Identifies > 0:
		parts = append(parts, fmt.Sprintf("%d IDENTIFY", e.Identifies))
	}
	for _, reason := range slices.Sorted(maps.Keys(e.Gaps)) {
		switch least, most := e.Gaps[reason][0], e.Gaps[reason][1]; {
		case least == 1 && most == 1:
			parts = append(parts, fmt.Sprintf("1 gap `%s`", reason))
		case least == most:
			parts = append(parts, fmt.Sprintf("%d gaps `%s`", least, reason))
		case most >= 1000:
			parts = append(parts, fmt.Sprintf("gaps `%s`", reason))
		default:
			parts = append(parts, fmt.Sprintf("%d to %d gaps `%s`", least, most, reason))
		}
	}
	if e.Dials > 0 {
		parts = append(parts, fmt.Sprintf("at most %d dials", e.Dials))
	}
	if e.Recovery > 0 {
		parts = append(parts, fmt.Sprintf("at most %v to recover", e.Recovery))
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

func TestDocs_list_every_field_of_the_JSON(t *testing.T) {
	var want, got []string
	for _, part := range []struct {
		of     any
		prefix string
	}{{Result{}, ""}, {Nodes{}, "nodes."}, {Strike{}, "faults[]."}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(part.of)) {
			want = append(want, "`"+part.prefix+f.Tag.Get("json")+"`")
		}
	}
	for _, row := range documented(t, "JSON") {
		got = append(got, row[0])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/audit.md, JSON (-code +page):\n%s", diff)
	}
}

func TestDocs_list_every_sabotage_with_what_catches_it(t *testing.T) {
	var want, got [][]string
	for _, trial := range trials {
		want = append(want, []string{"`" + string(trial.sabotage) + "`", "`" + trial.plan + "`", string(trial.want)})
	}
	for _, row := range documented(t, "Self-test") {
		if len(row) != 4 {
			t.Fatalf("got the row %q, want four cells", row)
		}
		got = append(got, []string{row[0], row[2], row[3]})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/audit.md, Self-test (-code +page):\n%s", diff)
	}
}
