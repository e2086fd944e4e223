package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
	"drover/system/store"
)

// lookEvery is how often the consumer is asked how far it is.
const lookEvery = 2 * time.Second

// ReasonLate is the reason in the audit log where events had gone from the stream before a worker read them.
const ReasonLate = "worker_late"

// dealt is up to where all events were dealt with, as far as is known. The looking goroutine alone uses it.
type dealt struct {
	known    bool  // position was read from the database
	position int64 // 0: nothing was noted
	noted    int64 // what the database has
}

// look asks now and then how far the consumer is, and whether the stream has thrown events away that nobody had read. It ends
// with ctx.
func (w *Worker) look(ctx context.Context) {
	every := time.NewTicker(w.every)
	defer every.Stop()
	var d dealt
	for {
		w.state.mu.Lock()
		cons := w.state.cons
		w.state.mu.Unlock()
		if cons != nil {
			w.lookOnce(ctx, cons, &d)
		}
		select {
		case <-every.C:
		case <-w.state.news:
		case <-ctx.Done():
			w.state.mu.Lock()
			cons := w.state.last
			w.state.mu.Unlock()
			if cons != nil && w.o.Broker.Connected() { // what the drain has finished counts too
				ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				defer cancel()
				w.lookOnce(ending, cons, &d)
			}
			return
		}
	}
}

func (w *Worker) lookOnce(ctx context.Context, cons jetstream.Consumer, d *dealt) {
	asking, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := w.judge(ctx, asking, cons, d); err != nil && ctx.Err() == nil {
		w.o.Log.Debug("not known how far the consumer is", "err", err)
	}
}

// judge compares where the stream begins with what was dealt with. The order of its questions counts: what the consumer says of
// itself holds for everything that the stream had before. Each question ends with asking; to mark all communities takes as long as ctx allows.
func (w *Worker) judge(ctx, asking context.Context, cons jetstream.Consumer, d *dealt) error {
	name := w.o.Broker.StreamName(messages.Events)
	s, err := w.source.Stream(asking, name)
	if err != nil {
		return err
	}
	stream := s.CachedInfo()
	info, err := cons.Info(asking)
	if err != nil {
		return err
	}
	w.state.mu.Lock()
	w.state.pending, w.state.unacked = info.NumPending, info.NumAckPending
	w.state.mu.Unlock()
	if open, _ := w.gate.err(); !open {
		return nil
	}
	reader := name + "/" + w.durable
	if !d.known {
		if d.position, err = w.o.Store.Progress(asking, reader); err != nil {
			return err
		}
		d.known, d.noted = true, d.position
	}
	if w.behind(name, stream, d.position) {
		return nil
	}
	begin := stream.Created.UnixNano()
	// What was noted of a stream that had this name before says nothing: drover declares a gap when it makes one again.
	if first := stream.State.FirstSeq; d.position >= begin && first > uint64(d.position-begin)+1 {
		if err := w.late(ctx, reader, store.Position(stream.Created, first-1), first-1-uint64(d.position-begin)); err != nil {
			return err
		}
		d.position = store.Position(stream.Created, first-1)
	}
	reached := info.AckFloor.Stream
	if info.NumPending == 0 && info.NumAckPending == 0 {
		reached = stream.State.LastSeq // nothing that we read stands before it
	}
	d.position = max(d.position, store.Position(stream.Created, reached))
	if d.position == d.noted {
		return nil
	}
	if err := w.o.Store.SetProgress(asking, reader, d.position); err != nil {
		return err
	}
	d.noted = d.position
	return nil
}

// behind reports, and says at /ready, that the stream's positions stand before what was dealt with already, so that all its events count as
// old ones: it was made again by a server whose clock is behind, or comes from a backup. A second is more than two workers' views of
// one stream can differ by.
func (w *Worker) behind(name string, stream *jetstream.StreamInfo, position int64) bool {
	var why error
	if position-store.Position(stream.Created, stream.State.LastSeq) > int64(time.Second) {
		why = fmt.Errorf("stream %s was made at %s, which is before events that are applied already, so that its events change nothing: "+
			"set the clock of the NATS server right, and delete the stream: drover makes it again", name, stream.Created.UTC().Format(time.RFC3339))
	}
	if w.state.behindBy(why) {
		w.o.Log.Error("events count as old ones", "err", why)
	}
	return why != nil
}

// late marks every community: nobody knows whom the events concerned that are gone.
func (w *Worker) late(ctx context.Context, reader string, position int64, gone uint64) error {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s:%d", reader, position))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	id := h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
	marked, err := w.o.Store.MarkStale(ctx, store.Gap{EventID: id, ShardID: store.AllShards, Position: position, At: time.Now(), Reason: ReasonLate},
		w.o.Concurrency, nil)
	w.o.Meters.Stale(marked)
	if err == nil {
		w.o.Log.Error("the stream threw events away before a worker read them: every community is stale until its guild comes back; "+
			"raise streams.events.max_age, or run more workers", "events", gone, "communities", marked)
	}
	return err
}
