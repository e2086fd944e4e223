package bench

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// runner is a contender that notes when it ran.
type runner struct {
	name  string
	diary *[]string
	fails int // in which lap
	laps  int
}

func (r *runner) lap(context.Context) (values, error) {
	*r.diary = append(*r.diary, r.name)
	if r.laps++; r.laps == r.fails {
		return nil, errors.New("a stone in the shoe")
	}
	return values{"events_per_s": float64(100 * r.laps), "cpu_us": float64(r.laps)}, nil
}

func (r *runner) end() { *r.diary = append(*r.diary, "end "+r.name) }

func TestRace_goes_by_turns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails int // b, in which lap
		opens bool
		diary string
		err   string
	}{
		{"b warms up, and c has one lap", 0, true, "open a,open b,open c,b,c,b,a,a,b,b,a,end a,end b,end c", ""},
		{"b fails in its second lap", 3, true, "open a,open b,open c,b,c,b,a,a,b,end a,end b,end c", "b, lap 2: a stone in the shoe"},
		{"b fails before it", 1, true, "open a,open b,open c,b,end a,end b,end c", "b, lap 0: a stone in the shoe"},
		{"c is not at the start", 0, false, "open a,open b,end a,end b", "c: no shoes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var diary []string
			at := func(name string, laps, fails int) row {
				return row{name: name, laps: laps, warm: name == "b", open: func(context.Context, string) (contender, error) {
					if name == "c" && !tt.opens {
						return nil, errors.New("no shoes")
					}
					diary = append(diary, "open "+name)
					return &runner{name: name, diary: &diary, fails: fails}, nil
				}}
			}
			r := &run{o: Options{Say: func(string) {}}}
			got, err := r.race(t.Context(), []row{at("a", 3, 0), at("b", 3, tt.fails), at("c", 1, 0)}, "", "")
			if s := strings.Join(diary, ","); s != tt.diary {
				t.Errorf("got %s, want %s", s, tt.diary)
			}
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// Of the same number of events each at 100, 200 and 300 a second; b's first lap is not counted.
			for i, want := range []values{
				{"events_per_s": 3 / (1/100. + 1/200. + 1/300.), "cpu_us": 2}, {"events_per_s": 3 / (1/200. + 1/300. + 1/400.), "cpu_us": 3}, {"events_per_s": 100, "cpu_us": 1},
			} {
				for name, v := range want {
					if math.Abs(got[i][name]-v) > 1e-9 {
						t.Errorf("row %d: got %s %v, want %v", i, name, got[i][name], v)
					}
				}
			}
		})
	}
}

func TestBeside_puts_together_calm_neighbours_and_those_who_race(t *testing.T) {
	open := func(context.Context, string) (contender, error) { return nil, nil }
	var got []string
	for _, side := range beside([]row{
		{name: "a", calm: true}, {name: "b", calm: true}, {name: "c"}, {name: "d"}, {name: "e", open: open}, {name: "f", open: open}, {name: "g", calm: true},
	}) {
		names := ""
		for _, w := range side {
			names += w.name
		}
		got = append(got, names)
	}
	if want := []string{"ab", "c", "d", "ef", "g"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
