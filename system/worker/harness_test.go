package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
	"drover/system/localdb"
	"drover/system/store"
	"drover/system/stream"
)

// database is one PostgreSQL with PgBouncer for all tests of the package, started by the first that needs it.
var database = sync.OnceValues(func() (*localdb.Server, error) {
	srv, err := localdb.Start(context.Background(), localdb.Options{})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	err = srv.CreateDatabase(ctx, "migrated", "")
	if err == nil {
		err = store.Up(ctx, srv.OwnerURL("migrated"))
	}
	if err == nil {
		err = srv.EnableLogins(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, srv.Close())
	}
	started.Store(srv)
	return srv, nil
})

var started atomic.Pointer[localdb.Server]

func TestMain(m *testing.M) {
	if nats := os.Getenv(childNATS); nats != "" { // we are a worker that a test started
		if err := child(nats, os.Getenv(childDatabase)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if srv := started.Load(); srv != nil {
		_ = srv.Close()
	}
	os.Exit(code)
}

// rig is a NATS server with the streams, a database of its own, and what a test does to both.
type rig struct {
	t       testing.TB
	srv     *localdb.Server
	db      string
	nats    *stream.Embedded
	dir     string // of its store
	broker  *stream.Broker
	seq     int64
	last    jetstream.PubAckFuture // of the newest event that a worker reads
	lastSeq uint64
	model   *model
}

var databases atomic.Int64

func newRig(t testing.TB) *rig {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		test.Parallel() // they wait more than they work
	}
	srv, err := database()
	if errors.Is(err, localdb.ErrNotInstalled) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rigOn(t, srv)
}

func rigOn(t testing.TB, srv *localdb.Server) *rig {
	t.Helper()
	db := fmt.Sprintf("t%d", databases.Add(1))
	if err := srv.CreateDatabase(t.Context(), db, "migrated"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e, err := stream.StartEmbedded(stream.EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Shutdown)
	r := &rig{t: t, srv: srv, db: db, nats: e, dir: dir, model: newModel()}
	r.broker = r.connect("")
	if err := r.broker.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// restartNATS stops the server and starts it again at its address, with its store.
func (r *rig) restartNATS() {
	r.t.Helper()
	r.stored()
	at := strings.TrimPrefix(r.nats.ClientURL(), "nats://")
	r.nats.Shutdown()
	e, err := stream.StartEmbedded(stream.EmbeddedOptions{Listen: at, DataDir: r.dir})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(e.Shutdown)
	r.nats = e
	// Connected may still speak of the old server: on a busy machine the new one listens before anybody has read that the old connection ended.
	waitFor(r.t, "an answer of the new NATS", func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		_, err := r.broker.LastSeq(ctx, messages.Events)
		return err == nil
	})
}

func (r *rig) connect(prefix string) *stream.Broker {
	r.t.Helper()
	b, err := stream.Connect(r.t.Context(), stream.Options{
		URL: r.nats.ClientURL(), Name: "worker test", Prefix: prefix,
		Events: stream.StreamOptions{Storage: "file"}, Commands: stream.StreamOptions{Storage: "file"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(b.Close)
	return b
}

func (r *rig) store() *store.Store {
	r.t.Helper()
	s, err := store.Open(r.t.Context(), store.Options{URL: r.srv.PoolURL("app_worker", r.db), ConnectTimeout: 2 * time.Second})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Close)
	return s
}

// running is a worker at work.
type running struct {
	*Worker
	t      testing.TB
	meters *counts
	stop   func()
	done   chan error
}

func (r *rig) start(o Options) *running {
	r.t.Helper()
	if o.Broker == nil {
		o.Broker = r.connect(o.Prefix)
	}
	if o.Store == nil {
		o.Store = r.store()
	}
	if os.Getenv("WORKER_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	meters := &counts{n: map[string]int{}}
	o.Meters = meters
	w, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	w.every = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Worker: w, t: r.t, meters: meters, done: make(chan error, 1)}
	var once sync.Once
	run.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-run.done; err != nil {
				r.t.Errorf("the worker ended with %v", err)
			}
		})
	}
	go func() { run.done <- w.Run(ctx) }() // ends with ctx; stop waits
	r.t.Cleanup(run.stop)
	return run
}

// counts are the meters of a test.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(key string, n int) { c.mu.Lock(); defer c.mu.Unlock(); c.n[key] += n }
func (c *counts) of(key string) int     { c.mu.Lock(); defer c.mu.Unlock(); return c.n[key] }

func (c *counts) Event(typ, outcome string)      { c.add(outcome, 1); c.add(typ+" "+outcome, 1) }
func (c *counts) Retry(reason string, n int)     { c.add("retry "+reason, n) }
func (c *counts) Dead(reason string)             { c.add("dead "+reason, 1) }
func (c *counts) Applied(n int, _ time.Duration) { c.add("transactions", 1); c.add("changes", n) }
func (c *counts) Stale(n int)                    { c.add("stale", n) }

// waitFor polls: what it waits for happens in other processes.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(40*time.Second), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited 40 s for: %s", what)
		}
	}
}

