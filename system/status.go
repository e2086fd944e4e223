package system

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"drover/messages"
)

// patience is for how long a node takes what stands still for slow.
type patience struct {
	// publisher: NATS is connected, and the oldest event unacknowledged, for so long. An outage of NATS alone never counts.
	publisher time.Duration
	// actor owes a sign of life for so long. It may wait for a socket for 5 s, for each of a few things in turn.
	actor time.Duration
}

var usual = patience{publisher: time.Minute, actor: 30 * time.Second}

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
	status.Stuck = s.stuck(&status)
	status.Live = len(status.Stuck) == 0
	status.Reasons = append(status.Reasons, status.Stuck...)
	s.judge(&status)
	return status, nil
}

// stuck says in words what makes no progress.
func (s *System) stuck(status *messages.NodeStatus) (why []string) {
	connected := time.Since(time.Unix(0, s.reached.Load()))
	if age := s.window.OldestUnacked(); status.NATSConnected && connected > s.patience.publisher && age > s.patience.publisher {
		why = append(why, fmt.Sprintf("NATS is connected, but the oldest event waits for its acknowledgement since %v", age.Round(time.Second)))
	}
	if s.publisher != nil {
		if damage := s.publisher.Spooled().Damage; damage != nil {
			why = append(why, fmt.Sprintf("the spool cannot be read, a restart saves what is readable: %v", damage))
		}
	}
	if s.isDraining() {
		return why // the actors come to their end, and the drain is bounded
	}
	for _, a := range status.Silent {
		if age := time.Since(a.Since); age > s.patience.actor {
			why = append(why, fmt.Sprintf("%s does not answer since %v", a.Actor, age.Round(time.Second)))
		}
	}
	var shards []string
	worst := time.Duration(0)
	for i := range status.Shards {
		shard := &status.Shards[i]
		if age := time.Since(shard.Unanswered); !shard.Unanswered.IsZero() && age > s.patience.actor {
			shards, worst = append(shards, strconv.Itoa(shard.ID)), max(worst, age)
		}
	}
	if n := len(shards); n > 0 {
		if n > maxNamed {
			shards = append(shards[:maxNamed], "…")
		}
		why = append(why, fmt.Sprintf("%d of %d shards do not answer, the longest since %v: %s", n, len(status.Shards), worst.Round(time.Second), strings.Join(shards, ", ")))
	}
	return why
}

// maxNamed is how many shards are named where there may be a thousand.
const maxNamed = 10

// draining is the phase in which a node waits for nothing but its own end.
const draining = "this node is draining"

func (s *System) waitingFor(what string) { s.phase.Store(&what) }

func (s *System) isDraining() bool { return *s.phase.Load() == draining }

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
		if l.Epochs == nil {
			l.Epochs = map[int]uint64{}
		}
		l.Epochs[lease.Pool] = lease.Epoch
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
		t.SpoolLimit, t.Windows = spool.Limit, s.publisher.Windows()
	}
	return t
}
