package system

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestVerdict_says_what_became_of_events_that_nobody_acknowledged(t *testing.T) {
	for _, c := range []struct {
		left, gone   int
		spill, drain error
		want         string
	}{
		{0, 0, nil, nil, ""},
		{7, 3, nil, nil, "stopped with 7 events unacknowledged after 20s (kept in the spool"},
		{7, 0, errors.New("full"), nil, "(not kept: of these Discord replays what it still has)"},
		{0, 3, nil, nil, "stopped with 3 events unacknowledged, given up with their pools: Discord replays its own to the next node"},
		{0, 0, nil, errors.New("late"), "late"},
	} {
		err := verdict(c.left, c.gone, 20*time.Second, c.spill, c.drain)
		var coded *Error
		switch {
		case c.want == "" && err == nil:
		case !errors.As(err, &coded) || coded.ExitCode() != exitFailure || !strings.Contains(err.Error(), c.want):
			t.Errorf("%+v: got %v, want exit code 1 and %q", c, err, c.want)
		}
	}
}

func TestPlacement_counts_for_its_end_only_what_was_given_up_during_it(t *testing.T) {
	p := &placement{s: &System{log: slog.New(slog.DiscardHandler)}}
	p.gaveUp(1, 5) // somebody moved a pool
	if got := p.givenUp(); got != 0 {
		t.Errorf("got %d before the end, want 0", got)
	}
	p.end()
	p.gaveUp(2, 3)
	p.gaveUp(3, 1)
	if got := p.givenUp(); got != 4 {
		t.Errorf("got %d, want 4", got)
	}
}
