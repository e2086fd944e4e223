package actors

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"drover/messages"
)

// ledger says by the definition, without the data structure, where the marks of a session must stand.
type ledger struct {
	floor [messages.Streams]int64          // done in an earlier process
	seq   int64                            // newest seen
	open  [messages.Streams]map[int64]bool // sent and not acknowledged
}

func newLedger(floor int64) *ledger {
	l := &ledger{seq: floor}
	for s := range l.open {
		l.floor[s], l.open[s] = floor, map[int64]bool{}
	}
	return l
}

func (l *ledger) mark(s messages.Stream) int64 {
	lowest := max(l.floor[s], l.seq) + 1
	for seq := range l.open[s] {
		lowest = min(lowest, seq)
	}
	return lowest - 1
}

func (l *ledger) check(t interface {
	Helper()
	Fatalf(string, ...any)
}, m *marks) {
	t.Helper()
	acked, _, _ := m.point(math.MaxInt64)
	low := acked[0]
	for s := range acked {
		if want := l.mark(messages.Stream(s)); acked[s] != want {
			t.Fatalf("%v: got mark %d, want %d with %d open", messages.Stream(s), acked[s], want, len(l.open[s]))
		}
		low = min(low, acked[s])
	}
	if got := m.acked(); got != low {
		t.Fatalf("got acked %d, want the lower one, %d", got, low)
	}
}

func drawStream(t *rapid.T) messages.Stream {
	return messages.Stream(rapid.IntRange(0, messages.Streams-1).Draw(t, "stream"))
}

func TestMarks_follow_the_oldest_that_is_open_in_any_order_of_acks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 1000).Draw(t, "first")
		m := newMarks("s", 1, first, [messages.Streams]uint64{})
		l := newLedger(first)
		t.Repeat(map[string]func(*rapid.T){
			"sent": func(t *rapid.T) {
				s := drawStream(t)
				l.seq += rapid.Int64Range(1, 3).Draw(t, "step")
				l.open[s][l.seq] = true
				m.sent(s, l.seq)
			},
			"sent and taken back": func(t *rapid.T) {
				s := drawStream(t)
				m.sent(s, l.seq+1)
				if rapid.Bool().Draw(t, "after a panic") {
					m.sent(s, l.seq+1)
				}
				m.unsent(s, l.seq+1)
				l.check(t, m) // of either stream: nobody has it
				l.seq++
				m.skip(l.seq)
			},
			"sent again after a panic": func(t *rapid.T) {
				for s := range l.open {
					if l.open[s][l.seq] {
						m.sent(messages.Stream(s), l.seq)
					}
				}
			},
			"skip": func(t *rapid.T) {
				l.seq++
				m.skip(l.seq)
			},
			"acked": func(t *rapid.T) {
				s := drawStream(t)
				if len(l.open[s]) == 0 {
					return
				}
				seq := rapid.SampledFrom(keys(l.open[s])).Draw(t, "seq")
				delete(l.open[s], seq)
				m.Acked(s, seq, 0)
			},
			"acked again": func(t *rapid.T) { // a late acknowledgement after a replay
				s := drawStream(t)
				seq := rapid.Int64Range(first, l.seq).Draw(t, "seq")
				if !l.open[s][seq] {
					m.Acked(s, seq, 0)
				}
			},
			"": func(t *rapid.T) { l.check(t, m) },
		})
	})
}

