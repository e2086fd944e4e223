package audit

import (
	"context"
	"time"

	"drover/system/gatewaysim"
)

// Plans are all there are, in the order in which --all runs them. Each call makes new ones.
func Plans() []Plan {
	return append(nodePlans(), clusterPlans()...)
}

// nodePlans are the plans with one node.
func nodePlans() []Plan {
	return []Plan{
		{
			Name:     "kill-drover",
			Sentence: "drover is killed with SIGKILL under load, with events or acknowledgements under way, and in the middle of a replay",
			Env:      fast, Script: killDrover,
		},
		{
			Name:     "term-drover",
			Sentence: "drover is restarted with SIGTERM under load, three times",
			Script: func(ctx context.Context, r *run) error {
				return inEachDirection(ctx, r, func(direction) fault { return r.restart() })
			},
		},
		{
			Name:     "kill-embedded",
			Sentence: "drover is killed with SIGKILL together with the NATS server inside it",
			Embedded: true,
			Script: func(ctx context.Context, r *run) error {
				return inTurn(ctx, r, r.kill(), r.kill(), r.kill())
			},
		},
		natsPlan("nats-term-file", "NATS is stopped with SIGTERM and comes back; the streams are files", false, (*run).natsTerm, time.Second),
		natsPlan("nats-kill-file", "NATS is killed with SIGKILL and comes back; the streams are files", false, (*run).natsKill, time.Second),
		natsPlan("nats-stop-file", "NATS stands still for 8 s (SIGSTOP); the streams are files", false, (*run).natsStop, 8*time.Second),
		natsPlan("nats-term-memory", "NATS is stopped with SIGTERM and comes back without its memory streams", true, (*run).natsTerm, time.Second),
		natsPlan("nats-kill-memory", "NATS is killed with SIGKILL and comes back without its memory streams", true, (*run).natsKill, time.Second),
		natsPlan("nats-stop-memory", "NATS stands still for 10 s (SIGSTOP); the streams are in memory", true, (*run).natsStop, 10*time.Second),
		{
			Name:     "cut",
			Sentence: "the connections between drover and NATS are cut under load, with events or acknowledgements on them",
			Script: func(ctx context.Context, r *run) error {
				if err := inEachDirection(ctx, r, func(direction) fault { return r.cut() }); err != nil {
					return err
				}
				return inEachDirection(ctx, r, func(direction) fault { return r.cut() })
			},
		},
		{
			Name:     "blackhole",
			Sentence: "the network between drover and NATS swallows everything for 10 s and then goes on",
			Lasts:    10 * time.Second,
			Script: func(ctx context.Context, r *run) error {
				return inTurn(ctx, r, r.blackhole(both))
			},
		},
		{
			Name:     "unknown-old",
			Sentence: "acknowledgements are missing for longer than JetStream's duplicate window (here 4 s), in a living drover and over a kill",
			Env:      with(fast, "DROVER_STREAMS_EVENTS_DUPLICATES=4s", "DROVER_STREAMS_COMMANDS_DUPLICATES=4s"),
			Lasts:    5 * time.Second, Script: unknownOld,
		},
		{
			Name:     "nats-down-kill",
			Sentence: "NATS is away, drover sets events aside on disk, is killed with SIGKILL, and both come back",
			Env:      with(fast, "DROVER_PUBLISH_WINDOW=64"), Lasts: 2 * time.Second, Script: natsDownKill,
		},
		{
			Name:     "nats-down-kill-late",
			Sentence: "the same, but Discord's replay buffer has overflowed meanwhile: the spool is published, the rest is a declared gap",
			Env:      with(fast, "DROVER_PUBLISH_WINDOW=64"), Lasts: 2 * time.Second, Script: natsDownKillLate,
			World:  func(w *gatewaysim.Options) { w.ReplayBuffer = 120 },
			Expect: Expect{Identifies: 1, Gaps: gapsOf("session_lost", 1, 1)},
		},
		{
			Name:     "drain-while-nats-down",
			Sentence: "drover is stopped with SIGTERM while NATS is away: exit code 1 with a count; after a restart everything arrives",
			Env:      with(fast, "DROVER_SHUTDOWN_TIMEOUT=2s"), Lasts: time.Second, Script: drainWhileDown,
		},
		{
			Name:     "outage-long",
			Sentence: "NATS is away for 60 s under load: the spool carries it",
			Lasts:    time.Minute,
			Script: func(ctx context.Context, r *run) error {
				r.sim.SetRate(max(r.o.Rate, 1000))
				return inTurn(ctx, r, r.natsKill(r.lasts))
			},
		},
		{
			Name:     "spool-full",
			Sentence: "NATS is away until the spool is full (here 1 MiB): events that may be dropped are, and counted in a declared gap; others wait",
			Env:      with(fast, "DROVER_PUBLISH_WINDOW=64", "DROVER_SPOOL_MAX_BYTES=1048576"), Quiet: true, Script: spoolFull,
			Expect: Expect{Gaps: gapsOf(Shed, 1, 1)},
		},
		{
			Name:     "disk-full",
			Sentence: "NATS is away until the spool's disk is full (a tmpfs of 2 MiB, as root on Linux): the same",
			Env:      with(fast, "DROVER_PUBLISH_WINDOW=64"), Quiet: true, Prepare: smallDisk, Script: spoolFull,
			Expect: Expect{Gaps: gapsOf(Shed, 1, 1)},
		},
		gatewayPlan("gateway-refused", "every connection to Discord ends and every dial is refused for 8 s", 8*time.Second, 1+10, 0, refused),
		gatewayPlan("gateway-drop-all", "Discord drops every connection at once, four times", 0, 1+4*3, 0, func(ctx context.Context, r *run) error {
			return inTurn(ctx, r, r.dropAll(), r.dropAll(), r.dropAll(), r.dropAll())
		}),
		gatewayPlan("dead-resume-host", "every connection ends and the host for resuming is dead: it hangs, then refuses", 0, 0, noticed, deadResumeHost),
		gatewayPlan("silent-resume", "every connection ends, and the next RESUME of each shard is never answered", 0, 0, noticed, func(ctx context.Context, r *run) error {
			return inTurn(ctx, r, r.silentResume())
		}),
		gatewayPlan("silent-edge", "every connection ends, and the next edges accept connections and say nothing, not even HELLO", 0, 0, noticed, func(ctx context.Context, r *run) error {
			return inTurn(ctx, r, r.silentEdge())
		}),
		{
			Name:     "invalid-session",
			Sentence: "every connection ends and every RESUME is answered with op 9 false: the sessions are gone",
			Script: func(ctx context.Context, r *run) error {
				return inTurn(ctx, r, r.invalidSessions())
			},
			Expect: Expect{Identifies: 1, Gaps: gapsOf("session_lost", 1, 1)},
		},
		{
			Name:     "random",
			Sentence: "a seeded mix of all of these, for --for",
			Env:      fast, Script: randomMix,
			Expect: Expect{Identifies: anything, Gaps: map[string][2]int{"session_lost": {0, 1 << 20}, "spool_stranded": {0, 1 << 20}}},
		},
		{
			Name:     "random-memory",
			Sentence: "the same with memory streams",
			Memory:   true, Env: fast, Script: randomMix,
			Expect: Expect{Identifies: anything, Gaps: map[string][2]int{"session_lost": {0, 1 << 20}, "spool_stranded": {0, 1 << 20}, StreamLost: {0, 1 << 20}}},
		},
	}
}

