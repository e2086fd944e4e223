package stream

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// StreamOptions describe one of the two streams. Zero values take the contract's defaults.
type StreamOptions struct {
	Name    string // before the prefix; default EVENTS or COMMANDS
	Storage string // auto (default), memory or file; auto: what exists, else memory, or file when embedded
	// MaxAge is how long an event stays. 0: 5 min for events, 1 min for commands, and for ever where
	// MaxBytes bounds the stream. Too low and a worker that restarts misses events; too high and it
	// costs storage.
	MaxAge time.Duration
	// MaxBytes bounds the stream, 0: not bounded. Where it is reached, JetStream drops the oldest.
	MaxBytes int64
	Replicas int // 1 to 5; 0: what exists, else 1
	// Duplicates is JetStream's window for the ids of events; default 2 min for events, 1 min for
	// commands, never above MaxAge. Too low and a replay after an outage is stored twice.
	Duplicates time.Duration
}

// StreamError says that a stream exists, or could be made, only with another configuration than
// the one wanted. Nothing was changed.
type StreamError struct {
	Stream     string // its real name, with the prefix
	Field      string // the configuration key under streams.events or streams.commands; "retention" and "subjects" have none
	Have, Want string // the field's values
	Remedy     string // what to do, one sentence
	Err        error  // what the server said; may be nil
}

func (e *StreamError) Error() string {
	text := fmt.Sprintf("stream: set up %s: %s is %s, wanted %s: %s", e.Stream, e.Field, e.Have, e.Want, e.Remedy)
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Unwrap returns what the server said.
func (e *StreamError) Unwrap() error { return e.Err }

// ErrNoJetStream means that the server, or this account on it, has no JetStream.
var ErrNoJetStream = errors.New("stream: JetStream is not enabled on the NATS server for this account: start nats-server with -js, or give the account JetStream limits")

// Numbers of JetStream's errors that have no name in its client.
const (
	errCodeNoPeers       = 10005 // not enough servers for the replicas
	errCodeOverlap       = 10065 // another stream has our subjects
	errCodeNoReplication = 10074 // replicas on a server without a cluster
)

// EnsureStreams makes both streams exist as configured. What exists is changed where NATS allows
// it, and never deleted; where NATS does not allow it, the error is a *StreamError. It is
// idempotent, and to be called again whenever the server may have come back without the streams.
func (b *Broker) EnsureStreams(ctx context.Context) error {
	// One at a time: two at once would both make a new stream, and the second would take it for one that was lost.
	select {
	case b.settingUp <- struct{}{}:
		defer func() { <-b.settingUp }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for s := range messages.Stream(messages.Streams) {
		info, made, err := b.ensure(ctx, b.wanted(s))
		if err != nil {
			return err
		}
		b.mu.Lock()
		again := !b.made[s].IsZero() && !b.made[s].Equal(info.Created)
		b.made[s] = info.Created
		b.mu.Unlock()
		if (made || again) && b.opts.Hooks.Made != nil {
			b.opts.Hooks.Made(s, again)
		}
	}
	return nil
}

// StreamName returns the real name of a stream.
func (b *Broker) StreamName(s messages.Stream) string { return b.wanted(s).Name }

// subject returns the real subject of one of the contract's.
func (b *Broker) subject(s string) string {
	if b.opts.Prefix == "" {
		return s
	}
	return b.opts.Prefix + "." + s
}

// madeAt is when the stream was made that EnsureStreams saw last.
func (b *Broker) madeAt(s messages.Stream) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.made[s]
}

// duplicates is for how long JetStream knows the ids of a stream's events.
func (b *Broker) duplicates(s messages.Stream) time.Duration { return b.wanted(s).Duplicates }

// ensure reports whether it created the stream.
func (b *Broker) ensure(ctx context.Context, want jetstream.StreamConfig) (info *jetstream.StreamInfo, made bool, err error) {
	have, err := b.js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if want.Storage == anyStorage {
			want.Storage = b.autoStorage()
		}
		want.Replicas = max(want.Replicas, 1)
		have, err = b.js.CreateStream(ctx, want)
		if err != nil {
			return nil, false, b.streamError(want, want, err)
		}
		b.log.Info("stream created", "stream", want.Name, "storage", want.Storage.String(), "max_age", want.MaxAge)
		return have.CachedInfo(), true, nil
	case err != nil:
		return nil, false, b.streamError(want, want, err)
	}
	old := have.CachedInfo().Config
	next, changed, err := merge(old, want)
	if err != nil || len(changed) == 0 {
		return have.CachedInfo(), false, err
	}
	if _, err := b.js.UpdateStream(ctx, next); err != nil {
		return nil, false, b.streamError(next, old, err)
	}
	b.log.Info("stream updated", "stream", want.Name, "changed", strings.Join(changed, ","))
	return have.CachedInfo(), false, nil
}

