package audit

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"drover/messages"
)

const (
	sessionA = "aaaaaaaa11111111aaaaaaaa11111111"
	sessionB = "bbbbbbbb22222222bbbbbbbb22222222"
)

var noon = time.UnixMilli(1770091567000)

// sentOf are the events first to last of a session, one a second from noon on. Each third is an interaction.
func sentOf(session string, shard int, first, last int64) []Sent {
	var out []Sent
	for seq := first; seq <= last; seq++ {
		t, d := "MESSAGE_CREATE", fmt.Appendf(nil, `{"id":"%d","content":"é"}`, seq)
		if seq%3 == 0 {
			t, d = "INTERACTION_CREATE", fmt.Appendf(nil, `{"id":"%d","token":"secret","type":2}`, seq)
		}
		out = append(out, Sent{Session: session, Seq: seq, Shard: shard, T: t, At: noon.Add(time.Duration(seq) * time.Second), D: func() []byte { return d }})
	}
	return out
}

// storedOf is what the streams hold when drover does all of it right.
func storedOf(sent []Sent) []Stored {
	var out []Stored
	next := [messages.Streams]uint64{}
	for _, d := range sent {
		data := d.D()
		s := Stored{
			T: d.T, Type: "message.create", Session: d.Session, Seq: d.Seq, Shard: d.Shard, At: d.At.Add(time.Millisecond),
			ID: messages.EventID(d.Session, d.Seq), EnvelopeID: messages.EventID(d.Session, d.Seq),
		}
		if d.T == "INTERACTION_CREATE" {
			s.Stream, s.Type = messages.Commands, interaction
			front := fmt.Appendf(nil, `{"interaction_id":"%d","interaction_type":"ApplicationCommand","interaction_token":"secret",`, d.Seq)
			data = append(front, data[1:]...)
			s.Data = data
		}
		s.Sum = sha256.Sum256(data)
		next[s.Stream]++
		s.StreamSeq = next[s.Stream]
		out = append(out, s)
	}
	return out
}

// at returns the index of a sequence number.
func at(stored []Stored, seq int64) int {
	return slices.IndexFunc(stored, func(s Stored) bool { return s.Seq == seq })
}

func without(stored []Stored, seqs ...int64) []Stored {
	return slices.DeleteFunc(stored, func(s Stored) bool { return slices.Contains(seqs, s.Seq) })
}

// again appends a copy of one event, in a later life of its stream if that is above 0.
func again(stored []Stored, seq int64, life int) []Stored {
	s := stored[at(stored, seq)]
	s.StreamSeq, s.Life = s.StreamSeq+1000, life
	return append(stored, s)
}

// gap is one of shard 0; times are seconds after noon.
func gap(reason, session string, acked, from, to int64) Gap {
	return Gap{
		Reason: reason, Session: session[:8], Acked: acked,
		From: noon.Add(time.Duration(from) * time.Second).UnixMilli(), To: noon.Add(time.Duration(to) * time.Second).UnixMilli(),
	}
}

