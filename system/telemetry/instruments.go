package telemetry

import (
	"fmt"
	"strings"
)

// Instrument describes one metric. Instruments is the only place where metrics are named.
type Instrument struct {
	Name    string
	Kind    InstrumentKind
	Unit    string   // UCUM, as OpenTelemetry wants it; {…} is a count of something
	Labels  []string // ShardLabel stands for shard_id, pool_id or nothing, by metrics.shard_labels
	Meaning string   // one sentence; the help text of the metric
}

// InstrumentKind is what Prometheus calls the type of a metric.
type InstrumentKind string

// The kinds of instruments.
const (
	Counter   InstrumentKind = "counter"
	Gauge     InstrumentKind = "gauge"
	Histogram InstrumentKind = "histogram"
)

// ShardLabel is the place of shard_id or pool_id in Instrument.Labels.
const ShardLabel = "shard"

// The names of the instruments.
const (
	eventsReceived = "gateway_events_received_total"
	eventsRouted   = "gateway_events_routed_total"
	eventsFiltered = "gateway_events_filtered_total"
	eventsOversize = "gateway_oversize_events_total"
	eventsShed     = "gateway_shed_events_total"
	lateClicks     = "gateway_late_interactions_total"
	routeFailures  = "gateway_route_failures_total"
	routeDuration  = "gateway_event_route_duration_seconds"
	errorsTotal    = "gateway_errors_total"
	identifies     = "gateway_identifies_total"
	resumes        = "gateway_resumes_total"
	sessionGaps    = "gateway_session_gaps_total"
	sequenceGaps   = "gateway_sequence_gaps_total"
	checkpoints    = "gateway_checkpoints_total"
	checkpointAge  = "gateway_checkpoint_age_seconds"
	lastDispatch   = "gateway_last_dispatch_age_seconds"
	shardsReady    = "gateway_shards_ready"
	shardState     = "gateway_shard_state"
	guilds         = "gateway_guilds_total"
	natsConnected  = "gateway_nats_connected"
	spoolEvents    = "gateway_spool_events"
	spoolBytes     = "gateway_spool_bytes"
	spoolAge       = "gateway_spool_age_seconds"
	spoolFull      = "gateway_spool_full"
	spoolLimit     = "gateway_spool_limit_bytes"
	unackedEvents  = "gateway_unacked_events"
	lastHeartbeat  = "gateway_last_heartbeat_timestamp"
	heartbeatTook  = "gateway_heartbeat_latency_seconds"
	clockOffset    = "gateway_clock_offset_seconds"
	budgetLeft     = "gateway_identify_budget_remaining"
	budgetLimit    = "gateway_identify_budget_limit"
	poolsOfBot     = "gateway_pools"
	leaseHeld      = "gateway_lease_held"
	leaseEpoch     = "gateway_lease_epoch"
	leaseRemaining = "gateway_lease_remaining_seconds"
	leaseAcquired  = "gateway_lease_acquired_total"
	leaseHanded    = "gateway_lease_handed_over_total"
	leaseLost      = "gateway_lease_lost_total"
	leaseRanOut    = "gateway_lease_ran_out_total"
	leaseRenewals  = "gateway_lease_renewals_total"
	identifyHeld   = "gateway_identify_held_back"
	identifyQueue  = "gateway_identify_waiting"
	identifyETA    = "gateway_identify_eta_seconds"
	identifyWait   = "gateway_identify_wait_seconds"
	backoff        = "gateway_backoff_seconds"
	restarts       = "gateway_shard_restarts_total"
	dials          = "gateway_dials_total"
	closeCodes     = "gateway_close_codes_total"
	receivedBytes  = "gateway_received_bytes_total"
	inflatedBytes  = "gateway_inflated_bytes_total"
	lastAck        = "gateway_last_ack_age_seconds"
	lastHeard      = "gateway_last_heard_age_seconds"
	windowLimit    = "gateway_window_limit"
	windowEvents   = "gateway_window_events"
	windowBytes    = "gateway_window_bytes"
	windowWaiting  = "gateway_window_waiting"
	nodeLive       = "gateway_node_live"
	nodeReady      = "gateway_node_ready"
	actorSilence   = "gateway_actor_silence_seconds"
	exportFailures = "gateway_export_failures_total"
	spansSummed    = "gateway_spans_summed_total"
	buildInfo      = "gateway_build_info"
)

