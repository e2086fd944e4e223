package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"drover/messages"
)

// Lease is the right to run one pool. Its epoch is the fence of one ownership.
//
// Valid, Epoch and Remaining may be called from any goroutine, the rest from one at a time. A Lease that was lost may be
// acquired again, under a new epoch, as long as nobody else has held it in between: so what was fenced by it stays good.
type Lease struct {
	o    LeaseOptions
	base time.Time // carries the monotonic reading that until counts from

	attempt  string   // of the entry that is ours
	revision uint64   // of the last write that is known; 0: we hold nothing
	over     bool     // released or revoked: it is never valid again
	heir     string   // process that is to hold it next; empty: nobody knows
	believed [2]int64 // what until and wall were, also after the lease was found to be lost

	epoch atomic.Uint64 // 0: never held
	until atomic.Int64  // deadline by the monotonic clock, in nanoseconds after base
	wall  atomic.Int64  // the same by the wall clock, in Unix nanoseconds
}

// LeaseOptions describe a lease. All but Marks are needed.
type LeaseOptions struct {
	Store         Store  // whose keys live for TTL after each write
	Key           string // of the lease
	Node, Process string // who we are; Process is random per start, so nobody else writes it
	Home          string // as in NodeOptions
	// TTL and Margin: the lease is believed in for TTL - Margin from before each request that renewed it. What is begun at
	// that deadline has to end within Margin.
	TTL, Margin time.Duration
	// Marks keeps, without a TTL, who held each lease last, under MarkKey. nil: Acquire cannot tell whether somebody held the
	// lease between two times of ours, and takes it that nobody did.
	Marks   Store
	MarkKey string
}

// Outcomes of a lease. Any other error leaves them open: try again.
var (
	// ErrHeld means that another process holds the lease.
	ErrHeld = errors.New("cluster: another process holds the lease")
	// ErrLost means that the lease ran out or is another's. Acquire tells which, unless it was released.
	ErrLost = errors.New("cluster: the lease was lost")
	// ErrInterrupted means that the lease is ours again, but that another process held it in between, or may have: what this
	// Lease stood for is over. A new Lease finds the entry and takes it over at once.
	ErrInterrupted = errors.New("cluster: another process held the lease in between")
)

// attempts numbers the Creates of this process, so that each is told from the others, however late it comes through.
var attempts atomic.Uint64

// NewLease returns a lease that is not held. It asks nobody anything.
func NewLease(o LeaseOptions) *Lease {
	l := &Lease{o: o, base: time.Now()}
	l.lapse()
	return l
}

// Valid reports whether the lease covers a step that begins now. It takes no lock and allocates nothing.
//
// Both clocks must agree. The monotonic clock runs on while the process is stopped, and knows nothing of steps of the wall
// clock; but it stands still while the machine is suspended, and the wall clock does not.
func (l *Lease) Valid() bool {
	if messages.Sabotaged(messages.FenceIgnored) {
		return l.Epoch() != 0
	}
	now := time.Now()
	return int64(now.Sub(l.base)) < l.until.Load() && now.UnixNano() < l.wall.Load()
}

// Epoch is the number of this ownership: higher than every one before, whoever held it. 0: the lease was never held.
func (l *Lease) Epoch() uint64 { return l.epoch.Load() }

// Remaining is for how long the lease is valid without being renewed; 0 or less if it is not.
func (l *Lease) Remaining() time.Duration {
	now, until := time.Now(), l.until.Load()
	if until == math.MinInt64 {
		return 0
	}
	return time.Duration(min(until-int64(now.Sub(l.base)), l.wall.Load()-now.UnixNano()))
}

// Acquire takes the lease, or takes over an entry that an earlier request of this process left behind although it seemed to
// fail. ErrHeld, ErrInterrupted, or unknown: then the entry may be ours, and the next Acquire finds it.
func (l *Lease) Acquire(ctx context.Context) error {
	if l.over {
		return ErrLost
	}
	asked := time.Now() // before the request: the store counts from a later instant
	ran := int64(asked.Sub(l.base)) < l.believed[0] && asked.UnixNano() < l.believed[1]
	attempt := strconv.FormatUint(attempts.Add(1), 10)
	revision, err := l.o.Store.Create(ctx, l.o.Key, l.value(attempt, 0))
	epoch := revision
	if errors.Is(err, ErrExists) {
		asked, attempt, epoch, revision, err = l.adopt(ctx)
	}
	if err != nil {
		return err
	}
	if err := l.mark(ctx, epoch, ran); err != nil {
		return err
	}
	l.attempt, l.revision = attempt, revision
	l.epoch.Store(epoch)
	l.extend(asked)
	return nil
}

