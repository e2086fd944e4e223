package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what came of a benchmark, as --json prints it.
type Report struct {
	Command  string    `json:"command"`
	Date     time.Time `json:"date"`
	Took     float64   `json:"seconds"`
	Quick    bool      `json:"quick"` // small and short: the numbers are worth nothing
	Rounds   int       `json:"rounds"`
	Events   int       `json:"events"`   // of a throughput measurement
	Sessions int       `json:"sessions"` // of the throughput rows
	Storage  string    `json:"storage"`  // of the streams
	Payload  float64   `json:"payload"`  // mean bytes of a stored event; 0 where no throughput was measured
	Machine  Machine   `json:"machine"`
	Versions []Version `json:"versions"`

	Figures []Measured    `json:"figures"`
	Rows    []Row         `json:"rows"`
	PerRow  []NamedValues `json:"measurements"` // every row of every round
}

// Measured is a figure with what was measured.
type Measured struct {
	ID      string  `json:"id"`
	Text    string  `json:"text"`
	Unit    string  `json:"unit"`
	Must    string  `json:"must_hold"`
	Goal    string  `json:"goal"`
	Spread  *Spread `json:"measured"` // null: not measured
	Verdict Verdict `json:"verdict"`
	figure  Figure
}

// Row is what was measured of one row over all rounds.
type Row struct {
	Group  string            `json:"group"`
	Name   string            `json:"name"`
	Values map[string]Spread `json:"values"`
}

// NamedValues are those of one row in one round.
type NamedValues struct {
	Round  int                `json:"round"`
	Row    string             `json:"row"`
	Values map[string]float64 `json:"values"`
}

// report makes figures of rows.
func (r *run) report(rounds []round, began time.Time) *Report {
	o := &r.o
	rep := &Report{
		Command: o.Command, Date: began.UTC().Truncate(time.Second), Took: math.Round(time.Since(began).Seconds()), Quick: o.Quick,
		Rounds: o.Rounds, Events: o.Events, Sessions: o.Sessions, Storage: o.Storage, Payload: math.Round(r.payload),
		Machine: thisMachine(), Versions: o.versions(),
	}
	sum := summary(rounds)
	for _, f := range Figures() {
		if slices.Contains(o.Only, f.Group) {
			rep.Figures = append(rep.Figures, f.measure(rounds, typical(sum), o.Quick))
			if last := &rep.Figures[len(rep.Figures)-1]; last.Spread == nil && o.Rows != "" {
				last.Verdict = None
			}
		}
	}
	for _, group := range Groups() {
		for _, w := range r.rows(group) {
			if vs, ok := sum[w.name]; ok {
				rep.Rows = append(rep.Rows, Row{group, w.name, vs})
				for i, one := range rounds {
					rep.PerRow = append(rep.PerRow, NamedValues{i + 1, w.name, one[w.name]})
				}
			}
		}
	}
	return rep
}

// measure computes the figure of all rounds.
func (f Figure) measure(rounds []round, medians round, quick bool) Measured {
	m := Measured{ID: f.ID, Text: f.Text, Unit: f.Unit, Must: f.Limit(f.Must), Goal: f.Limit(f.Goal), figure: f}
	var list []float64
	for _, r := range rounds {
		if v := f.of(r, medians); !math.IsNaN(v) && !math.IsInf(v, 0) {
			list = append(list, v)
		}
	}
	if len(list) == len(rounds) && len(list) > 0 {
		s := spread(list)
		if f.whole {
			s.Median = f.of(medians, medians)
		}
		m.Spread = &s
	}
	switch {
	case quick:
	case m.Spread == nil:
		m.Verdict = f.judge(math.NaN())
	default:
		m.Verdict = f.judge(m.Spread.Median)
	}
	return m
}

// Missed are the figures that do not hold what they must.
func (r *Report) Missed() []string {
	var out []string
	for _, m := range r.Figures {
		if m.Verdict == Missed {
			out = append(out, m.Text)
		}
	}
	return out
}

// number writes what was measured: "0.91 [0.88–0.93]".
func (m Measured) number() string {
	if m.Spread == nil {
		return "not measured"
	}
	text := m.figure.Number(m.Spread.Median)
	if m.Spread.Min != m.Spread.Max {
		text += " [" + m.figure.bare(m.Spread.Min) + "–" + m.figure.bare(m.Spread.Max) + "]"
	}
	return text
}

// bare is a number without its unit.
func (f *Figure) bare(v float64) string {
	g := *f
	if g.Unit == "%" {
		v *= 100
	}
	g.Unit = ""
	return g.Number(v)
}

// spread writes median and spread without the unit.
func (m measure) spread(s Spread) string {
	text := m.number(s.Median)
	if s.Min == s.Max {
		return text
	}
	return text + " [" + m.number(s.Min) + "–" + m.number(s.Max) + "]"
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n", r.conditions())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tmust hold\tgoal\tmeasured\tverdict")
	for _, m := range r.Figures {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Text, m.Must, m.Goal, m.number(), m.Verdict)
	}
	fmt.Fprintln(t)
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\n", row.Name, strings.Join(row.numbers(), ", "))
	}
	return t.Flush()
}

// numbers are the values of a row in their order.
func (r Row) numbers() []string {
	var out []string
	for _, m := range measures {
		if s, ok := r.Values[m.name]; ok {
			out = append(out, m.spread(s)+" "+m.text)
		}
	}
	return out
}

// conditions say under which the numbers hold.
func (r *Report) conditions() string {
	var versions []string
	for _, v := range r.Versions {
		versions = append(versions, v.Name+" "+v.Version)
	}
	m := r.Machine
	text := fmt.Sprintf("%s, %d cores, %s of memory, %s, kernel %s\n%s\n%s; medians of %d rounds [lowest–highest], took %.0f s; streams in %s; throughput over %d events, gateway sessions: %d",
		m.CPU, m.Cores, m.Memory, m.OS, m.Kernel, strings.Join(versions, ", "), r.Date.Format(time.RFC3339), r.Rounds, r.Took, r.Storage, r.Events, r.Sessions)
	if r.Payload > 0 {
		text += fmt.Sprintf(", mean stored event %.0f bytes", r.Payload)
	}
	if busy := r.others(); busy > tolerable {
		text += fmt.Sprintf("\nother programs, or other guests of its host, took up to %.0f %% of the machine (median over a row): the numbers are worth little", busy)
	}
	if r.Quick {
		text += "\n--quick: this shows that everything runs; the numbers are worth nothing"
	}
	return text
}

// tolerable is how many percent of the machine others may use before the report warns.
const tolerable = 5

// others is the largest share of the machine, in percent, that others used while a row was measured.
func (r *Report) others() float64 {
	most := 0.0
	for _, row := range r.Rows {
		if s, ok := row.Values["others_percent"]; ok {
			most = max(most, s.Median)
		}
	}
	return most
}

// WriteJSON writes the report as one document.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