// While events share regions a mark may only be lower than it could be, and must get there in the end.
func TestMarks_that_merge_regions_never_run_ahead_and_arrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMarks("s", 1, 0, [messages.Streams]uint64{})
		l := newLedger(0)
		for range maxRegions { // none of these is acknowledged before the end
			l.seq++
			l.open[messages.Events][l.seq] = true
			m.sent(messages.Events, l.seq)
		}
		behind := func(t *rapid.T) {
			if acked, _, _ := m.point(math.MaxInt64); acked[0] > l.mark(messages.Events) {
				t.Fatalf("got mark %d, want at most %d", acked[0], l.mark(messages.Events))
			}
		}
		for range rapid.IntRange(1, 3000).Draw(t, "events") {
			l.seq++
			m.sent(messages.Events, l.seq)
			switch l.seq % 97 {
			case 0:
				m.unsent(messages.Events, l.seq)
				continue
			case 1:
				m.sent(messages.Events, l.seq) // a panic; and it had been taken the first time
				m.Acked(messages.Events, l.seq, 0)
				m.Acked(messages.Events, l.seq, 0)
				continue
			case 2:
				m.Acked(messages.Events, l.seq, 0)
				m.sent(messages.Events, l.seq)
				m.Acked(messages.Events, l.seq, 0)
				continue
			}
			l.open[messages.Events][l.seq] = true
		}
		if got := len(m.lanes[0].open); got > maxRegions+3000/regionSize+200 {
			t.Fatalf("got %d regions", got)
		}
		waiting := rapid.Permutation(keys(l.open[messages.Events])).Draw(t, "order")
		for i, seq := range waiting {
			delete(l.open[messages.Events], seq)
			m.Acked(messages.Events, seq, 0)
			if i%1000 == 0 || i > len(waiting)-3 {
				behind(t)
			}
		}
		m.skip(l.seq)
		if acked, _, _ := m.point(math.MaxInt64); acked[0] != l.seq || len(m.lanes[0].open) != 0 {
			t.Fatalf("got mark %d with %d regions when everything is acknowledged, want %d", acked[0], len(m.lanes[0].open), l.seq)
		}
	})
}

func TestMarks_are_bounded_by_what_is_in_flight(t *testing.T) {
	m := newMarks("s", 1, 0, [messages.Streams]uint64{})
	for seq := int64(1); seq <= 200_000; seq++ {
		m.sent(messages.Events, seq)
		if seq > 100 {
			m.Acked(messages.Events, seq-100, uint64(seq))
		}
	}
	if got := cap(m.lanes[0].open); got > 4096 {
		t.Errorf("got room for %d events with 100 in flight, want little more than that", got)
	}
	if acked, stored, _ := m.point(math.MaxInt64); acked[0] != 200_000-100 || stored[0] != 200_000 {
		t.Errorf("got mark %d, position %d; want %d, 200000", acked[0], stored[0], 200_000-100)
	}
}

func TestMarks_of_half_a_million_in_the_spool_take_little_memory(t *testing.T) {
	m := newMarks("s", 1, 0, [messages.Streams]uint64{})
	const events = 500_000
	for seq := int64(1); seq <= events; seq++ {
		m.sent(messages.Events, seq)
	}
	if got, most := len(m.lanes[0].open), maxRegions+events/regionSize+1; got > most {
		t.Errorf("got %d regions, want at most %d", got, most)
	}
	for seq := int64(1); seq <= events; seq++ {
		m.Acked(messages.Events, seq, uint64(seq))
		if behind := seq - m.acked(); behind < 0 || behind >= regionSize {
			t.Fatalf("got mark %d after the acknowledgement of %d: the mark must follow in steps of less than %d", m.acked(), seq, regionSize)
		}
	}
	if acked, stored, ok := m.point(math.MaxInt64); acked[0] != events || stored[0] != events || !ok {
		t.Errorf("got %v %v %v", acked, stored, ok)
	}
}

func TestMarks_of_a_session_do_not_hear_those_of_another(t *testing.T) {
	old := newMarks("old", 1, 0, [messages.Streams]uint64{})
	old.sent(messages.Events, 1)
	old.sent(messages.Events, 2)
	young := newMarks("young", 2, 1, [messages.Streams]uint64{})
	young.sent(messages.Events, 2)
	old.Acked(messages.Events, 1, 0)
	old.Acked(messages.Events, 2, 0)
	if old.acked() != 2 || young.acked() != 1 {
		t.Errorf("got marks %d and %d, want 2 and 1", old.acked(), young.acked())
	}
}

