package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"drover/system/gatewaysim"
	"drover/system/process"
)

// run is one plan at work. One goroutine uses it.
type run struct {
	o      Options
	plan   Plan
	dir    string
	began  time.Time
	lasts  time.Duration // of a fault that lasts
	result Result

	sim      *gatewaysim.Server
	simLog   io.Closer
	addrs    []string // of the NATS servers
	brokers  []*broker
	nats     *broker // the first of them; nil where drover's embedded server is used
	proxy    *proxy
	recorder *recorder
	wiretap  *wiretap // with several nodes; else nil
	holders  *holders // the same
	nodes    []*node
	node     *node // the first of them, with proxy

	strict bool                    // the node may not end by itself
	fail   context.CancelCauseFunc // ends the script
	undo   []func()                // what end has to put back
}

// patience bounds every wait for a condition. Nothing takes so long unless it is broken.
const patience = 2 * time.Minute

// start brings everything up and returns when drover is ready and traffic flows.
func (r *run) start(ctx context.Context) error {
	simLog, err := os.Create(filepath.Join(r.dir, "simulator.log"))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	r.simLog = simLog
	w := r.world()
	w.Log = slog.New(slog.NewTextHandler(simLog, nil))
	r.sim = gatewaysim.New(w)
	if err := r.sim.Start("127.0.0.1:0"); err != nil {
		return fmt.Errorf("audit: simulator: %w", err)
	}
	if err := r.startBrokers(ctx, simLog); err != nil {
		return err
	}
	if r.recorder, err = record(context.WithoutCancel(ctx), r.natsURL(), slog.New(slog.NewTextHandler(simLog, nil))); err != nil {
		return err
	}
	if r.plan.Nodes > 1 {
		r.wiretap = newWiretap()
		r.holders = watchHolders(context.WithoutCancel(ctx), r.recorder.broker, r.wiretap.claimed)
	}
	if err := r.makeNodes(); err != nil {
		return err
	}
	if r.plan.Prepare != nil {
		if err := r.plan.Prepare(r); err != nil {
			return err
		}
	}
	if err := r.startAll(ctx, r.nodes[:len(r.nodes)-r.plan.Late]...); err != nil {
		return err
	}
	if err := process.Until(ctx, patience, "drover is ready", func() (bool, string) { return r.ready(ctx) }); err != nil {
		return err
	}
	if err := r.warmUp(ctx); err != nil {
		return err
	}
	if !r.plan.Quiet {
		r.sim.SetRate(r.o.Rate)
	}
	return nil
}

// warmUp waits until the guilds are loaded and stored, and every session has its first checkpoint: a fault in the first second
// of a bot's life is a plan's own business, and no plan's accident.
func (r *run) warmUp(ctx context.Context) error {
	return process.Until(ctx, patience, "the first guilds are stored", func() (bool, string) {
		sent := r.sent()
		missing, saved := r.missing(sent), int(r.metric(ctx, "gateway_checkpoints_total"))
		return len(sent) > 0 && missing == 0 && r.unacked(ctx) == 0 && saved >= r.o.Shards, fmt.Sprintf("%d of %d are missing, %d checkpoints", missing, len(sent), saved)
	})
}

// basic is what every process gets. Nothing of this process's environment reaches drover: the audit is of what
// the plan says.
func (r *run) basic() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir}
}

// environment is the configuration of a node.
func (r *run) environment(n *node) []string {
	level := "info"
	if r.o.Verbose {
		level = "debug"
	}
	env := append(r.basic(),
		"DISCORD_TOKEN="+token, "DISCORD_INTENTS=all", "DROVER_DISCORD_API_URL="+r.sim.APIURL(),
		"DROVER_HTTP_ADDR=127.0.0.1:0", "DROVER_CLUSTER_NODE="+cmp.Or(n.name, "audit"), "DROVER_LOG_LEVEL="+level,
		"DROVER_NATS_EMBEDDED_LISTEN="+r.addrs[0], "DROVER_NATS_EMBEDDED_DATA_DIR="+filepath.Join(n.dir, "data"),
		"DROVER_SPOOL_DIR="+filepath.Join(n.dir, "spool"),
	)
	if len(n.proxies) > 0 {
		var urls []string
		for _, p := range n.proxies {
			urls = append(urls, p.url())
		}
		env = append(env, "NATS_URL="+strings.Join(urls, ","))
	}
	storage := "file"
	if r.plan.Memory {
		storage = "memory"
	}
	env = append(env, "DROVER_STREAMS_EVENTS_STORAGE="+storage, "DROVER_STREAMS_COMMANDS_STORAGE="+storage)
	env = append(env, r.plan.Env...)
	return append(env, r.o.Env...)
}

func (r *run) spool() string { return filepath.Join(r.dir, "spool") }

// end stops every process, in whatever state it is, and then the rest.
func (r *run) end() {
	r.strict = false
	for _, n := range r.nodes {
		if n.proc != nil {
			n.proc.Kill()
		}
	}
	for _, b := range r.brokers {
		b.proc.Kill()
	}
	if r.holders != nil {
		r.holders.close()
	}
	if r.recorder != nil {
		r.recorder.close()
	}
	r.eachProxy((*proxy).close)
	if r.sim != nil {
		r.sim.Close()
	}
	for _, undo := range r.undo {
		undo()
	}
	if r.simLog != nil {
		r.simLog.Close()
	}
}

// say tells what is happening.
func (r *run) say(format string, args ...any) {
	r.o.Say(r.plan.Name + ": " + fmt.Sprintf(format, args...))
}

// complain notes why the plan fails.
func (r *run) complain(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.result.Complaints = append(r.result.Complaints, text)
	r.say("%s", text)
}

// script runs the plan's faults, and traffic until enough events were made.
func (r *run) script(ctx context.Context) {
	inside, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r.fail, r.strict = fail, true
	for _, n := range r.nodes {
		if n.proc != nil {
			r.watch(n)
		}
	}
	err := r.plan.Script(inside, r)
	if err == nil && r.sim.Counts().TrafficMade < r.o.Events {
		r.say("traffic until %s events were made", grouped(r.o.Events))
		r.sim.SetRate(r.o.Rate)
		most := patience + time.Duration(float64(r.o.Events)/r.o.Rate*float64(time.Second))*2
		err = process.Until(inside, most, "traffic", func() (bool, string) {
			made := r.sim.Counts().TrafficMade
			return made >= r.o.Events, fmt.Sprintf("%d of %d events made", made, r.o.Events)
		})
	}
	r.strict = false
	if err != nil && ctx.Err() == nil {
		r.complain("%v", err)
	}
}

// watch ends the script when the process that n is now ends by itself.
func (r *run) watch(n *node) {
	proc, ending, fail := n.proc, n.ending, r.fail
	go func() { // ends with the process, which end kills
		<-proc.Exited()
		select {
		case <-ending:
		default:
			fail(errors.New(n.obituary()))
		}
	}()
}
