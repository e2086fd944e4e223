package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/system/store"
)

// lane applies the events of the guilds that fall to it, one transaction at a time. Its goroutine is the only one that
// takes from its queue.
type lane struct {
	w    *Worker
	jobs chan *job // closed by Run when nothing more comes
}

// job is one delivered message on its way.
type job struct {
	msg       jetstream.Msg
	seq       uint64 // in the stream
	delivered uint64 // how often, this time included
	position  int64
	event     event
	err       error // a *poison: why it is no event
	since     time.Time
}

// size is what a job costs of what may be in hand.
func (j *job) size() int64 { return int64(len(j.msg.Data())) }

func newLane(w *Worker) *lane { return &lane{w: w, jobs: make(chan *job, w.o.Batch)} }

// run works until the queue is closed and empty.
func (l *lane) run(working context.Context) {
	for first := range l.jobs {
		batch := []*job{first}
	gather:
		for len(batch) < l.w.o.Batch {
			select {
			case j, more := <-l.jobs:
				if !more {
					break gather
				}
				batch = append(batch, j)
			default:
				break gather
			}
		}
		for _, group := range byGuild(batch) {
			l.apply(working, group)
		}
	}
}

// byGuild sorts a batch into groups of one guild each, and what is no event into groups of its own. Within a group the stream's order holds.
func byGuild(batch []*job) [][]*job {
	var groups [][]*job
	at := map[uint64]int{}
	for _, j := range batch {
		if j.err != nil {
			groups = append(groups, []*job{j})
			continue
		}
		i, known := at[j.event.guildID]
		if !known {
			i = len(groups)
			at[j.event.guildID] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], j)
	}
	return groups
}

// apply deals with one group, whatever comes of it.
func (l *lane) apply(working context.Context, group []*job) {
	if group[0].err != nil {
		l.bury(working, group[0], group[0].err)
		return
	}
	if !l.w.gate.await(working) {
		l.giveBack(working, group)
		return
	}
	changes := make([]store.Change, len(group))
	for i, j := range group {
		changes[i] = j.event.change
	}
	began := time.Now()
	outcomes, err := l.w.o.Store.Apply(working, group[0].event.guildID, changes)
	switch {
	case err == nil:
		l.w.gate.worked()
		l.w.o.Meters.Applied(len(group), time.Since(began))
		for i, j := range group {
			l.ack(j, outcomes[i].Name())
		}
	case working.Err() != nil:
		l.giveBack(working, group)
	case store.ClassOf(err) == store.Permanent && len(group) > 1:
		for _, j := range group { // one of them is it; the others must not suffer
			l.apply(working, []*job{j})
		}
	case store.ClassOf(err) == store.Permanent:
		l.w.gate.worked()
		l.bury(working, group[0], &poison{DeadDatabase, store.Reason(err)})
	default:
		l.later(group, err)
	}
}

// gap marks a shard's communities. Run's goroutine calls it, while no lane has anything in hand.
func (l *lane) gap(working context.Context, j *job) {
	if !l.w.gate.await(working) {
		l.giveBack(working, []*job{j})
		return
	}
	// It may take longer than JetStream waits.
	told := time.Now()
	beat := make(chan struct{}, 1)
	beat <- struct{}{}
	marked, err := l.w.o.Store.MarkStale(working, *j.event.gap, l.w.o.Concurrency, func() {
		select {
		case <-beat:
			l.w.finished.Add(1)
			if time.Since(told) > l.w.o.AckWait/4 {
				told = time.Now()
				_ = j.msg.InProgress() // else it comes again, and finds everything marked
			}
			beat <- struct{}{}
		default:
		}
	})
	l.w.o.Meters.Stale(marked)
	if marked > 0 {
		l.w.o.Log.Info("gap: communities are stale until their guilds come back", "shard_id", j.event.gap.ShardID, "reason", j.event.gap.Reason, "communities", marked)
	}
	switch {
	case err == nil:
		l.w.gate.worked()
		l.ack(j, "gap")
	case working.Err() != nil:
		l.giveBack(working, []*job{j})
	case store.ClassOf(err) == store.Permanent:
		l.bury(working, j, &poison{DeadDatabase, store.Reason(err)})
	default:
		l.later([]*job{j}, err)
	}
}

// ack ends a job. An acknowledgement that is lost brings the event again, as a duplicate.
func (l *lane) ack(j *job, outcome string) {
	l.w.o.Meters.Event(j.event.typ, outcome)
	if err := j.msg.Ack(); err != nil {
		l.w.o.Log.Debug("not acknowledged: it will come again and change nothing", "seq", j.seq, "err", err)
	}
	l.done([]*job{j})
}

// later gives events back after an error that passes, to come again after a pause, however often that takes.
func (l *lane) later(group []*job, err error) {
	class := store.ClassOf(err)
	l.w.o.Meters.Retry(string(class), len(group))
	if class != store.Conflict {
		l.w.gate.shut(err, class == store.Setup)
	}
	if class == store.Setup {
		l.w.o.Log.Error("the database refuses: are its migrations and grants those of this version? see drover migrate status", "err", store.Reason(err))
	}
	most := uint64(0)
	for _, j := range group {
		most = max(most, j.delivered)
	}
	// One pause for all of them, so that they come in their order.
	l.nak(group, backoff(most))
}

// Bounds of the pause before an event comes again. Too low: a database that is away is asked all the time. Too high: after an
// outage the tables lag.
const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// backoff doubles with each delivery, up to maxBackoff, and differs a little each time.
func backoff(delivered uint64) time.Duration {
	d := min(firstBackoff<<min(max(delivered, 1)-1, 10), maxBackoff)
	return d*3/4 + rand.N(d/4)
}

// giveBack returns events at the end, so that another worker has them at once. Where time ran out while they were
// being applied, nobody knows what became of them; delivered again, they turn out to be duplicates or not.
func (l *lane) giveBack(working context.Context, group []*job) {
	if errors.Is(context.Cause(working), ErrKept) {
		l.w.kept.Add(int64(len(group)))
	}
	l.nak(group, 0)
}

func (l *lane) nak(group []*job, delay time.Duration) {
	for _, j := range group {
		var err error
		if delay > 0 {
			err = j.msg.NakWithDelay(delay)
		} else {
			err = j.msg.Nak()
		}
		if err != nil { // it comes again after AckWait
			l.w.o.Log.Debug("not given back", "seq", j.seq, "err", err)
		}
	}
	l.done(group)
}

func (l *lane) done(group []*job) {
	l.w.hand.Add(-int64(len(group)))
	l.w.finished.Add(int64(len(group)))
	for _, j := range group {
		l.w.room.leave(j.size())
		l.w.inHand.Done()
	}
}
