package audit

import (
	"context"
	"fmt"
	"time"

	"drover/system/process"
)

// settle makes everything whole, ends the traffic, and waits until nothing more can come: everything
// that was sent is stored or declared lost, or drover says that it has nothing left and nothing has changed
// for a while. Then drover is asked to end, which must work.
func (r *run) settle(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	r.sim.SetRate(0)
	if err := r.heal(ctx); err != nil {
		r.complain("%v", err)
	}
	r.say("%s events sent, waiting until all is stored", grouped(r.sim.Counts().TrafficMade))
	if err := r.await(ctx); err != nil && ctx.Err() == nil {
		r.complain("%v", err)
	}
	if ctx.Err() != nil {
		return
	}
	downs := map[int]int{}
	for shard := range r.o.Shards {
		downs[shard] = r.recorder.downsOf(shard)
	}
	if err := r.stopAll(0, nil, r.running()...); err != nil {
		r.complain("%v", err)
	}
	if r.nats == nil {
		return // it ended with drover
	}
	// The last that a shard says is shard.down: behind it there is nothing.
	_ = process.Until(ctx, 10*time.Second, "shard.down", func() (bool, string) {
		for shard, before := range downs {
			if r.recorder.downsOf(shard) == before {
				return false, ""
			}
		}
		return true, ""
	})
}

// heal undoes every fault that can be under way.
func (r *run) heal(ctx context.Context) error {
	if err := r.sim.Clear(); err != nil {
		return err
	}
	r.eachProxy(func(p *proxy) {
		p.slow(0)
		p.hold(0)
	})
	for _, b := range r.brokers {
		if b.proc.Running() {
			b.proc.Signal(process.Thaw)
		} else if err := b.start(ctx); err != nil {
			return err
		}
	}
	for _, n := range r.nodes {
		if n.away {
			r.thaw(n)
		}
		if n.proc == nil || !n.proc.Running() {
			if err := r.startAll(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// await waits until nothing more can come.
func (r *run) await(ctx context.Context) error {
	const quiet = 8 * time.Second // longer than any back-off and time-out of drover
	changed, before := time.Now(), -1
	var next time.Time // looking through everything takes its time
	left := 0
	return process.Until(ctx, patience+r.lasts, "all is stored", func() (bool, string) {
		if len(r.running()) < len(r.nodes) {
			return true, "" // the exit code and what is missing tell
		}
		if time.Now().Before(next) {
			return false, fmt.Sprintf("%d events are missing", left)
		}
		looked := time.Now()
		left = r.missing(r.sent())
		next = time.Now().Add(max(100*time.Millisecond, 4*time.Since(looked)))
		_, all, _ := r.recorder.counts()
		if all != before {
			before, changed = all, time.Now()
		}
		ready, why := r.ready(ctx)
		unacked := r.unacked(ctx)
		switch {
		case !ready:
			return false, why
		case unacked != 0:
			return false, fmt.Sprintf("%d events are unacknowledged", unacked)
		}
		return left == 0 || time.Since(changed) > quiet, fmt.Sprintf("%d events are missing", left)
	})
}

// missing counts what of sent is neither stored nor declared lost.
func (r *run) missing(sent []Sent) int {
	_, gaps, _ := r.recorder.all()
	n := 0
	for i := range sent {
		if r.recorder.has(sent[i].Session, sent[i].Seq) {
			continue
		}
		covered := false
		for _, g := range gaps {
			covered = covered || g.covers(&sent[i], shedTypes)
		}
		if !covered {
			n++
		}
	}
	return n
}

// shedTypes are what drover may drop when its spool is full, by default.
var shedTypes = []string{"TYPING_START", "PRESENCE_UPDATE"}

// sent lists what drover has to publish of what the simulator made: all but READY and RESUMED.
func (r *run) sent() []Sent { return SentBy(r.sim) }
