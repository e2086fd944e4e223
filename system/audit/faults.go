package audit

import (
	"context"
	"syscall"
	"time"

	"drover/system/gatewaysim"
	"drover/system/process"
)

// The faults that plans are made of.

// kill ends drover with SIGKILL and starts it again at once. What the network held back is lost with it.
func (r *run) kill() fault {
	return fault{
		name:   "killing drover",
		strike: func(context.Context) error { r.killNode(); return nil },
		lift: func(ctx context.Context) error {
			r.openNetwork()
			return r.startNode(ctx)
		},
	}
}

// restart ends drover with SIGTERM and starts it again. The network works again from the signal on.
func (r *run) restart() fault {
	return fault{
		name: "stopping drover",
		strike: func(context.Context) error {
			return r.stopNode(0, func() { r.proxy.hold(0) })
		},
		lift: r.startNode,
	}
}

// openNetwork loses what was held back and lets everything else pass.
func (r *run) openNetwork() {
	if r.proxy != nil {
		r.proxy.cut()
		r.proxy.hold(0)
	}
}

// cut ends the connections between drover and NATS.
func (r *run) cut() fault {
	return fault{
		name:   "cutting the connections to NATS",
		strike: func(context.Context) error { r.openNetwork(); return nil },
	}
}

// blackhole swallows what goes one way, or both, for a while.
func (r *run) blackhole(ways direction) fault {
	return fault{
		name: "leaving NATS behind " + ways.String(), hold: ways, lasts: r.lasts,
		strike: func(context.Context) error { return nil },
		lift:   func(context.Context) error { r.proxy.hold(0); return nil },
	}
}

func (r *run) natsTerm(lasts time.Duration) fault {
	return fault{
		name: "stopping nats-server", hold: acks, lasts: lasts,
		strike: func(context.Context) error {
			r.proxy.hold(0)
			r.nats.proc.Signal(syscall.SIGTERM)
			_, err := r.nats.proc.Await(patience)
			return err
		},
		lift: r.nats.start,
	}
}

func (r *run) natsKill(lasts time.Duration) fault {
	return fault{
		name: "killing nats-server", hold: acks, lasts: lasts,
		strike: func(context.Context) error {
			r.nats.proc.Kill()
			r.openNetwork()
			return nil
		},
		lift: r.nats.start,
	}
}

// natsStop freezes NATS: connections stay, and nobody answers.
func (r *run) natsStop(lasts time.Duration) fault {
	return fault{
		name: "freezing nats-server", hold: acks, lasts: lasts,
		strike: func(context.Context) error {
			r.nats.proc.Signal(process.Freeze)
			r.proxy.hold(0)
			return nil
		},
		lift: func(context.Context) error { r.nats.proc.Signal(process.Thaw); return nil },
	}
}

// dropAll ends every connection to Discord without a close frame.
func (r *run) dropAll() fault {
	return fault{
		name:   "dropping every gateway connection",
		strike: func(context.Context) error { r.sim.Drop(gatewaysim.All); return nil },
	}
}

// refuseDials ends every connection and lets nobody in for a while.
func (r *run) refuseDials(lasts time.Duration) fault {
	f := r.dropAll()
	f.name, f.lasts = "refusing every dial to the gateway", lasts
	f.strike = func(context.Context) error {
		for _, host := range []gatewaysim.HostKind{gatewaysim.HostBase, gatewaysim.HostResume} {
			// Reset and not a shut listener: so the dials can be counted.
			if err := r.sim.RefuseDials(host, gatewaysim.DialReset, gatewaysim.Forever); err != nil {
				return err
			}
		}
		r.sim.Drop(gatewaysim.All)
		return nil
	}
	f.lift = func(context.Context) error { return r.sim.Clear() }
	return f
}

// resumeHost makes the host that READY names useless until drover has recovered without it.
func (r *run) resumeHost(mode gatewaysim.DialMode) fault {
	f := r.dropAll()
	f.name = "dropping every gateway connection, the host for resuming dead (" + string(mode) + ")"
	f.strike = func(context.Context) error {
		if err := r.sim.RefuseDials(gatewaysim.HostResume, mode, gatewaysim.Forever); err != nil {
			return err
		}
		r.sim.Drop(gatewaysim.All)
		return nil
	}
	f.after = r.sim.Clear
	return f
}

func (r *run) silentResume() fault {
	f := r.dropAll()
	f.name = "dropping every gateway connection and answering no RESUME once"
	f.strike = func(context.Context) error {
		r.sim.AnswerResume(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerSilence}, gatewaysim.Limit{Count: r.o.Shards})
		r.sim.Drop(gatewaysim.All)
		return nil
	}
	f.after = r.sim.Clear
	return f
}

func (r *run) silentEdge() fault {
	f := r.dropAll()
	f.name = "dropping every gateway connection and saying no HELLO once"
	f.strike = func(context.Context) error {
		r.sim.SilentEdge(gatewaysim.Limit{Count: r.o.Shards})
		r.sim.Drop(gatewaysim.All)
		return nil
	}
	f.after = r.sim.Clear
	return f
}

// invalidSessions ends every session: each RESUME gets op 9 false.
func (r *run) invalidSessions() fault {
	f := r.dropAll()
	f.name = "ending every session"
	f.strike = func(context.Context) error {
		r.sim.AnswerResume(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerInvalid}, gatewaysim.Limit{Count: r.o.Shards})
		r.sim.Drop(gatewaysim.All)
		return nil
	}
	f.after = r.sim.Clear
	return f
}
