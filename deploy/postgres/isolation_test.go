package postgres_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
)

func TestAttacks_none_succeeds(t *testing.T) {
	if len(attacks) < 40 {
		t.Fatalf("got %d attacks, want at least 40", len(attacks))
	}
	a := newArena(t, database(t, peopled))
	for _, broken := range a.broken(t) {
		t.Error(broken)
	}
	var kinds []string
	cases, blocked := map[string]int{}, map[string]int{}
	for _, k := range attacks {
		if cases[k.kind] == 0 {
			kinds = append(kinds, k.kind)
		}
		cases[k.kind]++
		if won := a.run(t, k); won != "" {
			t.Errorf("%s: %s: %s", k.kind, k.name, won)
			continue
		}
		blocked[k.kind]++
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "attack\tcases\tblocked\t")
	all := 0
	for _, kind := range kinds {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t\n", kind, cases[kind], blocked[kind])
		all += blocked[kind]
	}
	_, _ = fmt.Fprintf(w, "all\t%d\t%d\t\n", len(attacks), all)
	_ = w.Flush()
	t.Log("\n" + b.String())
}

func TestDocs_tell_how_many_attacks_there_are(t *testing.T) {
	text, err := os.ReadFile("../../docs/database.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{fmt.Sprintf("%d attacks", len(attacks)), fmt.Sprintf("%d schemas with one weakness", len(weaknesses))} {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/database.md does not say %q", want)
		}
	}
}
