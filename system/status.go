package system

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"drover/messages"
)

// stuckAfter is how long NATS may be connected, and the oldest event unacknowledged, before the process calls
// itself stuck. An outage of NATS alone never makes it so.
const stuckAfter = time.Minute

// Status is the node as its actors, its window and its permits know it. The error says that the actors do
// not answer before ctx ends.
func (s *System) Status(ctx context.Context) (messages.NodeStatus, error) {
	status, err := s.askActors(ctx)
	if err != nil {
		return messages.NodeStatus{}, err
	}
	status.Node, status.Version, status.PoolID, status.Started = s.cfg.Cluster.Node, s.o.Version, s.cfg.Pool.ID, s.started
	status.Live = true
	if s.root.Load() == nil { // Run has not come that far; broker and window follow
		status.Reasons = []string{"waiting for " + *s.phase.Load()}
		return status, nil
	}
	status.NATSConnected = s.broker == nil && s.cfg.NATS.URL.Reveal() == "none" || s.broker != nil && s.broker.Connected()
	status.Budget = s.permits.Budget()
	status.Leases = s.leases()
	status.ClockOffset = s.clock.Load()
	status.Traffic = s.Traffic()
	connected := time.Since(time.Unix(0, s.reached.Load()))
	if age := s.window.OldestUnacked(); status.NATSConnected && connected > stuckAfter && age > stuckAfter {
		status.Live = false
		status.Reasons = append(status.Reasons,
			fmt.Sprintf("NATS is connected, but the oldest event waits for its acknowledgement since %v", age.Round(time.Second)))
	}
	if s.publisher != nil {
		if damage := s.publisher.Spooled().Damage; damage != nil {
			status.Live = false
			status.Reasons = append(status.Reasons, fmt.Sprintf("the spool cannot be read, a restart saves what is readable: %v", damage))
		}
	}
	s.judge(&status)
	return status, nil
}

// leases is this node's part in the cluster; nil where there is none.
func (s *System) leases() *messages.Leases {
	p := s.placement.Load()
	if p == nil {
		return nil
	}
	known := p.node.Status()
	c := known.Counts
	l := &messages.Leases{
		Pools: s.cfg.Pool.PoolCount(p.total), Away: known.Away, Acquired: c.Acquired, HandedOver: c.HandedOver, Lost: c.Lost, RanOut: c.RanOut,
		Renewed: c.Renewed, RenewUnknown: c.RenewUnknown, RenewLost: c.RenewLost,
	}
	for _, lease := range known.Leases {
		if !lease.Mine || !lease.Valid {
			continue
		}
		if l.Held++; l.Held == 1 || lease.Remaining < l.Remaining {
			l.Remaining = lease.Remaining
		}
	}
	return l
}

// judge decides on readiness and says in words what is missing.
func (s *System) judge(status *messages.NodeStatus) {
	var missing []string
	if !status.NATSConnected {
		missing = append(missing, s.natsReason())
	}
	missing = append(missing, s.refusedReasons()...)
	switch phase := *s.phase.Load(); phase {
	case "":
	case draining:
		missing = append(missing, draining)
	default:
		missing = append(missing, "waiting for "+phase)
	}
	if p := s.placement.Load(); p != nil {
		if other := p.pinnedElsewhere(); other != "" {
			missing = append(missing, fmt.Sprintf("pool.id (POOL_ID) is %d, and that pool is served by the node %s: give one of the two another pool, or stop it",
				*s.cfg.Pool.ID, other))
		}
	}
	need := int(math.Ceil(float64(status.ShardsTotal) * s.cfg.Health.MinReady))
	if status.ShardsReady < need || status.ShardsTotal == 0 && !s.servedByOthers() {
		missing = append(missing, shardsReason(status, need))
	}
	status.IsReady = len(missing) == 0
	if held := heldBack(status.Budget); status.IsReady && held != "" { // else it is said with the shards that are missing
		missing = append(missing, held)
	}
	status.Reasons = append(missing, status.Reasons...)
}

