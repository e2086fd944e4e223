package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// outcome is what one run of k6 came to. Times are milliseconds.
type outcome struct {
	Way        string  `json:"way"`
	Round      int     `json:"round"`
	LoadBefore float64 `json:"load_before"`
	LoadAfter  float64 `json:"load_after"`

	Transactions trend            `json:"transactions"` // without the first of each user
	Phases       map[string]trend `json:"phases"`
	Kinds        map[string]trend `json:"kinds"`
	Connecting   trend            `json:"connecting"`
	WarmUp       trend            `json:"warm_up"`
	Success      float64          `json:"success"` // 0 to 1, of all transactions and of connects that failed
	WrongRows    float64          `json:"wrong_rows"`
	Errors       float64          `json:"errors"`

	plot string // file
}

// trend is k6's summary of many times.
type trend struct {
	Count float64 `json:"count"`
	Mean  float64 `json:"avg"`
	P50   float64 `json:"med"`
	P90   float64 `json:"p(90)"`
	P99   float64 `json:"p(99)"`
	Max   float64 `json:"max"`
}

// phases and kinds of transactions that the script counts apart.
var (
	phases = []string{"ramp", "steady", "spike", "after", "end"}
	kinds  = []string{"profile", "top", "rules", "rank", "badge"}
)

// readSummary reads what the script's handleSummary wrote.
func readSummary(file string) (outcome, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return outcome{}, fmt.Errorf("k6 left no summary: %w", err)
	}
	var all struct {
		Metrics map[string]struct {
			Values json.RawMessage `json:"values"`
		} `json:"metrics"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return outcome{}, fmt.Errorf("%s: %w", file, err)
	}
	o := outcome{Phases: map[string]trend{}, Kinds: map[string]trend{}}
	// What never happened is not in a summary: zero is right for it.
	values := func(name string, into any) {
		if v := all.Metrics[name].Values; v != nil && err == nil {
			if err = json.Unmarshal(v, into); err != nil {
				err = fmt.Errorf("%s: %s: %w", file, name, err)
			}
		}
	}
	values("transaction", &o.Transactions)
	values("connecting", &o.Connecting)
	values("warm_up", &o.WarmUp)
	for list, names := range map[string][]string{"phase": phases, "kind": kinds} {
		for _, name := range names {
			var t trend
			values("transaction{"+list+":"+name+"}", &t)
			if t.Count == 0 {
				continue
			}
			if list == "phase" {
				o.Phases[name] = t
			} else {
				o.Kinds[name] = t
			}
		}
	}
	var rate, wrong, failed struct{ Rate, Count float64 }
	values("success", &rate)
	values("wrong_rows", &wrong)
	values("errors", &failed)
	o.Success, o.WrongRows, o.Errors = rate.Rate, wrong.Count, failed.Count
	if _, found := all.Metrics["success"]; err == nil && !found {
		err = fmt.Errorf("%s: nothing was tried, or this is no summary of load.js", file)
	}
	return o, err
}

// line is the outcome for somebody who waits for it.
func (o outcome) line() string {
	return fmt.Sprintf("round %d %-10s %7.0f transactions, success %.3f %%, wrong rows %.0f, p50 %.2f ms, p99 %.2f ms, worst %.1f ms; connect p50 %.1f ms, p99 %.1f ms; load %.1f → %.1f",
		o.Round, o.Way, o.Transactions.Count, o.Success*100, o.WrongRows, o.Transactions.P50, o.Transactions.P99, o.Transactions.Max,
		o.Connecting.P50, o.Connecting.P99, o.LoadBefore, o.LoadAfter)
}
