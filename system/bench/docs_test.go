package bench

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// documented is what follows the head of a table in docs/benchmarks.md.
func documented(t *testing.T, head string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("docs/benchmarks.md has no table %q", head)
	}
	return table
}

func TestDocs_list_every_value(t *testing.T) {
	var want strings.Builder
	for _, m := range measures {
		want.WriteString("| `" + m.name + "` | " + m.text + " |\n")
	}
	if !strings.HasPrefix(documented(t, "| value | is |\n|---|---|\n"), want.String()+"\n") {
		t.Errorf("docs/benchmarks.md does not have exactly\n%s", want.String())
	}
}

func TestDocs_list_every_field_of_the_document(t *testing.T) {
	table, _, _ := strings.Cut(documented(t, "| field | means |\n|---|---|\n"), "\n\n")
	rows := strings.Split(table, "\n")
	of := reflect.TypeFor[Report]()
	if len(rows) != of.NumField() {
		t.Fatalf("got %d rows, want %d", len(rows), of.NumField())
	}
	for i := range of.NumField() {
		f := of.Field(i)
		if !strings.HasPrefix(rows[i], "| `"+f.Tag.Get("json")+"` |") {
			t.Errorf("got %s, want %s", rows[i], f.Tag.Get("json"))
		}
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() != reflect.Struct || inner == reflect.TypeFor[time.Time]() {
			continue
		}
		for j := range inner.NumField() {
			if name := inner.Field(j).Tag.Get("json"); name != "" && !strings.Contains(rows[i], "`"+name+"`") {
				t.Errorf("%s does not name %s", rows[i], name)
			}
		}
	}
}

func TestDocs_list_every_figure_with_its_limits(t *testing.T) {
	table := documented(t, "| figure | must hold | goal |\n|---|---|---|\n")
	var want strings.Builder
	for _, f := range Figures() {
		want.WriteString("| " + f.Text + " | " + f.Limit(f.Must) + " | " + f.Limit(f.Goal) + " |\n")
	}
	if !strings.HasPrefix(table, want.String()+"\n") {
		t.Errorf("docs/benchmarks.md does not have exactly\n%s", want.String())
	}
}
