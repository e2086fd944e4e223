package audit

import (
	"context"
	"fmt"
	"time"

	"drover/system/gatewaysim"
	"drover/system/process"
)

// fault is one thing that goes wrong: it is armed, strikes, lasts, is lifted, and drover recovers.
type fault struct {
	name string // what is happening, for people: "killing nats-server"
	// hold is what the network holds back beforehand, until events are unacknowledged: else the fault would
	// mostly strike when nothing is at stake, for acknowledgements take less than a millisecond here.
	hold   direction
	armed  int // how many must be unacknowledged; 0: as many as least
	strike func(context.Context) error
	lasts  time.Duration
	lift   func(context.Context) error
	after  func() error // when drover has recovered, for faults that it can live with; may be nil
}

// least is how many events are unacknowledged at least when a fault strikes for which some were held back.
const least = 20

// inflict does all of that, under traffic.
func (r *run) inflict(ctx context.Context, f fault) error {
	if err := r.flow(ctx); err != nil {
		return err
	}
	unacked := r.arm(ctx, f)
	r.say("%s events sent, %s with %s unacknowledged", grouped(r.sim.Counts().TrafficMade), f.name, grouped(int64(unacked)))
	r.result.Faults = append(r.result.Faults, Strike{Name: f.name, Unacked: unacked})
	if f.hold != 0 && unacked == 0 {
		r.result.Toothless++
	}
	if err := f.strike(ctx); err != nil {
		return err
	}
	if err := r.last(ctx, f.lasts); err != nil {
		return err
	}
	if f.lift != nil {
		if err := f.lift(ctx); err != nil {
			return err
		}
	}
	r.eachProxy(func(p *proxy) { p.hold(0) })
	took, err := r.recover(ctx)
	if err != nil {
		return fmt.Errorf("after %s: %w", f.name, err)
	}
	r.result.Faults[len(r.result.Faults)-1].Recovery = took.Seconds()
	if r.plan.Memory {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
	}
	if f.after != nil {
		return f.after()
	}
	return nil
}

// flow waits until some traffic was stored, so that each fault strikes a node at work.
func (r *run) flow(ctx context.Context) error {
	if r.plan.Quiet {
		return nil
	}
	before, _, _ := r.recorder.counts()
	want := before + max(min(int(r.o.Rate/4), 400), 10)
	return process.Until(ctx, patience, "traffic is stored", func() (bool, string) {
		now, _, _ := r.recorder.counts()
		return now >= want, fmt.Sprintf("%d of %d", now, want)
	})
}

// arm holds back what f wants, and returns how many events drover knows to be unacknowledged.
func (r *run) arm(ctx context.Context, f fault) int {
	if f.hold == 0 {
		return max(r.unacked(ctx), 0)
	}
	r.proxy.hold(f.hold)
	want, got := max(f.armed, least), 0
	// A drover that takes no notice of missing acknowledgements is not waited for.
	enough := r.sim.Counts().TrafficMade + 2*int64(want) + int64(2*r.o.Rate)
	_ = process.Until(ctx, 15*time.Second, "unacknowledged events", func() (bool, string) {
		got = max(got, r.unacked(ctx))
		return got >= want || r.sim.Counts().TrafficMade >= enough, ""
	}) // what there is then is reported
	return got
}

// unacked is what drover says about itself, just before something happens to it.
func (r *run) unacked(ctx context.Context) int {
	return int(r.metric(ctx, "gateway_unacked_events"))
}

// last lets a fault last.
func (r *run) last(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// recover waits until drover is well again and returns how long that took: from the end of the fault (the network
// passes, NATS or drover was started again) until /ready says yes and every shard has acknowledged what its session
// had been sent by the end of the fault, or has another session.
func (r *run) recover(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	newest := map[int]gatewaysim.SessionState{}
	for _, s := range r.sim.State().Sessions {
		newest[s.ShardID] = s
	}
	// What an outage has left in the spool is counted in.
	err := process.Until(ctx, patience+r.lasts, "drover recovers", func() (bool, string) {
		if ok, why := r.ready(ctx); !ok {
			return false, why
		}
		states := r.shards(ctx)
		if len(states) != r.o.Shards {
			return false, fmt.Sprintf("%d of %d shards", len(states), r.o.Shards)
		}
		for _, s := range states {
			was, ok := newest[s.ID]
			if s.State != "ready" || ok && s.Session == short(was.ID) && s.Acked < was.Seq {
				return false, fmt.Sprintf("shard %d is %s and has acknowledged up to %d of %d", s.ID, s.State, s.Acked, was.Seq)
			}
		}
		return true, ""
	})
	return time.Since(began), err
}

// catchUp waits until the recorder has read what is stored: what dies with a memory stream before it was read could not
// be told from what drover lost. What does not come is judged at the end.
func (r *run) catchUp(ctx context.Context) error {
	sent := r.sent()
	_ = process.Until(ctx, 15*time.Second, "recorder", func() (bool, string) { return r.missing(sent) == 0, "" })
	return context.Cause(ctx)
}

func short(session string) string { return session[:min(8, len(session))] }
