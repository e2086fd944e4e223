package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// budget is how many IDENTIFYs the bot has sent in its day: the key "budget" of the fleet bucket, which all processes of
// the token share, or the count of this one where there is no store. It has no clock and no lock, and it is a value: its
// slices are replaced and never written to.
type budget struct {
	Total          int       `json:"total"`
	Spent          int       `json:"spent"`      // of Total in this window, by us or by anybody that Discord knows of
	End            time.Time `json:"window_end"` // then Spent begins anew
	MaxConcurrency int       `json:"max_concurrency"`
	Shards         int       `json:"shards"` // of the bot, for the reserve

	// Identified has a bit for every shard that has identified in this window, so that what is a repetition does not
	// depend on the process.
	Identified []byte `json:"identified,omitempty"`
	// Loops counts repetitions by hour, those of the last day. It does not begin anew with the window: else half of
	// two windows would fit into one day.
	Loops []hour `json:"loops,omitempty"`
	// Era rises whenever Spent was set. What was counted in an earlier era is not taken back, since nobody knows whether
	// it is in the new count.
	Era int `json:"era"`
	// Attempt names the last writer, so that one whose answer was lost finds out that it has written.
	Attempt string `json:"attempt"`
}

// hour is one hour of the clock, and what was counted in it.
type hour struct {
	Hour  int64 `json:"hour"` // since 1970
	Count int   `json:"count"`
}

// anotherWindow is how much later a window must end to be another one: the end that Discord tells varies a little,
// and the clocks of nodes do.
const anotherWindow = time.Hour

// loopHours is how many hours of the clock are counted: a day ends within an hour, so it touches 25.
const loopHours = 25

// Bounds of what is read from the store: far above any bot, and so that no value makes the arithmetic overflow.
const (
	maxBudget = 1 << 30
	maxShards = 1 << 20
)

// charge is one IDENTIFY as it was counted, so that it can be taken back.
type charge struct {
	era, shardID int
	first        bool  // the shard's first one in the window
	loop         int64 // the hour in which it was counted as a repetition; 0: it was none
}

// learn takes over what Discord told at an instant. Of Discord's remainder and ours the smaller one wins: Discord's may
// lag behind what was just written.
func (b *budget) learn(l Limit, at time.Time) {
	b.MaxConcurrency = max(l.MaxConcurrency, 1)
	if l.Total <= 0 {
		return
	}
	end := at.Add(l.ResetAfter)
	if l.ResetAfter <= 0 { // Discord has no window, until the next IDENTIFY
		end = at.Add(24 * time.Hour)
		if b.Total > 0 && at.Before(b.End) {
			end = b.End
		}
	}
	spent := max(l.Total-l.Remaining, 0)
	switch {
	case b.Total == 0 || !at.Before(b.End) || end.After(b.End.Add(anotherWindow)):
		b.Spent, b.Identified = spent, nil
		b.Era++
	case spent > b.Spent:
		b.Spent = spent
		b.Era++
	}
	b.Total, b.Shards, b.End = l.Total, l.Shards, end
}

// roll begins a new window when the old one is over.
func (b *budget) roll(now time.Time) {
	if b.Total == 0 || now.Before(b.End) {
		return
	}
	b.Spent, b.Identified, b.End = 0, nil, now.Add(24*time.Hour)
	b.Era++
}

func (b *budget) remaining() int { return max(b.Total-b.Spent, 0) }

// repeats tells whether shardID has identified in this window.
func (b *budget) repeats(shardID int) bool {
	return shardID/8 < len(b.Identified) && b.Identified[shardID/8]&(1<<(shardID%8)) != 0
}

func (b *budget) mark(shardID int, identified bool) {
	bits := slices.Clone(b.Identified)
	if n := shardID/8 + 1; n > len(bits) {
		bits = append(bits, make([]byte, n-len(bits))...)
	}
	bits[shardID/8] &^= 1 << (shardID % 8)
	if identified {
		bits[shardID/8] |= 1 << (shardID % 8)
	}
	b.Identified = bits
}

// loops is how many repetitions the last day had.
func (b *budget) loops(now time.Time) int {
	n := 0
	for _, h := range b.Loops {
		if h.Hour > hourOf(now)-loopHours {
			n += h.Count
		}
	}
	return n
}

