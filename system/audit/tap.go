package audit

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"drover/messages"
)

// wiretap writes down which node sent which event to NATS, and when: a stored event does not tell who published it, and two
// that publish the same leave one. Every node has a network of its own here, and nothing else leads to NATS. Any
// goroutine may use it.
type wiretap struct {
	mu     sync.Mutex
	list   []published
	ids    map[string]struct{}  // of all of them
	claims map[string]time.Time // when a node first asked for a lease, by claim
}

// published is one event that a node sent, whatever became of it.
type published struct {
	node   int // of the run
	shard  int
	at     time.Time // when the node's bytes came, before the network did anything to them
	id     string
	inHand bool // see tap.thawed
}

func newWiretap() *wiretap {
	return &wiretap{ids: map[string]struct{}{}, claims: map[string]time.Time{}}
}

// claim names one attempt of one process to get a lease.
func claim(process, attempt string) string { return process + " " + attempt }

// asked notes a write to the bucket of the leases.
func (w *wiretap) asked(value []byte, at time.Time) {
	var r leaseRecord
	if json.Unmarshal(value, &r) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if name := claim(r.Process, r.Attempt); w.claims[name].IsZero() {
		w.claims[name] = at
	}
}

// claimed is when somebody first asked for the lease that this record is of; zero: nobody was seen to.
func (w *wiretap) claimed(r leaseRecord) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.claims[claim(r.Process, r.Attempt)]
}

func (w *wiretap) add(p published) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, p)
	w.ids[p.id] = struct{}{}
}

// all returns what was written down so far.
func (w *wiretap) all() []published {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.list[:len(w.list):len(w.list)]
}

// unseen counts the stored events that nobody is known to have sent. The audit would be blind then.
func (w *wiretap) unseen(stored []Stored) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range stored {
		if _, ok := w.ids[stored[i].ID]; !ok {
			n++
		}
	}
	return n
}

// tap is a wiretap at one node.
type tap struct {
	w    *wiretap
	node int

	mu     sync.Mutex
	thaws  int       // how often the process went on after SIGSTOP
	thawed time.Time // the last time
}

// thaw says that the node's process goes on after it stood still.
//
// It may have stood still between the look at its lease and the write: what it had in hand comes out then, whoever
// holds the lease by now. No process can help that; it is one write, and told apart.
func (t *tap) thaw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.thaws, t.thawed = t.thaws+1, time.Now()
}

// handTime is for how long after SIGCONT a first write can be what the process had in hand.
const handTime = time.Second

// connection returns what takes the bytes of one connection, as they come.
func (t *tap) connection() func([]byte, time.Time) {
	t.mu.Lock()
	thaws := t.thaws
	t.mu.Unlock()
	var at time.Time
	inHand := false
	p := &parsing{found: func(subject string, head []byte, header int) {
		if strings.HasPrefix(subject, "$KV."+leaseBucket+".") && header <= len(head) {
			t.w.asked(bytes.TrimSuffix(head[header:], []byte("\r\n")), at)
		}
		if e, ok := eventOf(subject, head, header); ok {
			e.node, e.at, e.inHand = t.node, at, inHand
			t.w.add(e)
		}
	}}
	return func(b []byte, now time.Time) {
		t.mu.Lock()
		inHand = t.thaws != thaws && now.Sub(t.thawed) < handTime
		thaws = t.thaws
		t.mu.Unlock()
		at = now
		p.take(b)
	}
}

// eventOf reads what is published to the streams; anything else is none.
func eventOf(subject string, head []byte, header int) (published, bool) {
	if !strings.HasPrefix(subject, "events.") && !strings.HasPrefix(subject, "commands.") || header > len(head) {
		return published{}, false
	}
	p := published{shard: -1}
	for line := range strings.Lines(string(head[:header])) {
		if id, ok := strings.CutPrefix(line, messages.HeaderID+": "); ok {
			p.id = strings.TrimSpace(id)
		}
	}
	_, rest, found := bytes.Cut(head[header:], []byte(`"shard_id":`))
	if digits, _, ended := bytes.Cut(rest, []byte(",")); found && ended {
		if n, err := strconv.Atoi(string(digits)); err == nil {
			p.shard = n
		}
	}
	return p, true
}

// parsing finds the publishes in what a client says in NATS' protocol. One goroutine uses it.
type parsing struct {
	found func(subject string, head []byte, header int) // head is the beginning of header and payload

	line    []byte // of an operation, as far as it has come
	subject string
	header  int
	head    []byte
	left    int // of header and payload, and of their end of line
}

// headMost is how much of a message is looked at: its header and the first fields of the envelope.
const headMost = 1 << 10

func (p *parsing) take(b []byte) {
	for len(b) > 0 {
		if p.left > 0 {
			n := min(p.left, len(b))
			if room := headMost - len(p.head); room > 0 {
				p.head = append(p.head, b[:min(n, room)]...)
			}
			if p.left, b = p.left-n, b[n:]; p.left == 0 {
				p.found(p.subject, p.head, p.header)
			}
			continue
		}
		at := bytes.IndexByte(b, '\n')
		if at < 0 {
			p.line = append(p.line, b...)
			return
		}
		p.line = append(p.line, b[:at]...)
		p.operation(string(p.line))
		p.line, b = p.line[:0], b[at+1:]
	}
}

// operation reads a line: PUB <subject> [reply] <bytes>, HPUB <subject> [reply] <bytes of the header> <bytes>, or another.
func (p *parsing) operation(line string) {
	f := strings.Fields(line)
	if len(f) < 3 || f[0] != "PUB" && f[0] != "HPUB" {
		return
	}
	size, err := strconv.Atoi(f[len(f)-1])
	if err != nil {
		return
	}
	p.subject, p.header, p.head, p.left = f[1], 0, p.head[:0], size+len("\r\n")
	if f[0] == "HPUB" {
		p.header, _ = strconv.Atoi(f[len(f)-2]) // of a client that the server would refuse otherwise
	}
}
