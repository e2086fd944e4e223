package bench

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// Raw is what NATS' own client can do: PublishMsgAsync of messages that are ready before the clock starts. It reads no
// socket but NATS', decodes nothing and builds nothing.
type Raw struct {
	nc      *nats.Conn
	samples []sample
	sent    int // messages so far: each has an id of its own
	ready   []*nats.Msg
}

// sample is a message that drover stored: the raw publisher sends such ones.
type sample struct {
	Subject string
	Header  map[string][]string
	Data    []byte
}

// NewRaw connects and reads the samples that the benchmark has written into a file.
func NewRaw(url, samples string) (*Raw, error) {
	f, err := os.Open(samples)
	if err != nil {
		return nil, fmt.Errorf("bench: raw: %w", err)
	}
	defer f.Close()
	r := &Raw{}
	if err := gob.NewDecoder(f).Decode(&r.samples); err != nil {
		return nil, fmt.Errorf("bench: raw: samples: %w", err)
	}
	if r.nc, err = nats.Connect(url); err != nil {
		return nil, fmt.Errorf("bench: raw: %w", err)
	}
	return r, nil
}

// Close ends the connection.
func (r *Raw) Close() { r.nc.Close() }

// published is what came of a run of the raw publisher.
type published struct {
	At     int64  `json:"at"` // Unix ns of the first publish
	Allocs uint64 `json:"allocs"`
}

// Prepare answers POST /prepare?events=…: the messages of the next run are made.
func (r *Raw) Prepare(w http.ResponseWriter, q *http.Request) {
	events, err := strconv.Atoi(q.FormValue("events"))
	if err != nil {
		http.Error(w, "events is a number", http.StatusBadRequest)
		return
	}
	r.prepare(events)
}

func (r *Raw) prepare(events int) {
	r.ready = make([]*nats.Msg, events)
	for i := range r.ready {
		r.ready[i] = r.message()
	}
	runtime.GC()
}

// Publish answers POST /publish?events=…&window=… when all of them are acknowledged. It makes what was not prepared.
func (r *Raw) Publish(w http.ResponseWriter, q *http.Request) {
	events, err := strconv.Atoi(q.FormValue("events"))
	window, err2 := strconv.Atoi(q.FormValue("window"))
	if err != nil || err2 != nil {
		http.Error(w, "events and window are numbers", http.StatusBadRequest)
		return
	}
	if len(r.ready) != events {
		r.prepare(events)
	}
	p, err := r.publish(q.Context(), window)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(p) // who asked has gone
}

// publish sends what is ready, with at most window messages unacknowledged.
func (r *Raw) publish(ctx context.Context, window int) (published, error) {
	var p published
	var failed atomic.Int64
	js, err := jetstream.New(r.nc, jetstream.WithPublishAsyncMaxPending(window),
		jetstream.WithPublishAsyncErrHandler(func(jetstream.JetStream, *nats.Msg, error) { failed.Add(1) }))
	if err != nil {
		return p, err
	}
	list := r.ready
	r.ready = nil
	patient := jetstream.WithStallWait(patience) // else a full window is an error after 200 ms
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.At = time.Now().UnixNano()
	for i, m := range list {
		if _, err := js.PublishMsgAsync(m, patient); err != nil {
			return p, err
		}
		list[i] = nil // else what is done with weighs on the garbage collector
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		return p, ctx.Err()
	}
	runtime.ReadMemStats(&after)
	p.Allocs = after.Mallocs - before.Mallocs
	if n := failed.Load(); n > 0 {
		return p, fmt.Errorf("%d of %d publishes failed", n, len(list))
	}
	return p, nil
}

// message is the next one: a sample's with an id of its own, as long as the sample's.
func (r *Raw) message() *nats.Msg {
	s := &r.samples[r.sent%len(r.samples)]
	r.sent++
	header := make(nats.Header, len(s.Header))
	for name, values := range s.Header {
		header[name] = values
	}
	id := s.Header[messages.HeaderID][0]
	n := strconv.Itoa(r.sent)
	header[messages.HeaderID] = []string{"raw" + id[min(3+len(n), len(id)):] + n}
	return &nats.Msg{Subject: s.Subject, Header: header, Data: s.Data}
}