// servedByOthers tells whether this node has no pool because all of them are in other hands.
func (s *System) servedByOthers() bool {
	p := s.placement.Load()
	if p == nil {
		return false
	}
	status := p.node.Status()
	for _, l := range status.Leases {
		if l.Mine {
			return false
		}
	}
	return len(status.Leases) == s.cfg.Pool.PoolCount(p.total)
}

func (s *System) natsReason() string {
	if s.broker != nil && s.broker.Err() != nil {
		return fmt.Sprintf("NATS is not connected: %v", s.broker.Err())
	}
	return "NATS is not connected"
}

// refusedReasons says what NATS does not let this node do. Its requests would only seem to be slow.
func (s *System) refusedReasons() (reasons []string) {
	if s.broker == nil {
		return nil
	}
	const most = 3
	all := s.broker.Refused()
	for _, refused := range all[:min(len(all), most)] {
		reasons = append(reasons, refused.Error())
	}
	if more := len(all) - most; more > 0 {
		reasons = append(reasons, fmt.Sprintf("NATS refuses %d more subjects; the log names them", more))
	}
	return reasons
}

func shardsReason(status *messages.NodeStatus, need int) string {
	if status.ShardsTotal == 0 {
		return "this node has no shards yet"
	}
	count := map[messages.State]int{}
	for _, shard := range status.Shards {
		count[shard.State]++
	}
	var others []string
	for _, state := range messages.AllStates {
		if n := count[state]; n > 0 && state != messages.Ready {
			others = append(others, fmt.Sprintf("%d %s", n, state))
		}
	}
	text := fmt.Sprintf("%d of %d shards are ready, %d are needed", status.ShardsReady, status.ShardsTotal, need)
	if len(others) > 0 {
		text += ": " + strings.Join(others, ", ")
	}
	switch b := status.Budget; {
	case heldBack(b) != "":
		text += "; " + heldBack(b)
	case b.Waiting > 0 && b.Total == 0:
		text += fmt.Sprintf("; %d wait to identify, until Discord answers GET /gateway/bot", b.Waiting)
	case b.Waiting > 0:
		text += fmt.Sprintf("; %d wait for a permit to identify, about %v at max_concurrency %d",
			status.Budget.Waiting, status.Budget.ETA.Round(time.Second), status.Budget.MaxConcurrency)
	}
	return text
}

// heldBack says what the budget of IDENTIFYs holds back, and why; empty: nothing.
func heldBack(b messages.Budget) string {
	switch {
	case b.Held == 0 || b.Reason == "":
		return ""
	case b.Held == 1:
		return "1 waits to identify: " + b.Reason
	}
	return fmt.Sprintf("%d wait to identify: %s", b.Held, b.Reason)
}

// askActors asks the root actor, which has health answer: an answer shows that both are alive.
func (s *System) askActors(ctx context.Context) (messages.NodeStatus, error) {
	root := s.root.Load()
	if root == nil {
		return messages.NodeStatus{}, nil // they follow; phase says what is waited for
	}
	limit := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	answer, err := s.actors.Root.RequestFuture(root, messages.StatusQuery{}, limit).Result()
	if err != nil {
		return messages.NodeStatus{}, fmt.Errorf("the node's actors do not answer within %v: %w", limit.Round(time.Millisecond), err)
	}
	return answer.(messages.NodeStatus), nil
}

// Traffic is what the node has carried, also after it has ended.
func (s *System) Traffic() messages.Traffic {
	t := s.telemetry.Meters.Traffic()
	if s.root.Load() != nil {
		t.Unacked = s.window.Unacked()
	}
	if s.root.Load() != nil && s.publisher != nil {
		spool := s.publisher.Spooled()
		t.Spooled, t.SpoolBytes, t.SpoolSince, t.SpoolFull = spool.Events, spool.Bytes, spool.Oldest, spool.Full != nil
		t.SpoolLimit = int64(s.cfg.Spool.MaxBytes)
	}
	return t
}