func TestCompare_finds_each_kind_of_fault(t *testing.T) {
	tests := []struct {
		name   string
		change func([]Stored) []Stored
		gaps   []Gap
		want   map[Kind]int
	}{
		{"nothing wrong", func(s []Stored) []Stored { return s }, nil, nil},
		{"interactions overtake", func(s []Stored) []Stored {
			slices.SortStableFunc(s, func(a, b Stored) int { return int(b.Stream) - int(a.Stream) })
			return s
		}, nil, nil},
		{"lost", func(s []Stored) []Stored { return without(s, 4, 6) }, nil, map[Kind]int{Lost: 2}},
		{"twice", func(s []Stored) []Stored { return again(s, 4, 0) }, nil, map[Kind]int{Twice: 1}},
		{"three times", func(s []Stored) []Stored { return again(again(s, 4, 0), 4, 0) }, nil, map[Kind]int{Twice: 2}},
		{"twice under another id", func(s []Stored) []Stored {
			s = again(s, 4, 0)
			s[len(s)-1].ID, s[len(s)-1].EnvelopeID = "other", "other"
			return s
		}, nil, map[Kind]int{Twice: 1}},
		{"reordered", func(s []Stored) []Stored {
			i, j := at(s, 4), at(s, 5)
			s[i], s[j] = s[j], s[i]
			return s
		}, nil, map[Kind]int{Reordered: 1}},
		{"reversed", func(s []Stored) []Stored { slices.Reverse(s); return s }, nil, map[Kind]int{Reordered: 7}},
		{"altered data", func(s []Stored) []Stored { s[at(s, 4)].Sum[0]++; return s }, nil, map[Kind]int{Altered: 1}},
		{"altered id", func(s []Stored) []Stored { s[at(s, 4)].ID = "other"; return s }, nil, map[Kind]int{Altered: 1}},
		{"altered event_id", func(s []Stored) []Stored { s[at(s, 4)].EnvelopeID = "other"; return s }, nil, map[Kind]int{Altered: 1}},
		{"altered name", func(s []Stored) []Stored { s[at(s, 4)].T = "FOO"; return s }, nil, map[Kind]int{Altered: 1}},
		{"altered shard", func(s []Stored) []Stored { s[at(s, 4)].Shard = 7; return s }, nil, map[Kind]int{Altered: 1}},
		{"no envelope", func(s []Stored) []Stored { s[at(s, 4)].Broken = "no JSON"; return s }, nil, map[Kind]int{Altered: 1}},
		{"unknown", func(s []Stored) []Stored { s[at(s, 4)].Seq = 99; return s }, nil, map[Kind]int{Unknown: 1, Lost: 1}},
		{"own event twice", func(s []Stored) []Stored {
			return append(s, Stored{ID: "x", Type: "shard.down", StreamSeq: 50}, Stored{ID: "x", Type: "shard.down", StreamSeq: 51})
		}, nil, map[Kind]int{Twice: 1}},

		{"lost behind a gap", func(s []Stored) []Stored { return without(s, 7, 8) }, []Gap{gap("session_lost", sessionA, 6, 0, 9)}, map[Kind]int{Declared: 2}},
		{"lost before a gap", func(s []Stored) []Stored { return without(s, 5, 8) }, []Gap{gap("session_lost", sessionA, 6, 0, 9)}, map[Kind]int{Lost: 1, Declared: 1}},
		{"lost, and the gap is another session's", func(s []Stored) []Stored { return without(s, 8) }, []Gap{gap("session_lost", sessionB, 0, 0, 9)}, map[Kind]int{Lost: 1}},
		{"lost, and the gap names no session", func(s []Stored) []Stored { return without(s, 8) }, []Gap{{Reason: "session_lost"}}, map[Kind]int{Lost: 1}},

		{"died with its stream", func(s []Stored) []Stored { return without(s, 2, 3) }, []Gap{gap(StreamLost, sessionA, 1, 0, 4)}, map[Kind]int{Declared: 2}},
		{"lost after a stream was made again", func(s []Stored) []Stored { return without(s, 8) }, []Gap{gap(StreamLost, sessionA, 1, 0, 4)}, map[Kind]int{Lost: 1}},
		{"repeated over a lost stream", func(s []Stored) []Stored { return again(s, 2, 1) }, []Gap{gap(StreamLost, sessionA, 1, 0, 4)}, map[Kind]int{Repeated: 1}},
		{"repeated, and no stream was declared lost", func(s []Stored) []Stored { return again(s, 2, 1) }, nil, map[Kind]int{Twice: 1}},
		{"repeated after the loss of the stream", func(s []Stored) []Stored { return again(s, 8, 1) }, []Gap{gap(StreamLost, sessionA, 1, 0, 4)}, map[Kind]int{Twice: 1}},
		{"twice within the new stream", func(s []Stored) []Stored { return again(s, 2, 0) }, []Gap{gap(StreamLost, sessionA, 1, 0, 4)}, map[Kind]int{Twice: 1}},

		{"shed", func(s []Stored) []Stored { return without(s, 4) }, []Gap{gap(Shed, sessionA, 3, 3, 5)}, map[Kind]int{Declared: 1}},
		{"shed, and of a type that may not be", func(s []Stored) []Stored { return without(s, 6) }, []Gap{gap(Shed, sessionA, 3, 3, 9)}, map[Kind]int{Lost: 1}},
		{"shed outside the declared time", func(s []Stored) []Stored { return without(s, 8) }, []Gap{gap(Shed, sessionA, 3, 3, 5)}, map[Kind]int{Lost: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := sentOf(sessionA, 0, 1, 9)
			c := Compare(sent, tt.change(storedOf(sent)), tt.gaps, []string{"MESSAGE_CREATE"})
			for _, k := range Kinds {
				if got := c.Count(k); got != tt.want[k] {
					t.Errorf("got %d %s, want %d: %v", got, k, tt.want[k], c.Findings)
				}
			}
			if c.Sent != 9 {
				t.Errorf("got %d sent, want 9", c.Sent)
			}
		})
	}
}

func TestCompare_keeps_sessions_and_shards_apart(t *testing.T) {
	a, b := sentOf(sessionA, 0, 1, 5), sentOf(sessionB, 1, 1, 5)
	stored := append(storedOf(b), storedOf(a)...)
	c := Compare(append(a, b...), stored, nil, nil)
	if c.Sent != 10 || c.Stored != 10 || len(c.Findings) != 0 {
		t.Errorf("got %+v, want ten sent and stored", c)
	}
	// A gap of shard 0 excuses nothing of shard 1.
	c = Compare(append(a, b...), storedOf(a), []Gap{gap(StreamLost, sessionA, 0, 0, 99)}, nil)
	if c.Count(Lost) != 5 {
		t.Errorf("got %d lost, want the 5 of shard 1", c.Count(Lost))
	}
}

func TestCompare_knows_the_members_in_front(t *testing.T) {
	d := `{"guild_id":"7","user":{"username":"b\"o","id":"1"}}`
	tests := []struct {
		name, data string
		want       int
	}{
		{"right", `{"username":"b\"o","discriminator":0,` + d[1:], 0},
		{"no discriminator known", `{"username":"b\"o","discriminator":null,` + d[1:], 0},
		{"missing", d, 1},
		{"one is missing", `{"username":"b\"o",` + d[1:], 1},
		{"another name", `{"username":"x","discriminator":0,` + d[1:], 1},
		{"other bytes behind", `{"username":"b\"o","discriminator":0,"guild_id": "7","user":{"username":"b\"o","id":"1"}}`, 1},
		{"no JSON", `{"username:"b\"o","discriminator":0,` + d[1:], 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := []Sent{{Session: sessionA, Seq: 1, T: "GUILD_MEMBER_ADD", D: func() []byte { return []byte(d) }}}
			stored := storedOf(sent)
			stored[0].Type, stored[0].Data = memberJoin, []byte(tt.data)
			if c := Compare(sent, stored, nil, nil); c.Count(Altered) != tt.want || len(c.Findings) != tt.want {
				t.Errorf("got %v, want %d altered", c.Findings, tt.want)
			}
		})
	}
}
