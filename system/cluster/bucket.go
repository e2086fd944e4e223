package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// bucket is a key-value bucket that is made when it is missed. Any goroutine may call its methods.
type bucket struct {
	js   jetstream.JetStream
	want jetstream.KeyValueConfig // Replicas 0: as many as there are, 1 for a new one
	log  *slog.Logger
	// rising has the revisions of a bucket that is made begin above those of any before it. Epochs are such revisions: a
	// lease must not have a lower one because its bucket was deleted.
	rising bool

	settingUp chan struct{} // capacity 1: one ensure at a time, and nobody waits longer than its context

	mu    sync.Mutex
	kv    jetstream.KeyValue // nil until ensure has worked
	again chan struct{}      // closed when this process makes the bucket; nil while nobody asks
}

// BucketError says that a bucket exists in a way that drover cannot use. Nothing was changed.
type BucketError struct {
	Bucket  string
	Problem string // what is wrong with it
	Remedy  string // what to do, one sentence
}

func (e *BucketError) Error() string {
	return fmt.Sprintf("bucket %s %s: %s", e.Bucket, e.Problem, e.Remedy)
}

// open returns the bucket, without a request once ensure has worked.
func (b *bucket) open(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	kv := b.kv
	b.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	if err := b.ensure(ctx); err != nil {
		return nil, err
	}
	return b.open(ctx)
}

// reopen is for who was told that kv does not exist: it makes sure of the bucket, unless somebody else has since then.
func (b *bucket) reopen(ctx context.Context, kv jetstream.KeyValue) (jetstream.KeyValue, error) {
	b.mu.Lock()
	now := b.kv
	b.mu.Unlock()
	if now != kv {
		return now, nil
	}
	if err := b.ensure(ctx); err != nil {
		return nil, err
	}
	return b.open(ctx)
}

// remade is closed when this process finds the bucket missing and makes it.
func (b *bucket) remade() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.again == nil {
		b.again = make(chan struct{})
	}
	return b.again
}

