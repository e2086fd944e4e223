package telemetry

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"drover/messages"
)

// row is an instrument's line in docs/metrics.md.
func row(i Instrument) string {
	labels := "–"
	if len(i.Labels) > 0 {
		names := make([]string, len(i.Labels))
		for n, l := range i.Labels {
			names[n] = "`" + l + "`"
			if l == ShardLabel {
				names[n] = "shard"
			}
		}
		labels = strings.Join(names, ", ")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", i.Name, i.Kind, strings.Trim(i.Unit, "{}"), labels, i.Meaning)
}

func TestDocs_list_every_instrument(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows, want []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `gateway_") || strings.HasPrefix(line, "| `worker_") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	for _, i := range append(slices.Clone(Instruments), WorkerInstruments...) {
		want = append(want, row(i))
	}
	if got, want := strings.Join(rows, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("docs/metrics.md has\n%s\nwant\n%s", got, want)
	}
	t.Run("and_every_value_of_a_label", func(t *testing.T) {
		for _, value := range append(append(errorTypes, Resumed, Invalid, Failed, Saved, "close_other"), messages.GapReasons...) {
			if !strings.Contains(string(text), "`"+value+"`") {
				t.Errorf("%s is missing", value)
			}
		}
		for _, state := range messages.AllStates {
			if !strings.Contains(string(text), "`"+string(state)+"`") {
				t.Errorf("%s is missing", state)
			}
		}
	})
	t.Run("and_the_buckets", func(t *testing.T) {
		for _, buckets := range [][]float64{routeBuckets[:], workerBuckets} {
			list := make([]string, len(buckets))
			for i, b := range buckets {
				list[i] = strconv.FormatFloat(b, 'f', -1, 64)
			}
			if want := ": " + strings.Join(list, ", ") + "."; !strings.Contains(string(text), want) {
				t.Errorf("the buckets are not %s", want)
			}
		}
	})
	t.Run("and_no_name_that_does_not_exist", func(t *testing.T) {
		known := map[string]bool{}
		for _, i := range append(slices.Clone(Instruments), WorkerInstruments...) {
			known[i.Name] = true
			if i.Kind == Histogram {
				known[i.Name+"_bucket"], known[i.Name+"_count"], known[i.Name+"_sum"] = true, true, true
			}
		}
		for _, name := range regexp.MustCompile(`\b(?:gateway|worker)_[a-z_]+`).FindAllString(string(text), -1) {
			if !known[name] {
				t.Errorf("%s is no metric", name)
			}
		}
	})
}
