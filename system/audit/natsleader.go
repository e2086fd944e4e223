package audit

import (
	"context"
	"time"

	"drover/system/process"
)

// natsLeaderPlan is about the death of a member of NATS' cluster.
func natsLeaderPlan() Plan {
	p := clusterPlan("cluster-nats-leader", "of three NATS servers that hold copies of everything, the leader of the leases is killed with SIGKILL, then that of the events, then two of the three are away: no pool moves", natsLeader)
	p.Brokers = 3
	p.Env = with(p.Env, "DROVER_STREAMS_EVENTS_REPLICAS=3", "DROVER_STREAMS_COMMANDS_REPLICAS=3")
	p.Lasts = 12 * time.Second // longer than an election, of 4 to 9 s
	return p
}

// natsLeader kills who leads a stream. With the process goes whatever else it led, and a third of the connections. At last it also freezes
// another one: the third is reached, answers what can be read, and can write nothing.
func natsLeader(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	before, began := r.pools(ctx), time.Now()
	leases := "KV_" + leaseBucket
	for _, blow := range []struct {
		stream   string
		majority bool
	}{{leases, false}, {"EVENTS", false}, {leases, true}} {
		leader, err := r.leaderOf(ctx, blow.stream)
		if err != nil {
			return err
		}
		f := fault{
			name: "killing " + leader.name + ", which leads " + blow.stream + ",", lasts: r.lasts,
			strike: func(context.Context) error { leader.proc.Kill(); return nil },
			lift:   leader.start,
		}
		if blow.majority {
			other := r.brokers[0]
			if other == leader {
				other = r.brokers[1]
			}
			f.name += " and freezing " + other.name
			f.strike = func(context.Context) error {
				other.proc.Signal(process.Freeze)
				leader.proc.Kill()
				return nil
			}
			f.lift = func(ctx context.Context) error {
				other.proc.Signal(process.Thaw)
				return leader.start(ctx)
			}
		}
		if err := r.inflict(ctx, f); err != nil {
			return err
		}
		r.stayed(ctx, before, began, f.name)
	}
	return nil
}
