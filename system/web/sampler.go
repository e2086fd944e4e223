package web

import (
	"context"
	"encoding/json"
	"runtime/metrics"
	"time"

	"drover/messages"
)

// sampler fills the rings, once a step, and tells who has the page open.
type sampler struct {
	s      *Server
	buffer []messages.ShardSample // nil while an answer that did not come may still be written into it
	memory []metrics.Sample
}

func newSampler(s *Server) *sampler {
	return &sampler{s: s, memory: []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}}
}

// run ends with ctx.
func (p *sampler) run(ctx context.Context) {
	tick := time.NewTicker(p.s.rings.step)
	defer tick.Stop()
	for {
		p.take(ctx)
		if p.s.live.watched() {
			p.s.live.push(frame("charts", p.s.rings.charts()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// take measures once.
func (p *sampler) take(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	var n nodeSample
	if p.s.o.Sample == nil || p.s.o.Traffic == nil {
		p.fromStatus(ctx, &n)
	} else {
		n.traffic = p.s.o.Traffic()
		shards, err := p.s.o.Sample(ctx, p.buffer)
		n.shards, n.silent, p.buffer = shards, err != nil, shards
	}
	metrics.Read(p.memory)
	n.memory, n.heap = p.memory[0].Value.Uint64()-p.memory[1].Value.Uint64(), p.memory[2].Value.Uint64()
	p.s.rings.add(time.Now(), &n)
}

// fromStatus measures where nobody has a cheaper way.
func (p *sampler) fromStatus(ctx context.Context, n *nodeSample) {
	status, err := p.s.o.Status(ctx)
	if n.silent = err != nil; n.silent {
		return
	}
	n.traffic, n.shards = status.Traffic, p.buffer[:0]
	for i := range status.Shards {
		s := &status.Shards[i]
		n.shards = append(n.shards, messages.ShardSample{ID: s.ID, Seq: s.SeqReceived, Latency: s.HeartbeatLatencyMS, Ready: s.State == messages.Ready})
	}
	p.buffer = n.shards
}

// chartData is what the script draws: equal steps, oldest first.
type chartData struct {
	Step   float64                      `json:"step"` // seconds
	End    int64                        `json:"end"`  // Unix ms of the newest
	Series map[string]messages.Measured `json:"series"`
}

// charts are the series of the node.
func (r *rings) charts() chartData {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := chartData{Step: r.step.Seconds(), End: r.end().UnixMilli(), Series: make(map[string]messages.Measured, measures)}
	for m, name := range measureNames {
		d.Series[name] = r.seriesLocked(m)
	}
	return d
}

// frame is one server-sent event. The unnamed ones are sections of the page.
func frame(event string, data any) []byte {
	body, err := json.Marshal(data)
	if err != nil {
		return nil // cannot be: strings, numbers and lists of them
	}
	out := make([]byte, 0, len(event)+len(body)+16)
	if event != "" {
		out = append(append(append(out, "event: "...), event...), '\n')
	}
	return append(append(append(out, "data: "...), body...), '\n', '\n')
}
