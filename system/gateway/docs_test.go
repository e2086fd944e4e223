package gateway

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// closeRow is a line of the table of close codes in docs/gateway.md.
type closeRow struct{ codes, meaning, class string }

// closeTable reads the table. Its lines begin with a code, a list of codes, or "other".
func closeTable(t *testing.T) []closeRow {
	t.Helper()
	text, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| code | meaning | class |")
	if !found {
		t.Fatal("docs/gateway.md has no table of close codes")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var rows []closeRow
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			t.Fatalf("got %d cells, want 4: %s", len(cells)-2, line)
		}
		rows = append(rows, closeRow{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])})
	}
	return rows
}

func TestDocs_classes_of_close_codes_are_the_code_s(t *testing.T) {
	classes, other := map[int]string{}, ""
	for _, row := range closeTable(t) {
		if row.codes == "other" {
			other = row.class
			continue
		}
		for _, word := range strings.Split(row.codes, ", ") {
			code, err := strconv.Atoi(word)
			if word == "none" {
				code, err = 0, nil
			}
			if err != nil {
				t.Fatalf("%q is no close code", word)
			}
			if want := closeName(code); row.meaning != want {
				t.Errorf("%s: got the meaning %q, want %q", word, row.meaning, want)
			}
			classes[code] = row.class
		}
	}
	for code := range 6000 {
		got, named := classes[code]
		if !named {
			got = other
		}
		if want := ClassOf(code); got != want.String() {
			t.Errorf("%d: docs/gateway.md says %q, the code %q", code, got, want)
		}
		if !named && closeName(code) != "unknown code" {
			t.Errorf("%d: %s has no line of its own", code, closeName(code))
		}
	}
}