// Instruments are all metrics of drover, in the order of docs/metrics.md, which a test holds to it.
var Instruments = []Instrument{
	{eventsReceived, Counter, "{event}", []string{"event_type", ShardLabel}, "Dispatches read from Discord, those included that a filter then kept back."},
	{eventsRouted, Counter, "{event}", []string{ShardLabel}, "Events that JetStream has acknowledged, drover's own life-cycle events included."},
	{eventsFiltered, Counter, "{event}", []string{ShardLabel}, "Dispatches that events.allow or events.deny kept back."},
	{eventsShed, Counter, "{event}", []string{"event_type", ShardLabel}, "Events dropped because the spool was full, of the types in backpressure.shed."},
	{lateClicks, Counter, "{event}", []string{ShardLabel}, "Interactions published more than 3 s after they were read: too late for an answer."},
	{eventsOversize, Counter, "{event}", []string{"event_type", ShardLabel}, "Events larger than the broker takes, published without their data."},
	{routeFailures, Counter, "{attempt}", nil, "Attempts to publish that failed; each is made again until it is acknowledged."},
	{routeDuration, Histogram, "s", []string{ShardLabel}, "Time from reading an event's frame to JetStream's acknowledgement."},
	{errorsTotal, Counter, "{error}", []string{"error_type", ShardLabel}, "Errors by type; errors of the node as a whole carry no shard."},
	{identifies, Counter, "{identify}", []string{ShardLabel}, "IDENTIFYs sent; Discord allows a bot a limited number per day."},
	{resumes, Counter, "{resume}", []string{"outcome", ShardLabel}, "RESUMEs by outcome: resumed, invalid (Discord had forgotten the session) or failed (the connection ended first)."},
	{sessionGaps, Counter, "{gap}", []string{"reason", ShardLabel}, "Gaps by reason, each published as shard.gap: events may be missing."},
	{sequenceGaps, Counter, "{gap}", []string{ShardLabel}, "Jumps in the sequence numbers of one session."},
	{dials, Counter, "{dial}", []string{"outcome", ShardLabel}, "Dials of the gateway by outcome: connected, refused (by an HTTP status), timeout, failed or abandoned (nobody wanted it any more)."},
	{closeCodes, Counter, "{close}", []string{"code"}, "Connections that ended without us, by Discord's close code; none is one without a close frame."},
	{restarts, Counter, "{restart}", []string{"class", ShardLabel}, "Restarts of shards by their pool: after a failure, which is a second loss in a row, or after a panic, which is a bug."},
	{backoff, Histogram, "s", nil, "Waits before a shard dials again, when they were decided."},
	{identifyWait, Histogram, "s", nil, "Time that shards waited for a permit to IDENTIFY."},
	{receivedBytes, Counter, "By", []string{ShardLabel}, "Bytes of the gateway's messages as they came, compressed."},
	{inflatedBytes, Counter, "By", []string{ShardLabel}, "Bytes of the same messages without compression: divided by the former, the ratio."},
	{checkpoints, Counter, "{checkpoint}", []string{"outcome"}, "Checkpoints of sessions by outcome: saved, or failed and tried again."},
	{shardsReady, Gauge, "{shard}", []string{"pool_id"}, "Shards of the pool that are ready, among those that this node holds."},
	{shardState, Gauge, "{shard}", []string{"state"}, "Shards of this node in each state."},
	{guilds, Gauge, "{guild}", nil, "Guilds that the bot is in on this node's shards, unavailable ones included."},
	{natsConnected, Gauge, "{connection}", nil, "1 while NATS is connected, else 0; 1 where nats.url is none."},
	{unackedEvents, Gauge, "{event}", nil, "Events published but not yet acknowledged by JetStream."},
	{windowLimit, Gauge, "{event}", []string{"stream"}, "Events that may wait for JetStream's acknowledgement at once: the credits of the window (publish.window)."},
	{windowEvents, Gauge, "{event}", []string{"stream"}, "Credits that are spent: events that hold a place in the window."},
	{windowBytes, Gauge, "By", []string{"stream"}, "Bytes of these events."},
	{windowWaiting, Gauge, "{shard}", []string{"stream"}, "Shards that wait for room in the window, or in the spool."},
	{spoolEvents, Gauge, "{event}", nil, "Events in the spool on disk, which wait for the broker."},
	{spoolBytes, Gauge, "By", nil, "Bytes of the events in the spool."},
	{spoolAge, Gauge, "s", nil, "Time since the oldest event in the spool was read; 0 when it is empty."},
	{spoolLimit, Gauge, "By", nil, "Bytes that the spool may hold (spool.max_bytes), 1/8 of it for interactions only; 0 where there is none."},
	{spoolFull, Gauge, "{spool}", nil, "1 while the spool takes nothing more, so that shards wait and events may be shed; else 0."},
	{checkpointAge, Gauge, "s", nil, "Age of the oldest change of a session that no checkpoint has; 0 when all is saved."},
	{lastDispatch, Gauge, "s", []string{ShardLabel}, "Time since the shard's newest dispatch, of several the longest; a quiet guild is no fault. Absent before the first."},
	{lastAck, Gauge, "s", []string{ShardLabel}, "Time since the newest acknowledgement of one of the shard's events, of several the longest. Absent before the first."},
	{lastHeard, Gauge, "s", []string{ShardLabel}, "Time since anything at all was read from the connection of a shard that is ready, heartbeats included, of several the longest. Absent where none is."},
	{lastHeartbeat, Gauge, "s", nil, "Unix time of the newest heartbeat that Discord acknowledged to any shard; absent before the first."},
	{heartbeatTook, Gauge, "s", []string{ShardLabel}, "Time until Discord acknowledged the shard's newest heartbeat, of several shards the longest; absent before the first."},
	{clockOffset, Gauge, "s", nil, "NATS' clock minus this node's, compared once a minute; absent before the first comparison and where nats.url is none."},
	{budgetLeft, Gauge, "{identify}", nil, "IDENTIFYs left today; absent until Discord has told."},
	{budgetLimit, Gauge, "{identify}", nil, "IDENTIFYs that Discord allows a day; absent until Discord has told."},
	{identifyQueue, Gauge, "{shard}", nil, "Shards of this node that wait for a permit to IDENTIFY, those held back included."},
	{identifyETA, Gauge, "s", nil, "Time until the last of them has identified, at best; 0 when none waits."},
	{identifyHeld, Gauge, "{shard}", nil, "Shards of this node that wait since the day's budget of IDENTIFYs holds them back."},
	{poolsOfBot, Gauge, "{pool}", nil, "Pools of the bot, whoever serves them; absent where there are no leases."},
	{leaseHeld, Gauge, "{lease}", nil, "Leases of pools that this node holds and that are valid."},
	{leaseRemaining, Gauge, "s", nil, "Time until the first of this node's leases runs out unless it is renewed; absent where it holds none."},
	{leaseEpoch, Gauge, "{epoch}", []string{"pool_id"}, "Epoch of each lease that this node holds; it rises with each new holder."},
	{leaseAcquired, Counter, "{lease}", nil, "Leases acquired, also those that had run out and that nobody had taken."},
	{leaseHanded, Counter, "{lease}", nil, "Leases given back in order."},
	{leaseLost, Counter, "{lease}", nil, "Leases lost to another node."},
	{leaseRanOut, Counter, "{lease}", nil, "Leases whose deadline passed before a renewal worked: the pool was fenced."},
	{leaseRenewals, Counter, "{renewal}", []string{"outcome"}, "Renewals by outcome: renewed, unknown (no answer, tried again) or lost (the lease had gone)."},
	{nodeLive, Gauge, "{node}", nil, "1 while /health answers 200, else 0: the process makes no progress."},
	{nodeReady, Gauge, "{node}", nil, "1 while /ready answers 200, else 0."},
	{actorSilence, Gauge, "s", nil, "The longest time for which one of the node's actors owes a sign of life; 0 when none does."},
	{exportFailures, Counter, "{export}", []string{"signal"}, "Batches that the OTLP receiver did not take: of traces, metrics or logs."},
	{spansSummed, Counter, "{publish}", nil, "Slow, repeated and dropped publishes without a span of their own, since there were too many in that second: they have one together."},
	{buildInfo, Gauge, "{build}", []string{"version", "go_version"}, "Always 1; the labels say what runs."},
}

