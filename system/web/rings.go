package web

import (
	"math"
	"slices"
	"sync"
	"time"

	"drover/messages"
)

// rings hold the last 15 minutes of the node, in steps of 5 s, and of each shard, in steps of 10 s, so that the page has
// charts where no Prometheus is at hand. Nothing of an event touches them: counters are read once a step.
//
// Memory is bounded. The node takes 9 KB. A shard takes 420 bytes with its place in the map, so all of it is 0.43 MB for
// a thousand (TestRings_are_small measures it). What a shard remembers of itself comes on top: actors.past, 290 bytes at rest.
type rings struct {
	began time.Time
	step  time.Duration

	mu     sync.Mutex
	taken  int // steps since began
	node   [steps][measures]float32
	shards map[int]*track
	before counters
	known  bool // before is of an earlier step
}

const (
	steps      = 180 // of the node
	shardSteps = 90  // of a shard, each two of the node's
	stepLength = 5 * time.Second
)

// The measures of a node, in the order of their names.
const (
	received = iota
	stored
	median
	slow
	inFlight
	onDisk
	heartbeat
	slowestHeartbeat
	memory
	heap
	notReady
	tries
	measures
)

// measureNames are the keys of the measures, for the script.
var measureNames = [measures]string{
	"received", "stored", "median", "slow", "in_flight", "on_disk", "heartbeat", "slowest_heartbeat", "memory", "heap", "not_ready", "tries",
}

// counters are what rates are made of.
type counters struct {
	at                         time.Time
	received, routed, failures uint64
}

// track is what is kept of one shard. Two bytes a value: eight bits of fraction are 0.4 %, less than a line is wide.
type track struct {
	rate, latency [shardSteps]uint16
	seq           int64
	at            int64 // ns after began, of seq
	step          int32 // the newest that was written
}

func newRings(step time.Duration, now time.Time) *rings {
	if step == 0 {
		step = stepLength
	}
	return &rings{began: now, step: step, shards: map[int]*track{}}
}

// unknown stands for a value that nobody measured.
var unknown = float32(math.NaN())

// pack and unpack store a value that is not negative in 16 bits.
func pack(v float32) uint16 {
	if v != v || v < 0 {
		return math.MaxUint16
	}
	return uint16(math.Float32bits(v) >> 15)
}

func unpack(p uint16) float32 {
	if p == math.MaxUint16 {
		return unknown
	}
	return math.Float32frombits(uint32(p) << 15)
}

// nodeSample is what a step is made of.
type nodeSample struct {
	traffic messages.Traffic
	shards  []messages.ShardSample
	silent  bool // the actors did not answer: nothing is known of shards
	memory  uint64
	heap    uint64
}

// add takes a step. Steps that were missed, since the process stood still, are unknown.
func (r *rings) add(now time.Time, s *nodeSample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	step := max(int(now.Sub(r.began)/r.step), r.taken) + 1 // two that come in one step are two
	if step > r.taken+2 {
		r.skip(max(r.taken, step-steps), step-1)
	} else {
		step = r.taken + 1
	}
	r.taken = step
	row := &r.node[(step-1)%steps]
	*row = [measures]float32{
		received: unknown, stored: unknown, median: milliseconds(s.traffic.P50), slow: milliseconds(s.traffic.P99),
		inFlight: float32(s.traffic.Unacked - s.traffic.Spooled), onDisk: float32(s.traffic.Spooled), memory: float32(s.memory), heap: float32(s.heap), tries: unknown,
	}
	c := counters{now, s.traffic.Received, s.traffic.Routed, s.traffic.Failures}
	if took := float32(now.Sub(r.before.at).Seconds()); r.known && took > 0 && c.received >= r.before.received && c.routed >= r.before.routed {
		row[received] = float32(c.received-r.before.received) / took
		row[stored] = float32(c.routed-r.before.routed) / took
		row[tries] = float32(c.failures-min(r.before.failures, c.failures)) / took
	}
	r.before, r.known = c, true
	row[heartbeat], row[slowestHeartbeat], row[notReady] = heartbeats(s)
	if !s.silent && step%2 == 0 {
		r.addShards(now, step/2, s.shards)
	}
}

