package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// contender is one of those that a race compares, with all its processes. One goroutine uses it.
type contender interface {
	// lap warms up, measures once, and leaves no events behind: whoever waits shall not need memory.
	lap(ctx context.Context) (values, error)
	// end stops the processes.
	end()
}

// race has rows run laps by turns, all of them at the ready from the first lap to the last, and returns what the laps of each took
// together. The speed of a virtual machine changes by half within a minute: whoever is measured from beginning to end before the next
// one starts is compared with another phase of the machine. Every other lap goes through the rows backwards. With warm, a first lap is
// run and not counted: a process pays more for memory that it never had.
func (r *run) race(ctx context.Context, list []row, dir, progress string) ([]values, error) {
	field := make([]contender, len(list))
	defer func() {
		for _, c := range field {
			if c != nil {
				c.end()
			}
		}
	}()
	order := make([]int, len(list))
	for i, w := range list {
		order[i] = i
		c, err := w.open(ctx, filepath.Join(dir, folder(w.name)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		field[i] = c
	}
	laps := make([][]values, len(list))
	for lap, ran := 0, true; ran; lap++ {
		ran = false
		for _, i := range order {
			w := list[i]
			if lap > w.laps || lap == 0 && !w.warm {
				continue
			}
			v, err := field[i].lap(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s, lap %d: %w", w.name, lap, err)
			}
			ran = true
			if lap == 0 {
				r.o.Say(fmt.Sprintf("%s, warm-up: %s", progress, w.name))
				continue
			}
			laps[i] = append(laps[i], v)
			r.o.Say(fmt.Sprintf("%s, lap %d: %-24s %s", progress, lap, w.name, v))
		}
		slices.Reverse(order)
		ran = ran || lap == 0
	}
	out := make([]values, len(list))
	for i := range laps {
		out[i] = together(laps[i])
	}
	return out, nil
}

// together is what several laps of equally many events are as one: rates are those of all events in all the time, the rest are means.
func together(laps []values) values {
	out := values{}
	n := float64(len(laps))
	for name := range laps[0] {
		sum, inverse := 0.0, 0.0
		for _, v := range laps {
			sum, inverse = sum+v[name], inverse+1/v[name]
		}
		if out[name] = sum / n; name == "events_per_s" {
			out[name] = n / inverse
		}
	}
	return out
}

// folder is the name of a row's folder.
func folder(name string) string { return strings.ReplaceAll(name, " ", "-") }
