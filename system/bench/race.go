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
	// lap measures once.
	lap(ctx context.Context) (values, error)
	// end stops the processes.
	end()
}

// race has rows run laps by turns, all of them at the ready from the first lap to the last, and returns what each has in the middle of
// its laps. The speed of a virtual machine changes by half within a minute: whoever is measured from beginning to end before the next
// one starts is compared with another phase of the machine. Every other lap goes through the rows backwards.
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
	for lap := 0; ; lap++ {
		ran := false
		for _, i := range order {
			w := list[i]
			if lap >= max(w.laps, 1) {
				continue
			}
			v, err := field[i].lap(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s, lap %d: %w", w.name, lap+1, err)
			}
			laps[i], ran = append(laps[i], v), true
			r.o.Say(fmt.Sprintf("%s, lap %d: %-24s %s", progress, lap+1, w.name, v))
		}
		if !ran {
			break
		}
		slices.Reverse(order)
	}
	out := make([]values, len(list))
	for i := range laps {
		out[i] = medians(laps[i])
	}
	return out, nil
}

// folder is the name of a row's folder.
func folder(name string) string { return strings.ReplaceAll(name, " ", "-") }
