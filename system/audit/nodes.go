package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"drover/system/process"
)

// The nodes of a run, one by one and together.

// makeNodes makes the plan's nodes, each with its own way to NATS. None is started.
func (r *run) makeNodes() error {
	for i := range max(r.plan.Nodes, 1) {
		n := &node{program: r.o.Drover, dir: r.dir}
		if r.plan.Nodes > 1 {
			n.name = fmt.Sprintf("node-%d", i+1)
			n.dir = filepath.Join(r.dir, n.name)
			if err := os.Mkdir(n.dir, 0o750); err != nil {
				return fmt.Errorf("audit: %w", err)
			}
		}
		if r.wiretap != nil {
			n.tap = &tap{w: r.wiretap, node: i}
		}
		for _, b := range r.brokers {
			p, err := newProxy(b.addr, n.tap)
			if err != nil {
				return err
			}
			n.proxies = append(n.proxies, p)
		}
		n.env = r.environment(n)
		r.nodes = append(r.nodes, n)
	}
	r.node = r.nodes[0]
	if len(r.node.proxies) > 0 {
		r.proxy = r.node.proxies[0]
	}
	return nil
}

// startAll starts nodes at once, and watches them while the script runs.
func (r *run) startAll(ctx context.Context, nodes ...*node) error {
	started := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() { started <- n.start(ctx) }() // all are waited for
	}
	var first error
	for range nodes {
		if err := <-started; err != nil && first == nil {
			first = err
		}
	}
	for _, n := range nodes {
		if first == nil && r.strict {
			r.watch(n)
		}
	}
	return first
}

// startNode is startAll for the first node.
func (r *run) startNode(ctx context.Context) error { return r.startAll(ctx, r.node) }

// killNode ends the first node with SIGKILL.
func (r *run) killNode() { r.killOne(r.node) }

func (r *run) killOne(n *node) {
	n.expectEnd()
	n.proc.Kill()
	r.result.Exits = append(r.result.Exits, "killed")
}

// stopNode asks the first node to end, and wants the exit code. meanwhile is called when it has been asked; it may be nil.
func (r *run) stopNode(want int, meanwhile func()) error {
	return r.stopAll(want, meanwhile, r.node)
}

func (r *run) stopAll(want int, meanwhile func(), nodes ...*node) error {
	for _, n := range nodes {
		n.expectEnd()
		n.proc.Signal(syscall.SIGTERM)
	}
	if meanwhile != nil {
		meanwhile()
	}
	for _, n := range nodes {
		code, err := n.proc.Await(patience)
		if err != nil {
			return err
		}
		r.result.Exits = append(r.result.Exits, fmt.Sprint(code))
		if code != want {
			return fmt.Errorf("drover %s ended with exit code %d after SIGTERM, want %d: %s", n.name, code, want, n.words())
		}
	}
	return nil
}

// running are the nodes whose process runs.
func (r *run) running() (nodes []*node) {
	for _, n := range r.nodes {
		if n.proc != nil && n.proc.Running() {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// ready reports that every node that can be asked is ready.
func (r *run) ready(ctx context.Context) (bool, string) {
	asked := 0
	for _, n := range r.nodes {
		if !n.up() {
			continue
		}
		asked++
		if ok, why := n.ready(ctx); !ok {
			return false, n.name + " " + why
		}
	}
	return asked > 0, "no node runs"
}

// shards are those of all nodes that can be asked.
func (r *run) shards(ctx context.Context) (list []shardState) {
	for i, n := range r.nodes {
		if !n.up() {
			continue
		}
		for _, s := range n.shards(ctx) {
			s.node = i
			list = append(list, s)
		}
	}
	return list
}

// metric is the sum over all nodes that can be asked; -1 where none answers.
func (r *run) metric(ctx context.Context, name string) float64 {
	sum := -1.0
	for _, n := range r.nodes {
		if !n.up() {
			continue
		}
		if v := n.metric(ctx, name); v >= 0 {
			sum = max(sum, 0) + v
		}
	}
	return sum
}

// eachProxy does something to every node's way to NATS.
func (r *run) eachProxy(do func(*proxy)) {
	for _, n := range r.nodes {
		for _, p := range n.proxies {
			do(p)
		}
	}
}

// cutOff holds back what goes between a node and NATS, until rejoin.
func (r *run) cutOff(n *node) {
	for _, p := range n.proxies {
		p.hold(both)
	}
}

func (r *run) rejoin(n *node) {
	for _, p := range n.proxies {
		p.hold(0)
	}
}

// freeze stops a node's process until thaw.
func (r *run) freeze(n *node) {
	n.away = true
	n.proc.Signal(process.Freeze)
}

func (r *run) thaw(n *node) {
	if n.tap != nil {
		n.tap.thaw()
	}
	n.proc.Signal(process.Thaw)
	n.away = false
}
