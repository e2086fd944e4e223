package main

// dashboard is one page of panels.
type dashboard struct {
	name        string // of its file, and in its uid, by which links and a second import find it
	title       string
	description string // the question that it answers
	rows        []row
}

// row is a heading with panels below it, which flow from left to right.
type row struct {
	title  string
	panels []panel
}

// panel shows one thing. Every field but thresholds is required, which a test holds.
type panel struct {
	title       string
	description string // what it shows, and what to make of it; for people who did not write it
	kind        kind
	unit        string // Grafana's name of it
	width       int    // of 24
	queries     []query
	thresholds  []threshold // colours of a stat; ascending, the first one begins at 0
}

// query is one PromQL expression and how its series are called.
type query struct {
	expr   string
	legend string // may name labels: {{instance}}
}

// threshold is a colour from a value on.
type threshold struct {
	from  float64
	color string
}

// kind is Grafana's type of a panel, with what we always set along with it.
type kind string

const (
	lines   kind = "timeseries"
	stacked kind = "timeseries, stacked"
	number  kind = "stat"
	heat    kind = "heatmap"
)

// height of a panel in Grafana's grid.
func (k kind) height() int {
	if k == number {
		return 4
	}
	return 8
}

// file is the name of the dashboard's file.
func (d dashboard) file() string { return d.name + ".json" }

// The selector of every metric: one bot, and of its nodes those that were chosen. A bot's nodes are one scrape job.
const (
	bot   = `job="$job"`
	nodes = `job="$job", instance=~"$node"`
)

// The colours of thresholds.
const (
	good = "green"
	poor = "orange"
	bad  = "red"
)

// none is for numbers that are 0 while all is well.
var none = []threshold{{0, good}, {1, bad}}
