package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStreamStore is a Store in a JetStream key-value bucket. A bucket that is missed is made; one that was deleted is made again,
// and its revisions go on above the old ones.
type JetStreamStore struct {
	bucket *bucket
}

// StoreOptions describe a bucket.
type StoreOptions struct {
	Bucket      string // the whole name
	Description string
	// TTL is how long a key lives after it was written last; at least 100 ms. 0: for ever. It is the bucket's and not a
	// key's, for an update would make a key with a TTL of its own permanent.
	TTL time.Duration
	// Replicas is 1 to 5 copies in a NATS cluster. 0: what exists, 1 for a new bucket.
	Replicas int
	// Log tells of buckets that are made or changed. nil: nobody is told.
	Log *slog.Logger
}

// NewJetStreamStore returns a store without asking NATS anything.
func NewJetStreamStore(js jetstream.JetStream, o StoreOptions) *JetStreamStore {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	want := jetstream.KeyValueConfig{
		Bucket: o.Bucket, Description: o.Description, TTL: o.TTL, History: 1,
		// A bucket in memory would be gone after a restart of the server, and every lease with it.
		Storage: jetstream.FileStorage, Replicas: o.Replicas,
	}
	if o.TTL > 0 {
		want.LimitMarkerTTL = max(o.TTL, time.Second) // without it no watch hears that a key expired; a second is the least
	}
	return &JetStreamStore{&bucket{js: js, want: want, log: o.Log, settingUp: make(chan struct{}, 1), rising: true}}
}

// Ensure makes the bucket exist. It may be called at any time and again. Where somebody must act the error is a
// *BucketError.
func (s *JetStreamStore) Ensure(ctx context.Context) error {
	if err := s.bucket.ensure(ctx); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Create implements Store.
func (s *JetStreamStore) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	err = s.do(ctx, key, func(kv jetstream.KeyValue) error {
		revision, err = kv.Create(ctx, key, value)
		return err
	})
	return revision, err
}

// Update implements Store.
func (s *JetStreamStore) Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error) {
	if last == 0 { // would be a Create
		return 0, fmt.Errorf("cluster: update %s: %w", key, ErrChanged)
	}
	err = s.do(ctx, key, func(kv jetstream.KeyValue) error {
		revision, err = kv.Update(ctx, key, value, last)
		return err
	})
	return revision, err
}

// Delete implements Store.
func (s *JetStreamStore) Delete(ctx context.Context, key string, last uint64) error {
	if last == 0 { // would be unconditional
		return fmt.Errorf("cluster: delete %s: %w", key, ErrChanged)
	}
	return s.do(ctx, key, func(kv jetstream.KeyValue) error { return kv.Delete(ctx, key, jetstream.LastRevision(last)) })
}

// Get implements Store. In a NATS cluster any copy may answer, so it may be some milliseconds old.
func (s *JetStreamStore) Get(ctx context.Context, key string) (Entry, error) {
	var e Entry
	err := s.do(ctx, key, func(kv jetstream.KeyValue) error {
		got, err := kv.Get(ctx, key)
		if err == nil {
			e = Entry{Key: key, Value: got.Value(), Revision: got.Revision()}
		}
		return err
	})
	return e, err
}

// do asks the bucket, and once more if it had to be made again.
func (s *JetStreamStore) do(ctx context.Context, key string, ask func(jetstream.KeyValue) error) error {
	kv, err := s.bucket.open(ctx)
	if err == nil {
		if err = ask(kv); missing(err) {
			if kv, err = s.bucket.reopen(ctx, kv); err == nil {
				err = ask(kv)
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		err = ErrChanged
	case errors.Is(err, jetstream.ErrKeyExists):
		err = ErrExists
	case errors.Is(err, jetstream.ErrKeyNotFound): // ErrKeyDeleted is one
		err = ErrNotFound
	}
	return fmt.Errorf("cluster: key %s of bucket %s: %w", key, s.bucket.want.Bucket, err)
}

// missing reports that nobody serves the bucket: it is gone, or its leader is away.
func missing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound)
}