// skip marks steps as unknown. The lock is held.
func (r *rings) skip(from, to int) {
	for step := from; step < to; step++ {
		for i := range r.node[step%steps] {
			r.node[step%steps][i] = unknown
		}
	}
}

func milliseconds(d time.Duration) float32 {
	if d <= 0 {
		return unknown // nothing was stored in the last minute
	}
	return float32(d) / float32(time.Millisecond)
}

// heartbeats are the median and the longest of all shards, and how many shards are not ready.
func heartbeats(s *nodeSample) (middle, longest, missing float32) {
	if s.silent {
		return unknown, unknown, unknown
	}
	all := make([]float32, 0, len(s.shards))
	for i := range s.shards {
		if s.shards[i].Latency > 0 {
			all = append(all, float32(s.shards[i].Latency))
		}
		if !s.shards[i].Ready {
			missing++
		}
	}
	if len(all) == 0 {
		return unknown, unknown, missing
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)-1], missing
}

// addShards takes a step of the shards, and forgets those that are not here any more. The lock is held.
func (r *rings) addShards(now time.Time, step int, samples []messages.ShardSample) {
	at := int64(now.Sub(r.began))
	for i := range samples {
		s := &samples[i]
		t := r.shards[s.ID]
		rate := unknown
		if t == nil {
			t = &track{step: int32(step - 1)}
			for i := range shardSteps {
				t.rate[i], t.latency[i] = pack(unknown), pack(unknown)
			}
			r.shards[s.ID] = t
		} else if took := float64(at-t.at) / 1e9; took > 0 {
			rate = float32(float64(since(t.seq, s.Seq)) / took)
		}
		for missed := max(int(t.step)+1, step-shardSteps+1); missed < step; missed++ {
			t.rate[missed%shardSteps], t.latency[missed%shardSteps] = pack(unknown), pack(unknown)
		}
		latency := float32(s.Latency)
		if latency <= 0 {
			latency = unknown
		}
		t.rate[step%shardSteps], t.latency[step%shardSteps] = pack(rate), pack(latency)
		t.seq, t.at, t.step = s.Seq, at, int32(step)
	}
	for id, t := range r.shards {
		if int(t.step) != step {
			delete(r.shards, id)
		}
	}
}

// since is how many events came between two sequence numbers. A lower one is of a new session, which began at 1.
func since(before, now int64) int64 {
	if now < before {
		return now
	}
	return now - before
}

// end is the instant of the newest step. The lock is held.
func (r *rings) end() time.Time { return r.began.Add(time.Duration(r.taken) * r.step) }

// series is one measure of the node, oldest first.
func (r *rings) series(measure int) messages.Measured {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seriesLocked(measure)
}

func (r *rings) seriesLocked(measure int) messages.Measured {
	n := min(r.taken, steps)
	out := make(messages.Measured, n)
	for i := range out {
		out[i] = r.node[(r.taken-n+i)%steps][measure]
	}
	return out
}

// shard is what was measured of one shard; ok is false where there is nothing yet.
func (r *rings) shard(id int) (s messages.ShardSeries, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s = messages.ShardSeries{End: r.end(), Step: 2 * r.step.Seconds()}
	t := r.shards[id]
	if t == nil {
		return s, false
	}
	newest := int(t.step)
	s.Rate, s.Latency = make(messages.Measured, 0, shardSteps), make(messages.Measured, 0, shardSteps)
	for step := max(newest-shardSteps+1, 1); step <= newest; step++ {
		s.Rate = append(s.Rate, unpack(t.rate[step%shardSteps]))
		s.Latency = append(s.Latency, unpack(t.latency[step%shardSteps]))
	}
	s.End = r.began.Add(time.Duration(2*newest) * r.step)
	return s, true
}

// rateOf is a shard's rate in its newest step; unknown where there is none.
func (r *rings) rateOf(id int) float32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.shards[id]; t != nil {
		return unpack(t.rate[int(t.step)%shardSteps])
	}
	return unknown
}
