package cluster

import (
	"strings"
	"testing"
	"time"
)

// newTestTable has a word for a record; "bad" cannot be read.
func newTestTable(t *testing.T) *table[string] {
	return &table[string]{
		rows: map[string]*row[string]{},
		decode: func(_ string, value []byte) (string, error) {
			if string(value) == "bad" {
				return "", errAnswerLost
			}
			return string(value), nil
		},
		refuse: func(key string, _ error) { t.Logf("%s refused", key) },
	}
}

// what shows the keys that are there.
func (t *table[R]) what() string {
	var out []string
	for _, key := range []string{"a", "b"} {
		if r := t.rows[key]; r.present() {
			out = append(out, key)
		}
	}
	return strings.Join(out, " ")
}

func TestTable_takes_the_newest_of_what_it_is_told(t *testing.T) {
	base := time.Now()
	at := func(s int) time.Time { return base.Add(time.Duration(s) * time.Second) }
	entry := func(revision uint64) Entry { return Entry{Key: "a", Value: []byte("v"), Revision: revision} }
	gone := Entry{Key: "a"}
	tests := []struct {
		name  string
		steps func(x *table[string])
		want  string
	}{
		{"heard", func(x *table[string]) { x.hear(entry(3), at(1)) }, "a"},
		{"heard that it is gone", func(x *table[string]) { x.hear(entry(3), at(1)); x.hear(gone, at(2)) }, ""},
		{"old news after it went", func(x *table[string]) { x.hear(entry(3), at(1)); x.hear(gone, at(2)); x.hear(entry(2), at(3)) }, ""},
		{
			"the end of the one before is heard after we wrote the next",
			func(x *table[string]) { x.hear(entry(9), at(1)); x.hear(gone, at(2)); x.hear(entry(9), at(3)) }, "a",
		},
		{"a list without it", func(x *table[string]) { x.hear(entry(3), at(1)); x.listed(nil, at(2), at(3)) }, ""},
		{"a list that was asked for before it came", func(x *table[string]) { x.hear(entry(3), at(2)); x.listed(nil, at(1), at(3)) }, "a"},
		{
			"a list that was asked for before it went",
			func(x *table[string]) {
				x.hear(entry(3), at(1))
				x.hear(gone, at(3))
				x.listed([]Entry{entry(3)}, at(2), at(4))
			}, "",
		},
		{
			"a list that was asked for after it was said to have gone",
			func(x *table[string]) {
				x.hear(entry(3), at(1))
				x.hear(gone, at(2))
				x.listed([]Entry{entry(3)}, at(3), at(4))
			}, "a",
		},
		{
			"a list of a copy that is behind, after it went",
			func(x *table[string]) {
				x.hear(entry(3), at(1))
				x.hear(Entry{Key: "a", Gone: 5}, at(2))
				x.listed([]Entry{entry(3)}, at(3), at(4))
			}, "",
		},
		{
			"written again after it went, and listed",
			func(x *table[string]) {
				x.hear(entry(3), at(1))
				x.hear(Entry{Key: "a", Gone: 5}, at(2))
				x.listed([]Entry{entry(6)}, at(3), at(4))
			}, "a",
		},
		{
			"the end of the one before is heard late, with its revision",
			func(x *table[string]) { x.hear(entry(9), at(1)); x.hear(Entry{Key: "a", Gone: 7}, at(2)) }, "a",
		},
		{
			"a bucket whose revisions began anew", // not one of ours
			func(x *table[string]) { x.hear(entry(30), at(1)); x.listed([]Entry{entry(3)}, at(2), at(3)) }, "a",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			x := newTestTable(t)
			test.steps(x)
			if got := x.what(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A holder believes in its lease for a TTL at the most, also when the whole bucket goes; one that was given back is free at once.
func TestTable_knows_for_how_long_somebody_may_believe_in_a_key_that_is_gone(t *testing.T) {
	base := time.Now()
	const ttl = 10 * time.Second
	key := Entry{Key: "a", Value: []byte("v"), Revision: 1}
	for name, c := range map[string]struct {
		goes     func(x *table[string])
		believed bool // within the TTL
	}{
		"deleted":                      {func(x *table[string]) { x.hear(Entry{Key: "a", Deleted: true}, base.Add(time.Second)) }, false},
		"vanished, by a list":          {func(x *table[string]) { x.listed(nil, base.Add(time.Second), base.Add(time.Second)) }, true},
		"ran out, by the store's word": {func(x *table[string]) { x.hear(Entry{Key: "a"}, base.Add(time.Second)) }, true},
		"deleted, and a list was faster": {func(x *table[string]) {
			x.listed(nil, base.Add(time.Second), base.Add(time.Second))
			x.hear(Entry{Key: "a", Deleted: true}, base.Add(2*time.Second))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTestTable(t)
			x.hear(key, base)
			c.goes(x)
			r := x.rows["a"]
			if got := r.believed(base.Add(ttl-1), ttl); got != c.believed {
				t.Errorf("got believed %v within the TTL, want %v", got, c.believed)
			}
			if r.believed(base.Add(ttl), ttl) {
				t.Error("got believed after the TTL")
			}
		})
	}
}

func TestTable_tells_a_change_from_a_renewal(t *testing.T) {
	x := newTestTable(t)
	now := time.Now()
	tests := []struct {
		entry Entry
		want  bool
	}{
		{Entry{Key: "a", Value: []byte("v"), Revision: 1}, true},
		{Entry{Key: "a", Value: []byte("v"), Revision: 2}, false},
		{Entry{Key: "a", Value: []byte("w"), Revision: 3}, true},
		{Entry{Key: "a", Value: []byte("bad"), Revision: 4}, true},
		{Entry{Key: "a", Value: []byte("bad"), Revision: 5}, false},
		{Entry{Key: "a"}, true},
		{Entry{Key: "a"}, false},
		{Entry{Key: "b"}, false},
	}
	for i, test := range tests {
		if got := x.hear(test.entry, now); got != test.want {
			t.Errorf("step %d: got %v, want %v", i, got, test.want)
		}
	}
	x.forget(now.Add(time.Second))
	if len(x.rows) != 0 {
		t.Errorf("got %d rows, want what is gone to be forgotten", len(x.rows))
	}
}

func TestHealth_a_time_without_an_answer_reserves_pools_to_their_holders(t *testing.T) {
	base := time.Now()
	at := func(ms int) time.Time { return base.Add(time.Duration(ms) * time.Millisecond) }
	h := &health{ttl: 4 * time.Second}
	h.worked(leaseWrites, at(0))
	if h.failed(leaseWrites, at(-10)) || h.away() {
		t.Error("one lost request while others were answered: got away")
	}
	if !h.failed(leaseWrites, at(100)) || h.failed(leaseWrites, at(200)) || !h.away() {
		t.Error("got not away, or told twice")
	}
	if away, all := h.worked(leaseWrites, at(900)); away != 800*time.Millisecond || !all || h.away() || h.reservedFor(at(900)) > 0 {
		t.Errorf("a short failure: got %v, reserved %v", away, h.reservedFor(at(900)))
	}
	h.failed(leaseWrites, at(1000))
	if h.worked(leaseWrites, at(2000)); h.reservedFor(at(2000)) != 4*time.Second || h.reservedFor(at(6000)) > 0 {
		t.Errorf("a long one: got reserved %v, want a TTL", h.reservedFor(at(2000)))
	}
}

// In a cluster of NATS servers each bucket elects a leader of its own, and any copy answers what is read.
func TestHealth_an_answer_of_one_part_says_nothing_about_another(t *testing.T) {
	base := time.Now()
	at := func(ms int) time.Time { return base.Add(time.Duration(ms) * time.Millisecond) }
	h := &health{ttl: 4 * time.Second}
	if !h.failed(memberWrites, at(0)) || h.failed(leaseWrites, at(100)) {
		t.Error("got told twice, or never")
	}
	for ms := 200; ms < 5000; ms += 200 {
		if away, all := h.worked(restOfStore, at(ms)); away != 0 || all || !h.away() {
			t.Fatalf("reads are answered: got %v, all %t, away %t", away, all, h.away())
		}
	}
	if away, all := h.worked(leaseWrites, at(5000)); away != 4900*time.Millisecond || all || !h.away() {
		t.Errorf("leases are written again: got %v, all %t, away %t", away, all, h.away())
	}
	if away, all := h.worked(memberWrites, at(6000)); away != 6*time.Second || !all || h.away() || h.reservedFor(at(6000)) != 4*time.Second {
		t.Errorf("members too: got %v, all %t, away %t, reserved for %v", away, all, h.away(), h.reservedFor(at(6000)))
	}
}

func TestTurn_while_pools_are_reserved_only_what_was_let_go_is_taken(t *testing.T) {
	n := NewNode(NodeOptions{Name: "a", Process: "a1", Pools: 1})
	tests := []struct {
		name   string
		holder *row[member]
		want   bool
	}{
		{"its holder is back", &row[member]{record: member{process: "b1", ready: true}}, true},
		{"its holder is about to be back", &row[member]{record: member{process: "b1"}}, false},
		{"its holder said that it goes", &row[member]{record: member{process: "b1", draining: true}, gone: time.Now()}, true},
		{"its holder is missing", &row[member]{record: member{process: "b1", ready: true}, gone: time.Now()}, false},
		{"its holder is not known", &row[member]{record: member{process: "c1"}}, false},
	}
	lease := &row[leaseRow]{record: leaseRow{leaseRecord{Process: "b1"}, 0}, gone: time.Now()}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n.members.rows["x"] = test.holder
			if got := n.letGo(lease); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if n.letGo(nil) {
		t.Error("a pool that nobody held: got let go")
	}
}