// loop adds n to what was counted in an hour, and forgets the hours before the last day.
func (b *budget) loop(at, n int64, now time.Time) {
	kept := make([]hour, 0, len(b.Loops)+1)
	found := false
	for _, h := range b.Loops {
		if h.Hour == at {
			h.Count, found = max(h.Count+int(n), 0), true
		}
		if h.Hour > hourOf(now)-loopHours && h.Count > 0 {
			kept = append(kept, h)
		}
	}
	if !found && n > 0 {
		kept = append(kept, hour{at, int(n)})
	}
	b.Loops = kept
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// governed is how many repetitions a day may have. Loops of IDENTIFYs are what costs bots their token.
func (b *budget) governed() int { return b.Total / 2 }

// held says why an IDENTIFY must wait, and until when at least. The zero value: it need not.
type held struct {
	why   string // one of the reasons below
	until time.Time
}

// What holds an IDENTIFY back, as log lines name it.
const (
	heldSpent    = "spent"    // nothing is left of the window
	heldReserve  = "reserve"  // what is left is kept for shards that have not identified in the window
	heldGovernor = "governor" // half of the total went to repetitions within a day
)

// holds judges an IDENTIFY of shardID. again marks one that the caller knows not to be its first.
func (b *budget) holds(shardID int, again bool, reserve int, now time.Time) held {
	again = again || b.repeats(shardID)
	switch {
	case b.remaining() <= 0:
		return held{heldSpent, b.End}
	case !again:
		return held{}
	case b.remaining() <= reserve:
		return held{heldReserve, b.End}
	case b.loops(now) >= b.governed():
		return held{heldGovernor, b.calm(now)}
	}
	return held{}
}

// calm is when so many hours are over that a repetition is allowed again.
func (b *budget) calm(now time.Time) time.Time {
	n, until := b.loops(now), now
	hours := slices.SortedFunc(slices.Values(b.Loops), func(x, y hour) int { return int(x.Hour - y.Hour) })
	for _, h := range hours {
		if n < max(b.governed(), 1) {
			break
		}
		if h.Hour > hourOf(now)-loopHours {
			n -= h.Count
			until = time.Unix((h.Hour+loopHours)*3600, 0)
		}
	}
	return latest(until, now.Add(time.Minute)) // where half of the total is nothing: look again now and then
}

// spend counts an IDENTIFY. It comes before the write, so that a crash in between counts one too many and never one too
// few.
func (b *budget) spend(shardID int, again bool, now time.Time) charge {
	c := charge{era: b.Era, shardID: shardID, first: !b.repeats(shardID)}
	b.Spent++
	if again || !c.first {
		c.loop = hourOf(now)
		b.loop(c.loop, 1, now)
	}
	if c.first {
		b.mark(shardID, true)
	}
	return c
}

// refund takes back an IDENTIFY that was not written. It reports whether there was anything to take back.
func (b *budget) refund(c charge, now time.Time) bool {
	if c.era != b.Era {
		return false
	}
	b.Spent = max(b.Spent-1, 0)
	if c.first {
		b.mark(c.shardID, false)
	}
	if c.loop != 0 {
		b.loop(c.loop, -1, now)
	}
	return true
}

// readBudget reads what the store holds. Anybody with rights on the bucket may have written it.
func readBudget(data []byte) (b budget, err error) {
	if err := json.Unmarshal(data, &b); err != nil {
		return budget{}, fmt.Errorf("cluster: read the identify budget: %w", err)
	}
	loops := int64(0)
	for _, h := range b.Loops {
		if h.Count < 0 || h.Count > maxBudget || h.Hour < 0 || h.Hour > 1<<40 {
			return budget{}, fmt.Errorf("cluster: read the identify budget: loops %+v make no sense", h)
		}
		loops += int64(h.Count)
	}
	switch {
	case b.Total < 0 || b.Total > maxBudget, b.Spent < 0 || b.Spent > maxBudget, b.Era < 0, loops > maxBudget,
		b.MaxConcurrency < 1 || b.MaxConcurrency > maxShards, b.Shards < 0 || b.Shards > maxShards,
		len(b.Identified) > maxShards/8, len(b.Loops) > 1000:
		return budget{}, fmt.Errorf("cluster: read the identify budget: its values make no sense")
	}
	return b, nil
}

func (b budget) encode() []byte {
	data, err := json.Marshal(b)
	if err != nil {
		panic(err) // only an instant beyond the year 9999 could do that
	}
	return data
}
