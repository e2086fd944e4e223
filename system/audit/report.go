package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes the results for people: a line for each plan, and below it why plans failed.
func WriteTable(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	line("plan", "sent", "stored", "lost", "twice", "reordered", "altered", "declared", "gaps", "identifies", "dials/shard", "unacked", "recovery", "verdict")
	for _, r := range results {
		gaps := 0
		for _, n := range r.Gaps {
			gaps += n
		}
		verdict := "pass"
		if !r.Passed {
			verdict = "FAIL"
		}
		line(r.Plan, grouped(int64(r.Sent)), grouped(int64(r.Stored)), grouped(int64(r.Lost)), grouped(int64(r.Twice)), grouped(int64(r.Reordered)),
			grouped(int64(r.Altered+r.Unknown)), grouped(int64(r.Declared)), strconv.Itoa(gaps), strconv.Itoa(r.Identifies), strconv.Itoa(r.Dials),
			grouped(int64(r.Unacked())), fmt.Sprintf("%.1f s", r.Recovery()), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if _, err := io.WriteString(w, r.details()); err != nil {
			return err
		}
	}
	return nil
}

// details are what the table has no room for; empty where it says everything.
func (r Result) details() string {
	var b strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s: %s\n", r.Plan, n)
	}
	if len(r.Gaps) > 0 {
		var parts []string
		for _, reason := range slices.Sorted(maps.Keys(r.Gaps)) {
			parts = append(parts, fmt.Sprintf("%d %s", r.Gaps[reason], reason))
		}
		fmt.Fprintf(&b, "\n%s: gaps declared: %s\n", r.Plan, strings.Join(parts, ", "))
	}
	if r.Repeated > 0 {
		fmt.Fprintf(&b, "\n%s: %s repeated: events that a dead memory stream had stored, and drover could not know of\n", r.Plan, grouped(int64(r.Repeated)))
	}
	if n := r.Nodes; n != nil {
		fmt.Fprintf(&b, "\n%s: %s\n", r.Plan, n)
	}
	if r.Passed {
		return b.String()
	}
	fmt.Fprintf(&b, "\n%s FAILED\n", r.Plan)
	for _, c := range r.Complaints {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	for _, f := range r.Examples {
		fmt.Fprintf(&b, "    %s\n", f)
	}
	fmt.Fprintf(&b, "  again: drover audit --plan %s --seed %d\n  logs: %s\n", r.Plan, r.Seed, r.Logs)
	return b.String()
}

// WriteJSON writes one document with all results.
func WriteJSON(w io.Writer, results []Result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Passed bool     `json:"passed"`
		Plans  []Result `json:"plans"`
	}{Passed(results), results})
}

// Passed reports whether all plans passed.
func Passed(results []Result) bool {
	return !slices.ContainsFunc(results, func(r Result) bool { return !r.Passed })
}

// grouped writes 12,345.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func since(t time.Time) float64 { return time.Since(t).Seconds() }
