package bench

import (
	"maps"
	"math"
	"slices"
)

// Spread is a number measured several times.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spread sums up a list, which it sorts; an empty one is three times NaN.
func spread(list []float64) Spread {
	if len(list) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(list)
	n := len(list)
	return Spread{(list[(n-1)/2] + list[n/2]) / 2, list[0], list[n-1]}
}

// percentile is the smallest value that p percent of a sorted list do not exceed.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// round is what was measured in one round: values by row.
type round map[string]values

// of is one value; NaN where the round does not have it.
func (r round) of(row, name string) float64 {
	if v, ok := r[row][name]; ok {
		return v
	}
	return math.NaN()
}

// best is the row in which a value is largest; empty where none has it.
func (r round) best(name string, rows ...string) string {
	best, most := "", math.Inf(-1)
	for _, row := range rows {
		if v := r.of(row, name); v > most {
			best, most = row, v
		}
	}
	return best
}

// unevenness is how much more the dearest of the rows takes than the cheapest: 0.1 is a tenth more.
func (r round) unevenness(name string, rows ...string) float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range rows {
		v := r.of(row, name)
		if math.IsNaN(v) {
			return v
		}
		low, high = min(low, v), max(high, v)
	}
	return high/low - 1
}

// summary has every value of every row over the rounds.
func summary(rounds []round) map[string]map[string]Spread {
	lists := map[string]map[string][]float64{}
	for _, r := range rounds {
		for row, vs := range r {
			if lists[row] == nil {
				lists[row] = map[string][]float64{}
			}
			for name, v := range vs {
				lists[row][name] = append(lists[row][name], v)
			}
		}
	}
	out := map[string]map[string]Spread{}
	for row, vs := range lists {
		out[row] = map[string]Spread{}
		for name, list := range vs {
			out[row][name] = spread(list)
		}
	}
	return out
}

// typical is a round made of medians.
func typical(sum map[string]map[string]Spread) round {
	out := round{}
	for row, vs := range sum {
		out[row] = values{}
		for _, name := range slices.Collect(maps.Keys(vs)) {
			out[row][name] = vs[name].Median
		}
	}
	return out
}
