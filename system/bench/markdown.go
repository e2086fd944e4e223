package bench

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
)

// WriteMarkdown writes the report as Markdown. plots is the folder of its plots, as a link from where the page will stand;
// empty: it has none.
func (r *Report) WriteMarkdown(w io.Writer, plots string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# drover bench, %s\n\n```\n%s\n```\n\n", r.Date.Format("2006-01-02"), r.Command)
	for line := range strings.Lines(r.conditions()) {
		fmt.Fprintf(&b, "- %s\n", strings.TrimSpace(line))
	}
	b.WriteString("\n## Figures\n\n| figure | must hold | goal | measured | verdict |\n|---|---|---|---|---|\n")
	for _, m := range r.Figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", m.Text, m.Must, m.Goal, m.number(), m.Verdict)
	}
	for _, group := range Groups() {
		r.writeRows(&b, group)
		if p, ok := plotOf[group]; ok && plots != "" && r.has(group) {
			fmt.Fprintf(&b, "\n![%s](%s)\n", p.text, path.Join(filepath.ToSlash(plots), p.file))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// has reports whether a group was measured.
func (r *Report) has(group string) bool {
	for _, row := range r.Rows {
		if row.Group == group {
			return true
		}
	}
	return false
}

// writeRows writes the rows of a group with a column for each value that any of them has.
func (r *Report) writeRows(b *strings.Builder, group string) {
	var rows []Row
	has := map[string]bool{}
	for _, row := range r.Rows {
		if row.Group != group {
			continue
		}
		rows = append(rows, row)
		for name := range row.Values {
			has[name] = true
		}
	}
	if len(rows) == 0 {
		return
	}
	head, line := "| row |", "|---|"
	for _, m := range measures {
		if has[m.name] {
			head, line = head+" "+m.text+" |", line+"---:|"
		}
	}
	fmt.Fprintf(b, "\n## %s%s\n\n%s\n%s\n", strings.ToUpper(group[:1]), group[1:], head, line)
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |", row.Name)
		for _, m := range measures {
			if s, ok := row.Values[m.name]; ok {
				fmt.Fprintf(b, " %s |", m.spread(s))
			} else if has[m.name] {
				b.WriteString(" – |")
			}
		}
		b.WriteString("\n")
	}
}
