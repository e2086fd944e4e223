package gatewaysim

// event is one dispatch, not yet rendered: everything that its bytes follow
// from, so that a thousand sessions with full replay buffers fit in memory and
// every replay has the same bytes.
type event struct {
	seq   int64
	at    int64  // Unix ms
	seed  uint64 // the choices inside the payload
	raw   *rawEvent
	guild uint32
	kind  kind
	flags eventFlags
}

// rawEvent carries bytes made elsewhere. Immutable.
type rawEvent struct {
	t string
	d []byte
}

type eventFlags uint8

const (
	noContent  eventFlags = 1 << iota // the session lacks MESSAGE_CONTENT
	presences                         // the session has GUILD_PRESENCES: fuller GUILD_CREATE
	background                        // made by traffic, not by a fault or the protocol
)

// eventLog is the ring of a session's newest events: those not yet sent and
// those that a RESUME can ask for. The session's lock guards it.
type eventLog struct {
	ring  []event // power of two long
	first int64   // sequence of the oldest kept; first == next: empty
	next  int64   // sequence of the event after the newest
}

func newEventLog() eventLog { return eventLog{first: 1, next: 1} }

func (l *eventLog) len() int { return int(l.next - l.first) }

// add appends e, whose sequence must be l.next.
func (l *eventLog) add(e event) {
	if l.len() == len(l.ring) {
		l.grow()
	}
	l.ring[l.slot(e.seq)] = e
	l.next++
}

func (l *eventLog) slot(seq int64) int64 { return seq & int64(len(l.ring)-1) }

func (l *eventLog) at(seq int64) event { return l.ring[l.slot(seq)] }

// trim drops the oldest events while there are more than keep of them, but none
// from unsent on.
func (l *eventLog) trim(keep int, unsent int64) {
	for l.len() > keep && l.first < unsent {
		l.ring[l.slot(l.first)].raw = nil
		l.first++
	}
}

func (l *eventLog) grow() {
	bigger := make([]event, max(64, 2*len(l.ring)))
	for seq := l.first; seq < l.next; seq++ {
		bigger[seq&int64(len(bigger)-1)] = l.at(seq)
	}
	l.ring = bigger
}
