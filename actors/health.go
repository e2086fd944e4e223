package actors

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/gateway"
)

// health keeps the last word of every shard and answers status queries from it. It asks nobody: what
// changes by the event (sequence numbers, guilds) it reads from the shards' atomics.
type health struct {
	*Options
	shards  map[int]*known    // survives a restart, which only a bug can cause: shards tell of themselves once
	notices []messages.Notice // oldest first
	broker  bool
}

type known struct {
	status messages.ShardStatus
	live   messages.Live
}

// maxNotices bounds the history on the status page.
const maxNotices = 100

func newHealth(o *Options, shards map[int]*known) *health { return &health{Options: o, shards: shards} }

// Receive implements actor.Actor.
func (h *health) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case messages.ShardStarted:
		h.started(m)
	case messages.ShardChanged:
		h.changed(m)
	case messages.ShardHalted:
		h.halted(m)
	case messages.PoolLeft:
		h.poolLeft(m)
	case messages.BrokerUp:
		h.brokerUp()
	case messages.BrokerDown:
		h.brokerDown()
	case query:
		ctx.Respond(h.snapshot(m))
	case messages.SampleQuery:
		ctx.Respond(h.sample(m.Into))
	case messages.HistoryQuery:
		ctx.Respond(h.history(m.ShardID))
	}
}

func (h *health) started(m messages.ShardStarted) {
	h.shards[m.ShardID] = &known{live: m.Live, status: messages.ShardStatus{
		ID: m.ShardID, Pool: m.Pool, Node: h.Node, State: messages.Disconnected, Since: time.Now(),
	}}
}

func (h *health) changed(m messages.ShardChanged) {
	s := h.shards[m.Status.ID]
	if s == nil || s.status.State == messages.Halted {
		return
	}
	s.status = m.Status
	if m.Note != "" {
		h.note(m.Status.ID, m.Note)
	}
}

func (h *health) halted(m messages.ShardHalted) {
	text := m.Err.Error()
	if closed := (*gateway.CloseError)(nil); errors.As(m.Err, &closed) {
		text += ". " + closed.Remedy()
	}
	if s := h.shards[m.ShardID]; s != nil {
		s.status.State, s.status.Since, s.status.LastError = messages.Halted, time.Now(), text
	}
	h.note(m.ShardID, "halted: "+text)
}

// poolLeft comes after the last word of each of the pool's shards: they send it before the pool is told.
func (h *health) poolLeft(m messages.PoolLeft) {
	maps.DeleteFunc(h.shards, func(_ int, s *known) bool { return s.status.Pool == m.Pool })
	h.note(-1, m.Note)
}

func (h *health) brokerUp() {
	if !h.broker {
		h.broker = true
		h.note(-1, "NATS connected")
	}
}

func (h *health) brokerDown() {
	if h.broker {
		h.broker = false
		h.note(-1, "NATS disconnected")
	}
}

func (h *health) note(shardID int, text string) {
	if len(h.notices) == maxNotices {
		h.notices = append(h.notices[:0], h.notices[1:]...)
	}
	h.notices = append(h.notices, messages.Notice{At: time.Now(), ShardID: shardID, Text: text})
}

// snapshot is this node as its actors know it; the caller adds what others know.
func (h *health) snapshot(q query) messages.NodeStatus {
	out := messages.NodeStatus{Node: h.Node, Silent: q.silent, ShardsTotal: len(h.shards), Shards: make([]messages.ShardStatus, 0, len(h.shards))}
	for _, s := range h.shards {
		status := s.status
		status.SeqReceived, status.SeqAcked, status.Guilds = s.live.Received(), s.live.Acked(), s.live.Guilds()
		status.LastDispatch, status.LastHeard, status.LastAck = s.live.LastDispatch(), s.live.LastHeard(), h.Meters.LastAck(status.ID)
		status.Unsaved, status.Unanswered = s.live.Unsaved(), s.live.Unanswered()
		if status.State == messages.Halted {
			status.Unanswered = time.Time{} // there is no actor any more
		}
		out.GuildsTotal += status.Guilds
		if status.State == messages.Ready {
			out.ShardsReady++
		}
		if status.State == messages.Halted {
			out.Reasons = append(out.Reasons, fmt.Sprintf("shard %d is halted: %s", status.ID, status.LastError))
		}
		out.Shards = append(out.Shards, status)
	}
	slices.SortFunc(out.Shards, func(a, b messages.ShardStatus) int { return a.ID - b.ID })
	slices.Sort(out.Reasons)
	out.Notices = slices.Clone(h.notices)
	slices.Reverse(out.Notices)
	return out
}