// merge puts our fields into what exists, and names those that change. What is not ours, like the
// discard policy, compression or further subjects, stays as the operator made it.
func merge(old, want jetstream.StreamConfig) (next jetstream.StreamConfig, changed []string, err error) {
	next = old
	if want.Storage != anyStorage && old.Storage != want.Storage {
		return next, nil, &StreamError{Stream: old.Name, Field: "storage", Have: storageName(old.Storage), Want: storageName(want.Storage),
			Remedy: `NATS cannot change it: configure storage "auto" or "` + storageName(old.Storage) + `", or delete the stream when its events are no longer needed`}
	}
	if old.Retention != want.Retention {
		return next, nil, &StreamError{Stream: old.Name, Field: "retention", Have: strings.ToLower(old.Retention.String()), Want: "limits",
			Remedy: "several consumers must see each event: configure another name, or delete the stream when its events are no longer needed"}
	}
	if old.Mirror != nil || old.Sealed {
		return next, nil, &StreamError{Stream: old.Name, Field: "name", Have: "a mirror or a sealed stream", Want: "one that can be written",
			Remedy: "configure another name"}
	}
	set := func(name string, differs bool, apply func()) {
		if differs {
			apply()
			changed = append(changed, name)
		}
	}
	subjects := mergeSubjects(old.Subjects, want.Subjects)
	set("subjects", len(subjects) != len(old.Subjects) || !contains(old.Subjects, want.Subjects[0]), func() { next.Subjects = subjects })
	set("max_age", old.MaxAge != want.MaxAge, func() { next.MaxAge = want.MaxAge })
	set("max_bytes", old.MaxBytes != want.MaxBytes, func() { next.MaxBytes = want.MaxBytes })
	set("replicas", want.Replicas != 0 && old.Replicas != want.Replicas, func() { next.Replicas = want.Replicas })
	set("duplicates", old.Duplicates != want.Duplicates, func() { next.Duplicates = want.Duplicates })
	set("no_ack", old.NoAck, func() { next.NoAck = false })
	return next, changed, nil
}

// mergeSubjects keeps the operator's further subjects beside ours, which covers its own parts.
func mergeSubjects(old, want []string) []string {
	out := append([]string(nil), want...)
	root := strings.TrimSuffix(want[0], ">")
	for _, s := range old {
		if !strings.HasPrefix(s, root) {
			out = append(out, s)
		}
	}
	return out
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// streamError turns the server's refusal into a sentence that names what to change.
func (b *Broker) streamError(want, have jetstream.StreamConfig, err error) error {
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return ErrNoJetStream
	}
	if errors.Is(err, nats.ErrNoResponders) { // nobody serves the API: JetStream is off
		return ErrNoJetStream
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("stream: set up %s: %w", want.Name, b.clean(err))
	}
	e := &StreamError{Stream: want.Name, Err: errors.New(api.Description)}
	switch api.ErrorCode {
	case errCodeOverlap:
		e.Field, e.Have, e.Want = "subjects", "claimed by another stream", want.Subjects[0]
		e.Remedy = "configure streams.prefix, or take these subjects from the other stream"
	case errCodeNoPeers, errCodeNoReplication:
		e.Field, e.Have, e.Want = "replicas", fmt.Sprint(have.Replicas), fmt.Sprint(want.Replicas)
		if have.Replicas == want.Replicas { // there is no stream yet
			e.Have = "more than the servers can hold"
		}
		e.Remedy = "configure fewer replicas, or add servers to the NATS cluster"
	default:
		return fmt.Errorf("stream: set up %s: the server refused: %s (code %d)", want.Name, api.Description, api.ErrorCode)
	}
	return e
}

// anyStorage stands for "auto" until it is known what exists.
const anyStorage jetstream.StorageType = -1

func (b *Broker) autoStorage() jetstream.StorageType {
	if b.opts.Server != nil {
		return jetstream.FileStorage
	}
	return jetstream.MemoryStorage
}

func storageName(s jetstream.StorageType) string { return strings.ToLower(s.String()) }

// wanted is the configuration of one stream as this node wants it.
func (b *Broker) wanted(s messages.Stream) jetstream.StreamConfig {
	o, subject := b.opts.Events, "events.>"
	if s == messages.Commands {
		o, subject = b.opts.Commands, "commands.>"
	}
	c := jetstream.StreamConfig{
		Name:       o.Name,
		Subjects:   []string{b.subject(subject)},
		Retention:  jetstream.LimitsPolicy,
		Discard:    jetstream.DiscardOld,
		Storage:    anyStorage,
		MaxAge:     o.MaxAge,
		MaxBytes:   o.MaxBytes,
		Replicas:   o.Replicas,
		Duplicates: o.Duplicates,
	}
	if c.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, c.MaxAge)
	}
	if b.opts.Prefix != "" {
		c.Name = b.opts.Prefix + "_" + c.Name
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = -1
	}
	switch o.Storage {
	case "memory":
		c.Storage = jetstream.MemoryStorage
	case "file":
		c.Storage = jetstream.FileStorage
	}
	return c
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// check fills the defaults of stream s in.
func (o *StreamOptions) check(s messages.Stream) error {
	age, window := 5*time.Minute, 2*time.Minute
	if s == messages.Commands {
		age, window = time.Minute, time.Minute
	}
	if o.Name == "" {
		o.Name = s.String()
	}
	if o.MaxAge == 0 && o.MaxBytes == 0 {
		o.MaxAge = age
	}
	if o.Duplicates == 0 {
		o.Duplicates = window
	}
	if o.Storage == "" {
		o.Storage = "auto"
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("stream: options of "+s.String()+": "+format, args...)
	}
	const least = 100 * time.Millisecond // NATS' own bound
	switch {
	case !nameRule.MatchString(o.Name):
		return bad("name: %q may hold letters, digits, '_' and '-' only", o.Name)
	case o.Storage != "auto" && o.Storage != "memory" && o.Storage != "file":
		return bad("storage: %q is none of auto, memory, file", o.Storage)
	case o.MaxAge != 0 && o.MaxAge < least:
		return bad("max age: %v is below %v", o.MaxAge, least)
	case o.Duplicates < least:
		return bad("duplicates: %v is below %v", o.Duplicates, least)
	case o.MaxBytes < 0:
		return bad("max bytes: %d is negative", o.MaxBytes)
	case o.Replicas < 0 || o.Replicas > 5:
		return bad("replicas: %d is not between 0 and 5", o.Replicas)
	}
	return nil
}
