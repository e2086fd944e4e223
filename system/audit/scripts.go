package audit

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"drover/system/gatewaysim"
	"drover/system/process"
)

// The scripts of plans that are more than a list of faults.

// killDrover kills drover with something under way in each direction, and then where a checkpoint that runs ahead of the
// acknowledgements would show: when much was read and little of it was sent, while NATS takes a checkpoint.
func killDrover(ctx context.Context, r *run) error {
	if err := inEachDirection(ctx, r, func(direction) fault { return r.kill() }); err != nil {
		return err
	}
	f := r.kill()
	f.name, f.hold, f.armed = "killing drover while it sends again what was unknown", events, int(2*r.o.Rate)
	f.strike = func(ctx context.Context) error {
		r.proxy.slow(150 * time.Millisecond)
		r.openNetwork()
		if err := r.last(ctx, 2*time.Second); err != nil {
			return err
		}
		r.struck(r.unacked(ctx))
		r.killNode()
		r.proxy.slow(0)
		return nil
	}
	return r.inflict(ctx, f)
}

// struck corrects how many events were unacknowledged, for faults that strike in two steps.
func (r *run) struck(unacked int) {
	r.result.Faults[len(r.result.Faults)-1].Unacked = unacked
	if unacked <= 0 {
		r.result.Toothless++
	}
	r.say("%s events are unacknowledged now", grouped(int64(unacked)))
}

// unknownOld lets acknowledgements stay away until JetStream has forgotten the ids: sent again, every stored event would
// be stored twice. Only reading back what is stored prevents it.
func unknownOld(ctx context.Context, r *run) error {
	f := r.kill()
	f.name, f.hold, f.armed = "killing drover, to be started when the ids are forgotten,", acks, 100
	start := f.lift
	f.lift = func(ctx context.Context) error {
		if err := r.last(ctx, r.lasts); err != nil {
			return err
		}
		return start(ctx)
	}
	return inTurn(ctx, r, r.blackhole(acks), f)
}

// down takes NATS away and lets drover fill its spool.
func (r *run) down(ctx context.Context) error {
	r.nats.proc.Kill()
	r.openNetwork()
	if err := r.last(ctx, r.lasts); err != nil {
		return err
	}
	r.struck(r.unacked(ctx))
	return nil
}

// natsDownKill kills drover in an outage of NATS, and brings first the one back and then the other.
func natsDownKill(ctx context.Context, r *run) error {
	return inTurn(ctx, r, r.downKill(true), r.downKill(false))
}

func natsDownKillLate(ctx context.Context, r *run) error { return inTurn(ctx, r, r.downKill(true)) }

func (r *run) downKill(natsFirst bool) fault {
	f := r.kill()
	f.name, f.hold = "taking NATS away and killing drover", events
	f.strike = func(ctx context.Context) error {
		if err := r.down(ctx); err != nil {
			return err
		}
		r.killNode()
		return nil
	}
	f.lift = func(ctx context.Context) error {
		first, second := r.nats.start, r.startNode
		if !natsFirst {
			first, second = second, first
		}
		if err := first(ctx); err != nil {
			return err
		}
		return second(ctx)
	}
	return f
}

var leftBehind = regexp.MustCompile(`\b[1-9]\d* events\b`)

// drainWhileDown stops drover with SIGTERM while NATS is away: it must say what it could not do.
func drainWhileDown(ctx context.Context, r *run) error {
	f := r.downKill(true)
	f.name = "taking NATS away and stopping drover"
	f.strike = func(ctx context.Context) error {
		if err := r.down(ctx); err != nil {
			return err
		}
		if err := r.stopNode(1, nil); err != nil {
			return err
		}
		if !leftBehind.MatchString(r.node.words()) {
			r.complain("drover ended with exit code 1 and does not say how many events are unacknowledged: %q", r.node.words())
		}
		return nil
	}
	return r.inflict(ctx, f)
}

func refused(ctx context.Context, r *run) error { return inTurn(ctx, r, r.refuseDials(r.lasts)) }

func deadResumeHost(ctx context.Context, r *run) error {
	return inTurn(ctx, r, r.resumeHost(gatewaysim.DialHang), r.resumeHost(gatewaysim.DialRefuse))
}

// spoolFull fills the spool with events that may be dropped, so that the readers never stop, and then with others, so that
// they do: the first are dropped and counted, the others come when NATS is back.
func spoolFull(ctx context.Context, r *run) error {
	note := make([]byte, 1000)
	for i := range note {
		note[i] = 'x'
	}
	data := fmt.Appendf(nil, `{"guild_id":"1","note":"%s"}`, note)
	send := func(t string, each int) error {
		for range each {
			if _, err := r.sim.Dispatch(gatewaysim.All, t, data); err != nil {
				return err
			}
		}
		return nil
	}
	f := fault{name: "taking NATS away until the spool is full", lift: r.nats.start}
	f.strike = func(ctx context.Context) error {
		r.nats.proc.Kill()
		r.openNetwork()
		each := 4 << 20 / len(data) / r.o.Shards // 4 MiB over all shards: more than any spool here takes
		// What may not be dropped has to be in before one shard can fill the spool, or the readers of others stop too early.
		for _, part := range []struct {
			t    string
			each int
		}{{"MESSAGE_CREATE", 20}, {"TYPING_START", each}} {
			if err := send(part.t, part.each); err != nil {
				return err
			}
			if err := r.awaitRead(ctx); err != nil {
				return err
			}
		}
		r.struck(r.unacked(ctx))
		return send("MESSAGE_CREATE", 20)
	}
	return r.inflict(ctx, f)
}

// awaitRead waits until drover has read everything that was sent.
func (r *run) awaitRead(ctx context.Context) error {
	return process.Until(ctx, patience, "everything is read", func() (bool, string) {
		newest := map[string]int64{}
		for _, s := range r.sim.State().Sessions {
			newest[short(s.ID)] = s.Seq
		}
		states := r.shards(ctx)
		for _, s := range states {
			if s.Received < newest[s.Session] {
				return false, fmt.Sprintf("shard %d has read up to %d of %d", s.ID, s.Received, newest[s.Session])
			}
		}
		return len(states) == r.o.Shards, ""
	})
}