// List implements Store, by one request: a watcher would make a consumer each time, which a NATS cluster has to agree on.
func (s *JetStreamStore) List(ctx context.Context) ([]Entry, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
	}
	kv, err := s.bucket.open(ctx)
	var entries []Entry
	if err == nil {
		if entries, err = s.list(ctx); missing(err) {
			if kv, err = s.bucket.reopen(ctx, kv); err == nil {
				entries, err = s.list(ctx)
			}
		}
		if errors.Is(err, errTooMany) {
			entries, err = listByWatch(ctx, kv)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: list bucket %s: %w", s.bucket.want.Bucket, err)
	}
	return entries, nil
}

// errTooMany says that the bucket has more keys than the server sends in one answer.
var errTooMany = errors.New("too many keys")

// mostListed is how many keys the server sends in one answer, and a message for its end.
const mostListed = 1024 + 1

// list asks for the last message of every key: NATS' ADR-31, "multi-subject requests".
func (s *JetStreamStore) list(ctx context.Context) ([]Entry, error) {
	nc := s.bucket.js.Conn()
	inbox := nc.NewInbox()
	// SubscribeSync would make room for 65,536 messages: 512 KB of garbage for each list.
	answer, closed := make(chan *nats.Msg, mostListed), make(chan struct{}, 1)
	sub, err := nc.ChanSubscribe(inbox, answer)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // of a connection that is closed: gone anyway
	sub.SetClosedHandler(func(string) { signal(closed) })
	request, err := json.Marshal(map[string]any{"multi_last": []string{s.bucket.subject(">")}})
	if err != nil {
		return nil, err
	}
	prefix := s.bucket.js.Options().APIPrefix
	if prefix == "" {
		prefix = jetstream.DefaultAPIPrefix
	}
	if !strings.HasSuffix(prefix, ".") {
		prefix += "."
	}
	if err := nc.PublishRequest(prefix+"DIRECT.GET."+s.bucket.stream(), inbox, request); err != nil {
		return nil, err
	}
	var entries []Entry
	for {
		var m *nats.Msg
		select {
		case m = <-answer:
		case <-closed:
			return nil, nats.ErrConnectionClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204": // the end
			if pending := m.Header.Get("Nats-Num-Pending"); pending != "0" {
				return nil, fmt.Errorf("the answer ended %s keys early", pending)
			}
			return entries, nil
		case "404":
			if len(entries) > 0 {
				return nil, errors.New("a key went away while it was read")
			}
			return nil, nil
		case "413":
			return nil, errTooMany
		case "503":
			return nil, nats.ErrNoResponders
		default:
			return nil, fmt.Errorf("status %s: %s", status, m.Header.Get("Description"))
		}
		if m.Header.Get("KV-Operation") != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "" {
			continue // deleted, or expired
		}
		revision, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("a key without a revision: %w", err)
		}
		key := strings.TrimPrefix(m.Header.Get(jetstream.SubjectHeader), s.bucket.subject(""))
		entries = append(entries, Entry{Key: key, Value: m.Data, Revision: revision})
	}
}

func listByWatch(ctx context.Context, kv jetstream.KeyValue) ([]Entry, error) {
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Stop() }()
	var entries []Entry
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok: // the connection was closed: not the end of the keys
				return nil, nats.ErrConnectionClosed
			case e == nil:
				return entries, nil
			}
			entries = append(entries, Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision()})
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Watch implements Store.
func (s *JetStreamStore) Watch(ctx context.Context, changed func(Entry)) error {
	kv, err := s.bucket.open(ctx)
	if err != nil {
		return fmt.Errorf("cluster: watch bucket %s: %w", s.bucket.want.Bucket, err)
	}
	remade := s.bucket.remade()
	w, err := kv.WatchAll(ctx, jetstream.UpdatesOnly())
	if err != nil {
		return fmt.Errorf("cluster: watch bucket %s: %w", s.bucket.want.Bucket, err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return fmt.Errorf("cluster: watch bucket %s: %w", s.bucket.want.Bucket, nats.ErrConnectionClosed)
			}
			if e == nil {
				continue
			}
			entry := Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision()}
			if e.Operation() != jetstream.KeyValuePut {
				entry.Value, entry.Revision, entry.Deleted, entry.Gone = nil, 0, e.Operation() == jetstream.KeyValueDelete, e.Revision()
			}
			changed(entry)
		case <-remade: // the consumer was of the bucket before, and hears nothing more
			return fmt.Errorf("cluster: watch bucket %s: it was made again", s.bucket.want.Bucket)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