// natsPlan is a plan that stops NATS twice in one way.
func natsPlan(name, sentence string, memory bool, way func(*run, time.Duration) fault, lasts time.Duration) Plan {
	p := Plan{
		Name: name, Sentence: sentence, Memory: memory, Lasts: lasts, Env: fast,
		Script: func(ctx context.Context, r *run) error {
			a, b := way(r, r.lasts), way(r, r.lasts)
			a.hold, b.hold = acks, events
			if r.lasts >= 5*time.Second {
				return inTurn(ctx, r, a)
			}
			return inTurn(ctx, r, a, b)
		},
	}
	if memory && lasts < 5*time.Second {
		p.Expect.Gaps = gapsOf(StreamLost, 2, 2) // one for each death
	}
	return p
}

// noticed is how long a dead connection to Discord may take to be noticed, two heartbeat intervals, and to be replaced: the
// back-off of some dials comes on top of it.
const noticed = 2*heartbeat + 11*time.Second

// heartbeat is the interval in plans about the gateway: Discord's, since drover's time-outs are made for it.
const heartbeat = 41250 * time.Millisecond

// gatewayPlan is a plan in which Discord fails and every session could be resumed.
func gatewayPlan(name, sentence string, lasts time.Duration, dials int, recovery time.Duration, script func(context.Context, *run) error) Plan {
	return Plan{
		Name: name, Sentence: sentence, Lasts: lasts, Script: script, Expect: Expect{Dials: dials, Recovery: recovery},
		// What is judged is the way back. Discord's buffer must not be what ends it.
		World: func(w *gatewaysim.Options) { w.ReplayBuffer, w.Heartbeat = 100_000, heartbeat },
	}
}