func TestMarks_keep_the_position_of_what_is_acknowledged_without_a_hole(t *testing.T) {
	m := newMarks("s", 1, 0, [messages.Streams]uint64{40, 7})
	position := func(want uint64) {
		t.Helper()
		if _, stored, _ := m.point(math.MaxInt64); stored != [messages.Streams]uint64{want, 7} {
			t.Errorf("got positions %v, want [%d 7]", stored, want)
		}
	}
	for seq := int64(1); seq <= 3; seq++ {
		m.sent(messages.Events, seq)
	}
	m.Acked(messages.Events, 2, 52)
	position(40) // 1 may be stored at 41
	m.Acked(messages.Events, 1, 51)
	position(52)
	m.Acked(messages.Events, 3, 0) // it was shed: nothing is stored
	position(52)
	m.remade(messages.Events)
	position(0)
}

func TestMarks_hold_a_checkpoint_until_the_own_events_are_stored(t *testing.T) {
	settled := 0
	m := newMarks("s", 1, 1, [messages.Streams]uint64{})
	m.settled = func() { settled++ }
	gap, ready := m.hold(), m.hold()
	m.sent(messages.Events, 2)
	m.Acked(messages.Events, 2, 9)
	for i, step := range []struct {
		receipt messages.Receipt
		want    bool
	}{{gap, false}, {gap, false}, {ready, true}, {ready, true}} {
		step.receipt.Acked(messages.Events, 1, 5)
		if _, _, ok := m.point(math.MaxInt64); ok != step.want {
			t.Errorf("step %d: got ok %v, want %v", i, ok, step.want)
		}
	}
	if settled != 1 || m.acked() != 2 {
		t.Errorf("got settled %d times, mark %d; want once, 2", settled, m.acked())
	}
}

// The window acknowledges before it has returned to the read goroutine, which changes the guild set after that.
func TestMarks_hold_a_checkpoint_that_is_faster_than_the_read_goroutine(t *testing.T) {
	m := newMarks("s", 1, 1, [messages.Streams]uint64{})
	m.sent(messages.Events, 2)
	if _, _, ok := m.point(1); !ok {
		t.Error("got no point while 2 is on its way: the mark is below it")
	}
	m.Acked(messages.Events, 2, 9)
	if acked, stored, ok := m.point(1); !ok || acked[messages.Events] != 1 || stored[messages.Events] >= 9 || m.nothingOpen(messages.Events, 1) {
		t.Errorf("got %v at %v, ok %v; want 1 and a position before 9: the guild set may lack 2", acked, stored, ok)
	}
	if acked, stored, ok := m.point(2); !ok || acked[messages.Events] != 2 || stored[messages.Events] != 9 || !m.nothingOpen(messages.Events, 2) {
		t.Errorf("got %v at %v, ok %v; want 2 at 9", acked, stored, ok)
	}
}