// routeBuckets are the upper bounds of the route histogram in seconds: 0.1 ms, the best that a broker
// on the same host does, to 10 s, beyond which an ack time-out has long replayed the event.
var routeBuckets = [...]float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
}

// waitBuckets are the upper bounds of what shards wait for before they connect or identify: a day of IDENTIFYs may be spent.
var waitBuckets = [...]float64{0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400}

// The outcomes of a dial.
const (
	Connected = "connected"
	Refused   = "refused" // the server said no, by an HTTP status
	TimedOut  = "timeout"
	Abandoned = "abandoned" // nobody wanted it any more
	// Failed is anything else: the network, TLS, a reset.
)

// The classes of a restart.
const (
	ClassFailure = "failure" // the session machine gave the connection up
	ClassPanic   = "panic"   // a bug
)

// The outcomes of a RESUME and of a checkpoint.
const (
	Resumed = "resumed" // RESUMED came
	Invalid = "invalid" // op 9: the session is gone
	Failed  = "failed"  // the connection ended before either; or the store did not take it
	Saved   = "saved"   // the store has it
)

// The values of error_type, beside those of CloseType. Error counts any other under "other".
const (
	ErrDial            = "dial"             // TCP, TLS or the WebSocket handshake
	ErrHelloTimeout    = "hello_timeout"    // connected, but no HELLO
	ErrIdentifyTimeout = "identify_timeout" // IDENTIFY without READY
	ErrResumeTimeout   = "resume_timeout"   // RESUME without RESUMED
	ErrZombie          = "zombie"           // heartbeats stay unacknowledged
	ErrInvalidSession  = "invalid_session"  // op 9
	ErrInflate         = "inflate"          // corrupt compression
	ErrTooBig          = "too_big"          // a frame beyond the limits
	ErrScan            = "scan"             // a frame that is no gateway payload
	ErrConnection      = "connection"       // lost without a close frame
	ErrREST            = "rest"             // GET /gateway/bot
	ErrPublish         = "publish"          // a publish failed or was not acknowledged
	ErrNATS            = "nats"             // the connection to NATS, or its streams
	ErrPanic           = "panic"            // a panic in an actor, contained
	ErrOther           = "other"
)