// settled waits until a durable has nothing left.
func (r *rig) settled(durable string) {
	r.t.Helper()
	r.stored()
	waitFor(r.t, "an empty consumer "+durable, func() bool { return r.emptied(durable) })
}

func (r *rig) empty() bool { return r.emptied("worker") }

func (r *rig) emptied(durable string) bool {
	cons, err := r.broker.JetStream().Consumer(r.t.Context(), "EVENTS", durable)
	if err != nil {
		return false
	}
	info := cons.CachedInfo()
	if info.NumPending > 0 || info.NumAckPending > 0 {
		return false
	}
	select { // the numbers may be older than what was stored just now
	case ack := <-r.last.Ok():
		r.lastSeq = ack.Sequence
	default:
	}
	return info.Delivered.Stream >= r.lastSeq
}

// told is one event as a test publishes it.
type told struct {
	typ         string
	guild, user uint64
	shard       int
	data        string
	id          string // default: a new one
	at          time.Time
}

// publish stores an event as drover does, and has the model follow it unless it was told before.
func (r *rig) publish(e told) told {
	r.t.Helper()
	e = r.send(e, true)
	r.model.apply(e)
	return e
}

// send stores an event. Without unique JetStream takes it even if it knows its id.
func (r *rig) send(e told, unique bool) told {
	r.t.Helper()
	r.seq++
	if e.id == "" {
		e.id = messages.EventID("test", r.seq)
	}
	if e.at.IsZero() {
		e.at = time.UnixMilli(1770000000000 + r.seq*1000)
	}
	body := (&messages.Event{
		Kind: kindOf(e.typ), ShardID: e.shard, Read: e.at, GuildID: digits(e.guild), UserID: digits(e.user), Data: []byte(e.data),
	}).AppendEnvelope(nil, e.id)
	r.raw("events."+e.typ, body, e.id, unique)
	return e
}

func kindOf(typ string) *messages.Kind {
	return &messages.Kind{Type: typ, Subject: "events." + typ}
}

func digits(id uint64) []byte {
	if id == 0 {
		return nil
	}
	return strconv.AppendUint(nil, id, 10)
}

func (r *rig) raw(subject string, body []byte, id string, unique bool) {
	r.t.Helper()
	m := nats.NewMsg(subject)
	m.Data = body
	if id != "" && unique {
		m.Header.Set(messages.HeaderID, id)
	}
	m.Header.Set(messages.HeaderEvent, "TEST")
	ack, err := r.broker.JetStream().PublishMsgAsync(m) // in order, on one connection
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.HasSuffix(subject, ".unavailable") {
		r.last = ack
	}
}

// stored waits until everything that was sent is in the stream.
func (r *rig) stored() {
	r.t.Helper()
	select {
	case <-r.broker.JetStream().PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		r.t.Fatal("not stored within 30 s")
	}
}

// query asks as a superuser, whom no row security concerns.
func (r *rig) query(sql string, args ...any) []string {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.srv.OwnerURL(r.db))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(r.t.Context(), sql, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// dead reads the dead letters.
func (r *rig) dead(name string) []*jetstream.RawStreamMsg {
	r.t.Helper()
	s, err := r.broker.JetStream().Stream(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []*jetstream.RawStreamMsg
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(r.t.Context(), seq)
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}