func TestMarks_of_an_earlier_process(t *testing.T) {
	type step struct {
		ack  int64            // of the spool's events; 0: sent
		sent int64            // replayed and not done
		want map[string]int64 // "events", "commands", "low"
	}
	ten := messages.Checkpoint{Session: "s", Acked: [messages.Streams]int64{10, 14}, Stored: [messages.Streams]uint64{100, 50}}
	beyond := ten
	beyond.Beyond[messages.Events] = []int64{13, 12}
	tests := []struct {
		name    string
		from    messages.Checkpoint
		spooled messages.Spooled // of the events
		done    []int64          // of events 9 to 22
		steps   []step
	}{
		{
			name: "nothing in the spool", from: ten, done: []int64{9, 10},
			steps: []step{{sent: 11, want: map[string]int64{"events": 10, "commands": 14}}, {ack: 11, want: map[string]int64{"events": 11, "commands": 14}}},
		},
		{
			name: "some are stored beyond the mark", from: beyond, done: []int64{9, 10, 12, 13},
			steps: []step{{sent: 11, want: map[string]int64{"events": 10}}, {ack: 11, want: map[string]int64{"events": 13}}},
		},
		{
			name: "the spool has 12 to 20", from: ten, spooled: messages.Spooled{Last: 20, Left: 2}, done: []int64{9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
			steps: []step{
				{want: map[string]int64{"events": 10}},
				{sent: 21, want: map[string]int64{"events": 10, "commands": 21}},
				{ack: 21, want: map[string]int64{"events": 10}},
				{ack: 12, want: map[string]int64{"events": 10}},
				{ack: 20, want: map[string]int64{"events": 21}},
			},
		},
		{
			name: "the spool's are acknowledged", from: ten, spooled: messages.Spooled{Last: 20}, done: []int64{9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
			steps: []step{{want: map[string]int64{"events": 20, "commands": 14, "low": 14}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := restoreMarks(&tt.from, 1)
			if _, _, ok := m.point(math.MaxInt64); ok {
				t.Error("got a checkpoint before the spool was asked")
			}
			m.adopt([messages.Streams]messages.Spooled{messages.Events: tt.spooled})
			var done []int64
			for seq := int64(9); seq <= 22; seq++ {
				if m.done(messages.Events, seq) {
					done = append(done, seq)
				}
			}
			if !equal(done, tt.done) {
				t.Errorf("got done %v, want %v", done, tt.done)
			}
			if m.done(messages.Commands, 15) || !m.done(messages.Commands, 14) {
				t.Error("commands: want done up to 14")
			}
			for i, s := range tt.steps {
				switch {
				case s.ack > 0:
					m.Acked(messages.Events, s.ack, 0)
				case s.sent > 0:
					m.sent(messages.Events, s.sent)
				}
				if s.sent == 11 && tt.from.Beyond[0] != nil {
					m.skip(12)
					m.skip(13)
				}
				acked, _, _ := m.point(math.MaxInt64)
				got := map[string]int64{"events": acked[0], "commands": acked[1], "low": m.acked()}
				for what, want := range s.want {
					if got[what] != want {
						t.Errorf("step %d: %s: got %d, want %d", i, what, got[what], want)
					}
				}
			}
		})
	}
}

func TestMarks_count_what_is_acknowledged_while_they_are_adopted(t *testing.T) {
	m := restoreMarks(&messages.Checkpoint{Session: "s", Acked: [messages.Streams]int64{10, 10}}, 1)
	m.Acked(messages.Events, 11, 7) // the spool is being published already
	m.adopt([messages.Streams]messages.Spooled{messages.Events: {Last: 12, Left: 2}})
	if m.acked() != 10 {
		t.Errorf("got mark %d with one event in the spool, want 10", m.acked())
	}
	m.skip(11) // replayed, and not to be published: that acknowledges nothing
	m.skip(12)
	if got, _, _ := m.point(math.MaxInt64); got[0] != 10 {
		t.Errorf("got mark %d, want 10: 12 is not stored", got[0])
	}
	m.Acked(messages.Events, 12, 8)
	if got, stored, ok := m.point(math.MaxInt64); got[0] != 12 || stored[0] != 8 || !ok || m.reached() != 12 {
		t.Errorf("got mark %d, position %d, ok %v, reached %d; want 12, 8, true, 12", got[0], stored[0], ok, m.reached())
	}
}

func keys(m map[int64]bool) []int64 {
	var out []int64
	for seq := int64(0); len(out) < len(m); seq++ {
		if m[seq] {
			out = append(out, seq)
		}
	}
	return out
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestMarks_count_what_is_open_of_the_sessions_before(t *testing.T) {
	var none [messages.Streams]uint64
	first := newMarks("first", 1, 0, none)
	first.sent(messages.Events, 1)
	first.sent(messages.Commands, 2)
	quiet := newMarks("quiet", 2, 0, none)
	quiet.before = first.unsettled()
	last := newMarks("last", 3, 0, none)
	last.before = quiet.unsettled()
	if last.before != first {
		t.Error("a session of which nothing is open is kept in mind")
	}
	last.sent(messages.Events, 1)
	for want, ack := range []func(){
		func() { first.Acked(messages.Commands, 2, 1) },
		func() { last.Acked(messages.Events, 1, 1) },
		func() { first.Acked(messages.Events, 1, 2) },
	} {
		if got := last.open(); got != 3-want || last.unsettled() == nil {
			t.Errorf("got %d open, want %d", got, 3-want)
		}
		ack()
	}
	if got := last.open(); got != 0 || last.unsettled() != nil {
		t.Errorf("got %d open, want none", got)
	}
}
