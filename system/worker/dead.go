package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// DeadOptions describe the stream of dead letters: events that can never be applied, as they were, with the reason.
type DeadOptions struct {
	Name string // before the prefix; default DEAD
	// MaxAge is how long they stay; default 7 days.
	MaxAge time.Duration
	// MaxBytes bounds the stream, the oldest go first; default 256 MiB.
	MaxBytes int64
}

// DefaultDead is the default name of the stream of dead letters.
const DefaultDead = "DEAD"

// Headers of a dead letter, beside those that the event had.
const (
	HeaderDeadClass  = "Drover-Dead-Class"  // one of DeadReasons
	HeaderDeadReason = "Drover-Dead-Reason" // a sentence
	HeaderDeadStream = "Drover-Dead-Stream" // the stream that it was in
	HeaderDeadSeq    = "Drover-Dead-Seq"    // its sequence number there
	HeaderDeadID     = "Drover-Dead-Id"     // its Nats-Msg-Id there
	HeaderDeadBytes  = "Drover-Dead-Bytes"  // only where it was too large to be kept: its size
)

func (o *DeadOptions) check() error {
	if o.Name == "" {
		o.Name = DefaultDead
	}
	if o.MaxAge == 0 {
		o.MaxAge = 7 * 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	switch {
	case !nameRule.MatchString(o.Name):
		return fmt.Errorf("worker: dead letters: name %q: letters, digits, _ and - only", o.Name)
	case o.MaxAge < time.Second:
		return fmt.Errorf("worker: dead letters: max age: %v is below 1s", o.MaxAge)
	case o.MaxBytes < 1024:
		return fmt.Errorf("worker: dead letters: max bytes: %d is below 1024", o.MaxBytes)
	}
	return nil
}

// ensureDead makes the stream of dead letters, or gives an existing one our limits. It is in file storage: they wait for a
// person.
func (w *Worker) ensureDead(ctx context.Context) error {
	name := w.o.Dead.Name
	if w.o.Prefix != "" {
		name = w.o.Prefix + "_" + name
	}
	js := w.o.Broker.JetStream()
	have, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Description: "events that drover worker could never apply", Subjects: []string{w.subject("dead.>")},
			Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld, MaxAge: w.o.Dead.MaxAge, MaxBytes: w.o.Dead.MaxBytes,
			Duplicates: min(2*time.Minute, w.o.Dead.MaxAge),
		})
		if err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another worker was faster
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("worker: stream of dead letters %s: %w", name, err)
	}
	c := have.CachedInfo().Config
	if !slices.ContainsFunc(c.Subjects, w.holdsLetters) {
		return fmt.Errorf("worker: stream of dead letters %s: there is a stream of that name for other subjects (%s), which is left alone: set worker.dead.name to another name",
			name, strings.Join(c.Subjects, ", "))
	}
	if c.MaxAge == w.o.Dead.MaxAge && c.MaxBytes == w.o.Dead.MaxBytes {
		return nil
	}
	c.MaxAge, c.MaxBytes = w.o.Dead.MaxAge, w.o.Dead.MaxBytes
	c.Duplicates = min(c.Duplicates, c.MaxAge)
	if _, err := js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("worker: stream of dead letters %s: %w", name, err)
	}
	return nil
}

// holdsLetters reports whether a stream with that subject takes the dead letters.
func (w *Worker) holdsLetters(subject string) bool {
	root, all := strings.CutSuffix(subject, ">")
	return all && strings.HasPrefix(w.subject("dead.events."), root)
}

// bury sends an event to the dead letters and acknowledges it once it is there.
func (l *lane) bury(working context.Context, j *job, why error) {
	p := &poison{DeadData, why.Error()}
	errors.As(why, &p)
	m := nats.NewMsg(l.w.subject("dead." + strings.TrimPrefix(j.msg.Subject(), l.w.subject(""))))
	m.Data = j.msg.Data()
	for key, values := range j.msg.Headers() {
		if !strings.HasPrefix(key, "Nats-") { // those tell JetStream what to do
			m.Header[key] = values
		}
	}
	m.Header.Set(HeaderDeadClass, p.class)
	m.Header.Set(HeaderDeadReason, oneLine(p.text, 500))
	m.Header.Set(HeaderDeadStream, l.w.o.Broker.StreamName(messages.Events))
	m.Header.Set(HeaderDeadSeq, strconv.FormatUint(j.seq, 10))
	if id := j.msg.Headers().Get(messages.HeaderID); id != "" {
		m.Header.Set(HeaderDeadID, oneLine(id, 200))
	}
	// The same each time: a second burial inside the window of duplicates is dropped.
	m.Header.Set(messages.HeaderID, "dead:"+strconv.FormatInt(j.position, 10))
	err := nats.ErrMaxPayload
	// A letter that the stream's bounds have no room for would be stored, and push out all others and itself.
	if int64(len(m.Data)) <= l.w.o.Dead.MaxBytes/2 {
		err = l.publish(working, m)
	}
	if errors.Is(err, nats.ErrMaxPayload) { // also where the reason is what made it too large
		m.Header.Set(HeaderDeadBytes, strconv.Itoa(len(m.Data)))
		m.Data = nil
		err = l.publish(working, m)
	}
	if err != nil {
		if working.Err() != nil {
			l.giveBack(working, []*job{j})
			return
		}
		l.w.o.Meters.Retry("nats", 1)
		l.w.o.Log.Warn("dead letter not stored; trying again", "seq", j.seq, "err", err)
		l.nak([]*job{j}, backoff(j.delivered))
		return
	}
	l.w.o.Meters.Dead(p.class)
	l.w.o.Log.Error("event can never be applied: it is in the dead letters", "seq", j.seq, "event_type", j.event.typ, "class", p.class, "reason", oneLine(p.text, 500))
	l.ack(j, "dead")
}

func (l *lane) publish(ctx context.Context, m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := l.w.o.Broker.JetStream().PublishMsg(ctx, m)
	return err
}