// ensure makes the bucket exist. An existing one is kept; its age limit and number of replicas are
// changed if they differ from what is wanted.
func (b *bucket) ensure(ctx context.Context) error {
	select {
	case b.settingUp <- struct{}{}:
		defer func() { <-b.settingUp }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		kv, err := b.js.KeyValue(ctx, b.want.Bucket)
		missing := errors.Is(err, jetstream.ErrBucketNotFound)
		switch {
		case missing:
			want := b.want
			want.Replicas = max(want.Replicas, 1)
			kv, err = b.create(ctx, want)
			if errors.Is(err, jetstream.ErrBucketExists) || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				continue // another process made it this instant, and differently
			}
		case errors.Is(err, jetstream.ErrBadBucket):
			return &BucketError{b.want.Bucket, "is a stream and no bucket",
				"choose another streams.prefix, or delete the stream " + b.stream()}
		case err == nil:
			err = b.adapt(ctx)
		}
		var unusable *BucketError
		switch {
		case errors.As(err, &unusable):
			return err
		case err != nil:
			return fmt.Errorf("set up bucket %s: %w", b.want.Bucket, err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.kv = kv
		if missing {
			if b.again != nil {
				close(b.again)
				b.again = nil
			}
			b.log.Info("bucket created", "bucket", b.want.Bucket)
		}
		return nil
	}
}

// create makes the bucket as CreateKeyValue does it, which cannot set FirstSeq, and asks for $JS.API.INFO: a right that a node has no other
// use for.
func (b *bucket) create(ctx context.Context, want jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	config := jetstream.StreamConfig{
		Name: b.stream(), Description: want.Description, Subjects: []string{b.subject(">")},
		MaxMsgsPerSubject: int64(want.History), MaxBytes: -1, MaxMsgs: -1, MaxMsgSize: -1, MaxConsumers: -1,
		MaxAge: want.TTL, Storage: want.Storage, Replicas: want.Replicas, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: true,
		AllowMsgTTL: want.LimitMarkerTTL > 0, SubjectDeleteMarkerTTL: want.LimitMarkerTTL,
	}
	if b.rising {
		// No bucket is written a million times a second, so the clock is ahead of the revisions of the one before. A number
		// of microseconds is still exact in JSON.
		config.FirstSeq = uint64(time.Now().UnixMicro())
	}
	if _, err := b.js.CreateStream(ctx, config); err != nil {
		return nil, err
	}
	return b.js.KeyValue(ctx, want.Bucket)
}

// adapt judges the bucket that exists, and changes what may be changed.
func (b *bucket) adapt(ctx context.Context) error {
	stream, err := b.js.Stream(ctx, b.stream())
	if err != nil {
		return err
	}
	have := stream.CachedInfo().Config
	switch {
	case have.Storage != b.want.Storage:
		return &BucketError{b.want.Bucket, "is kept in memory, so that what is in it would die with the NATS server",
			"delete it (nats kv del " + b.want.Bucket + "), and drover makes it again with file storage"}
	case have.Mirror != nil || have.Sealed:
		return &BucketError{b.want.Bucket, "is a mirror or sealed, and cannot be written",
			"choose another streams.prefix, or delete the bucket"}
	}
	next := have
	next.MaxAge = b.want.TTL
	if b.want.LimitMarkerTTL > 0 {
		next.AllowMsgTTL, next.SubjectDeleteMarkerTTL = true, b.want.LimitMarkerTTL
		if b.want.TTL < next.Duplicates {
			next.Duplicates = b.want.TTL // the server allows no longer one than the age
		}
	}
	if b.want.Replicas > 0 {
		next.Replicas = b.want.Replicas
	}
	if next.MaxAge == have.MaxAge && next.Replicas == have.Replicas && next.SubjectDeleteMarkerTTL == have.SubjectDeleteMarkerTTL {
		return nil
	}
	if _, err := b.js.UpdateStream(ctx, next); err != nil {
		return err
	}
	b.log.Info("bucket updated", "bucket", b.want.Bucket, "max_age", next.MaxAge, "replicas", next.Replicas)
	return nil
}

// put writes key if its last revision is still last, 0 for none, and returns the new revision. So a
// write that hung in a dead connection, and comes through at last, cannot undo a later one. Where the revision
// differs, because the answer to an earlier write was lost or somebody else wrote, it is looked up, once, and what is found is
// replaced if check allows that; gone reports that there was nothing any more.
func put(ctx context.Context, kv jetstream.KeyValue, key string, data []byte, last uint64, check func(found []byte) error) (revision uint64, gone bool, err error) {
	revision, err = kv.Update(ctx, key, data, last)
	if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return revision, false, err
	}
	entry, err := kv.Get(ctx, key)
	switch {
	case err == nil:
		// What is judged is what is replaced: two reads may be answered by two copies of the bucket, one of them behind.
		if err := check(entry.Value()); err != nil {
			return 0, false, err
		}
		revision, err = kv.Update(ctx, key, data, entry.Revision())
	case errors.Is(err, jetstream.ErrKeyNotFound):
		gone = true
		revision, err = kv.Create(ctx, key, data) // knows what to do with the marker of a deletion
	}
	return revision, gone, err
}

// ahead is by how much our clock is ahead of the server's, within the time that a request takes. A bucket that went away has none.
func (b *bucket) ahead(ctx context.Context) (time.Duration, error) {
	stream, err := b.js.Stream(ctx, b.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return time.Since(stream.CachedInfo().TimeStamp), nil
}

// keys lists what the bucket may hold, by one request and not by a watcher: that one cannot tell a
// connection that ended from the end of the keys. Deleted keys may be among them. A bucket that does not
// exist has none.
func (b *bucket) keys(ctx context.Context) ([]string, error) {
	stream, err := b.js.Stream(ctx, b.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(b.subject(">")))
	if err != nil {
		return nil, err
	}
	var keys []string
	for subject := range info.State.Subjects {
		keys = append(keys, strings.TrimPrefix(subject, b.subject("")))
	}
	return keys, nil
}

// purge removes keys, which may hold wildcards, in their order and without a trace: markers of what was
// deleted would stay for ever in a bucket without an age limit.
func (b *bucket) purge(ctx context.Context, keys ...string) error {
	stream, err := b.js.Stream(ctx, b.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(b.subject(key))); err != nil {
			return err
		}
	}
	return nil
}

// stream and subject are where JetStream keeps a bucket: NATS' ADR-8.
func (b *bucket) stream() string            { return "KV_" + b.want.Bucket }
func (b *bucket) subject(key string) string { return "$KV." + b.want.Bucket + "." + key }