var errorTypes = []string{
	ErrDial, ErrHelloTimeout, ErrIdentifyTimeout, ErrResumeTimeout, ErrZombie, ErrInvalidSession, ErrInflate, ErrTooBig,
	ErrScan, ErrConnection, ErrREST, ErrPublish, ErrNATS, ErrPanic, ErrOther,
}

// CloseType is the error_type of a close code: close_4000 and so on for the codes of the WebSocket
// standard and of Discord, close_other for any else. 1006, no close frame at all, is ErrConnection.
func CloseType(code int) string {
	switch {
	case code == 0, code == 1006:
		return ErrConnection
	case code >= 1000 && code <= 1015, code >= 4000 && code <= 4014:
		return fmt.Sprintf("close_%d", code)
	}
	return "close_other"
}

// closeLabel is the label of a close code: the code itself where CloseType knows it, none for 1006 and 0, other for any else.
func closeLabel(code int) string {
	switch of := CloseType(code); of {
	case ErrConnection:
		return "none"
	case "close_other":
		return ErrOther
	default:
		return strings.TrimPrefix(of, "close_")
	}
}

// knownErrors bounds the label error_type.
var knownErrors = func() map[string]bool {
	known := map[string]bool{"close_other": true}
	for _, t := range errorTypes {
		known[t] = true
	}
	for _, first := range []int{1000, 4000} {
		for code := first; code <= first+15; code++ {
			known[CloseType(code)] = true
		}
	}
	return known
}()