// adopt takes over an entry that carries our name although nobody told us that it was written: a ghost, which would keep
// everybody from the pool for a whole TTL.
func (l *Lease) adopt(ctx context.Context) (asked time.Time, attempt string, epoch, revision uint64, err error) {
	entry, err := l.o.Store.Get(ctx, l.o.Key)
	if errors.Is(err, ErrNotFound) {
		return asked, "", 0, 0, fmt.Errorf("cluster: the lease %s went away this instant: %w", l.o.Key, err) // the next try gets it
	}
	if err != nil {
		return asked, "", 0, 0, err
	}
	r, err := decodeLease(entry.Value)
	if err != nil || r.Process != l.o.Process {
		return asked, "", 0, 0, ErrHeld
	}
	asked = time.Now()
	epoch = entry.Revision // above every epoch before, also one that this process had
	revision, err = l.o.Store.Update(ctx, l.o.Key, l.value(r.Attempt, epoch), entry.Revision)
	return asked, r.Attempt, epoch, revision, err
}

// mark writes down that the lease is ours under epoch, and looks who held it last. Where nothing tells, since somebody deleted that as well,
// nobody can have had a lease that still ran when it was asked for: whoever knew of it waits for its end, and who did not would have left a mark.
func (l *Lease) mark(ctx context.Context, epoch uint64, ran bool) error {
	if l.o.Marks == nil {
		return nil
	}
	data, err := json.Marshal(markRecord{Version: markVersion, Process: l.o.Process, Epoch: epoch})
	if err != nil {
		return err
	}
	before := l.epoch.Load()
	entry, err := l.o.Marks.Get(ctx, l.o.MarkKey)
	missing := errors.Is(err, ErrNotFound)
	if err != nil && !missing {
		return err
	}
	var last markRecord
	switch {
	case !missing && json.Unmarshal(entry.Value, &last) == nil && last.Version == markVersion:
	case ran:
		last.Process = l.o.Process
	default:
		last.Process = "" // nobody knows
	}
	if missing {
		_, err = l.o.Marks.Create(ctx, l.o.MarkKey, data)
	} else {
		_, err = l.o.Marks.Update(ctx, l.o.MarkKey, data, entry.Revision)
	}
	if err != nil {
		return fmt.Errorf("cluster: mark the lease %s: %w", l.o.Key, err)
	}
	if before != 0 && last.Process != l.o.Process {
		l.revoke()
		return ErrInterrupted
	}
	return nil
}

// Renew extends the lease. ErrLost: it ran out, or another holds it. Any other error says nothing; try again.
func (l *Lease) Renew(ctx context.Context) error {
	if l.revision == 0 || l.over {
		return ErrLost
	}
	asked := time.Now()
	revision, err := l.o.Store.Update(ctx, l.o.Key, l.value(l.attempt, l.epoch.Load()), l.revision)
	if errors.Is(err, ErrChanged) {
		// A renewal whose answer was lost has changed the revision as well, and that one was ours.
		entry, geterr := l.o.Store.Get(ctx, l.o.Key)
		switch {
		case errors.Is(geterr, ErrNotFound) || geterr == nil && !l.ours(entry):
			l.lapse()
			return ErrLost
		case geterr != nil:
			return geterr
		}
		asked = time.Now()
		revision, err = l.o.Store.Update(ctx, l.o.Key, l.value(l.attempt, l.epoch.Load()), entry.Revision)
	}
	if err != nil { // also if it changed twice within two requests: the next try finds out
		return err
	}
	l.revision = revision
	l.extend(asked)
	return nil
}

// Release gives the lease back; it is not valid from the beginning of the call on. After an error the entry may stand for
// a TTL. The pool's sockets are closed and its state is saved.
func (l *Lease) Release(ctx context.Context) error {
	l.revoke()
	if l.revision == 0 {
		return nil
	}
	err := l.o.Store.Delete(ctx, l.o.Key, l.revision)
	if errors.Is(err, ErrChanged) {
		var entry Entry
		entry, err = l.o.Store.Get(ctx, l.o.Key)
		switch {
		case errors.Is(err, ErrNotFound) || err == nil && !l.ours(entry):
			return nil
		case err == nil:
			err = l.o.Store.Delete(ctx, l.o.Key, entry.Revision)
		}
	}
	return err
}

// bequeath has the next renewal say which process is to hold the lease next.
func (l *Lease) bequeath(process string) { l.heir = process }

// ours reports whether entry is the one of this ownership.
func (l *Lease) ours(entry Entry) bool {
	r, err := decodeLease(entry.Value)
	return err == nil && r.Process == l.o.Process && r.Attempt == l.attempt
}

// extend moves the deadline to what a successful request asked for at asked is good for.
func (l *Lease) extend(asked time.Time) {
	good := l.o.TTL - l.o.Margin
	l.believed = [2]int64{int64(asked.Sub(l.base) + good), asked.Add(good).UnixNano()}
	l.wall.Store(l.believed[1])
	l.until.Store(l.believed[0])
}

// lapse ends the validity now; the lease may be acquired again.
func (l *Lease) lapse() {
	l.until.Store(math.MinInt64)
	l.wall.Store(math.MinInt64)
}

// revoke ends the validity for good.
func (l *Lease) revoke() {
	l.over = true
	l.lapse()
}

func (l *Lease) value(attempt string, epoch uint64) []byte {
	data, _ := json.Marshal(leaseRecord{ // strings and numbers: it cannot fail
		Version: leaseVersion, Node: l.o.Node, Process: l.o.Process, Attempt: attempt, Epoch: epoch, Home: l.o.Home, Heir: l.heir,
	})
	return data
}
