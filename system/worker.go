package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"drover/config"
	"drover/system/store"
	"drover/system/stream"
	"drover/system/telemetry"
	"drover/system/web"
	"drover/system/worker"
)

// Worker is the consumer of the streams as a value: NewWorker checks, Run works until its context ends. It needs no node in its
// process.
type Worker struct {
	cfg config.Config
	o   WorkerOptions

	meters *telemetry.Worker
	store  *store.Store
	broker *stream.Broker
	worker *worker.Worker
	web    *web.Server
}

// WorkerOptions are what the process gives a worker beside its configuration. The zero value works.
type WorkerOptions struct {
	Version string
	Log     *slog.Logger // nil discards
	// Ready is called once when the worker has listened on its HTTP address. It must not block.
	Ready func(httpAddr string)
}

// NewWorker makes a worker. It connects to nothing that has to be there: NATS and the database may be away. cfg has been
// validated.
func NewWorker(ctx context.Context, cfg config.Config, o WorkerOptions) (_ *Worker, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Worker{cfg: cfg, o: o}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := cfg.RequireDatabase(); err != nil {
		return nil, err
	}
	if w.meters, err = telemetry.NewWorker(cfg.Cluster.Node, o.Version, o.Log); err != nil {
		return nil, &Error{Code: exitFailure, Text: "telemetry", Err: err}
	}
	d := cfg.Database
	w.store, err = store.Open(ctx, store.Options{
		URL: d.URL.Reveal(), Name: "drover worker " + cfg.Cluster.Node, MaxConns: d.MaxConns, ConnectTimeout: d.ConnectTimeout,
		StatementTimeout: d.StatementTimeout, OnRetry: func(error) { w.meters.Conflict() }, Log: o.Log,
	})
	if err != nil {
		return nil, &Error{Code: exitConfig, Text: "database.url", Err: err}
	}
	options, err := ReaderOptions(cfg, "drover worker "+cfg.Cluster.Node)
	if err != nil {
		return nil, err
	}
	options.Log = o.Log
	if w.broker, err = stream.Connect(ctx, options); err != nil {
		return nil, &Error{Code: exitConfig, Text: "nats", Err: err}
	}
	work := workerOptions(cfg, w.broker, o.Log)
	work.Store, work.Meters = w.store, w.meters
	if w.worker, err = worker.New(work); err != nil {
		return nil, &Error{Code: exitConfig, Text: "worker", Err: err}
	}
	w.meters.Observe(func() telemetry.WorkerStatus {
		s := w.worker.Status()
		return telemetry.WorkerStatus{
			Pending: float64(s.Pending), Unacked: float64(s.Unacked), InHand: float64(s.InHand),
			NATSConnected: s.NATSConnected, DatabaseConnected: s.DatabaseConnected,
		}
	})
	w.web = web.NewProbes(web.Probes{Addr: cfg.HTTP.Addr, Health: w.health, Ready: w.ready, Metrics: w.meters.Handler(), Log: o.Log})
	return w, nil
}

func workerOptions(cfg config.Config, b worker.Broker, log *slog.Logger) worker.Options {
	c := cfg.Worker
	return worker.Options{
		Broker: b, Prefix: cfg.Streams.Prefix, Durable: c.Durable, APIPrefix: c.APIPrefix, Batch: c.Batch,
		Concurrency: c.Concurrency, AckWait: c.AckWait, DrainTimeout: cfg.Shutdown.Timeout, Log: log,
		Dead: worker.DeadOptions{Name: c.Dead.Name, MaxAge: c.Dead.MaxAge, MaxBytes: int64(c.Dead.MaxBytes)},
	}
}

// MakeConsumer makes the durable consumer of `drover worker` with an operator's credentials, or makes an existing one fit. It waits for
// NATS until ctx ends. It returns the consumer's name.
func MakeConsumer(ctx context.Context, cfg config.Config, log *slog.Logger) (string, error) {
	o, err := ReaderOptions(cfg, "drover worker --make-consumer")
	if err != nil {
		return "", err
	}
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	o.Log, o.Hooks.Refused = log, func(err *stream.RefusedError) { give(err) } // nobody will answer
	b, err := stream.Connect(ctx, o)
	if err != nil {
		return "", &Error{Code: exitConfig, Text: "nats", Err: err}
	}
	defer b.Close()
	if b.WaitConnected(ctx) != nil {
		return "", &Error{Code: exitFailure, Text: "NATS is not reached", Err: b.Err()}
	}
	name, err := worker.MakeConsumer(ctx, workerOptions(cfg, b, log))
	if err != nil {
		var refused *stream.RefusedError
		if errors.As(context.Cause(ctx), &refused) {
			err = refused
		}
		return "", &Error{Code: exitFailure, Text: "make the consumer", Err: err}
	}
	return name, nil
}

// Run works until ctx ends, then finishes what is in hand within shutdown.timeout. It returns nil when all of that was
// acknowledged or given back; else an *Error with the exit code. Call it once.
func (w *Worker) Run(ctx context.Context) error {
	defer w.close()
	if err := w.web.Listen(); err != nil {
		return listening(err)
	}
	serving, silence := context.WithCancel(context.WithoutCancel(ctx)) // the endpoints answer during the drain as well
	var owned sync.WaitGroup
	defer owned.Wait()
	defer silence()
	failed := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	defer stop()
	owned.Go(func() { // ends with serving
		if err := w.web.Serve(serving); err != nil {
			failed <- err
			stop()
		}
	})
	if w.o.Ready != nil {
		w.o.Ready(w.web.Addr())
	}
	w.o.Log.Info("worker started", "database", w.store.Server(), "concurrency", w.cfg.Worker.Concurrency, "batch", w.cfg.Worker.Batch)
	err := w.worker.Run(running)
	select {
	case err := <-failed:
		return &Error{Code: exitFailure, Text: "http", Err: err}
	default:
	}
	if err != nil {
		return &Error{Code: exitFailure, Text: "worker", Err: err}
	}
	w.o.Log.Info("worker stopped: everything in hand is acknowledged or given back")
	return nil
}

func (w *Worker) close() {
	if w.broker != nil {
		w.broker.Close()
	}
	if w.store != nil {
		w.store.Close()
	}
	if w.meters != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.meters.Shutdown(ctx) // nobody scrapes any more
	}
}

// Status is the worker at the moment.
func (w *Worker) Status() worker.Status { return w.worker.Status() }

// Store is the worker's database, for who shows what is in it. It is closed with the end of Run.
func (w *Worker) Store() *store.Store { return w.store }

// workerHealth and workerReadiness are the bodies of /health and /ready.
type workerHealth struct {
	Status  string `json:"status"` // "ok", or a sentence
	Version string `json:"version"`
	Node    string `json:"node"`
}

type workerReadiness struct {
	Ready             bool     `json:"ready"`
	NATSConnected     bool     `json:"nats_connected"`
	DatabaseConnected bool     `json:"database_connected"`
	InHand            int      `json:"in_hand"`
	Pending           uint64   `json:"pending"`
	Unacked           int      `json:"unacked"`
	Reasons           []string `json:"reasons"` // empty when ready
}

func (w *Worker) health() (bool, any) {
	s := w.worker.Status()
	h := workerHealth{Status: "ok", Version: w.o.Version, Node: w.cfg.Cluster.Node}
	if !s.Live {
		h.Status = "stuck: " + s.Reasons[0]
	}
	return s.Live, h
}

func (w *Worker) ready() (bool, any) {
	s := w.worker.Status()
	r := workerReadiness{s.Ready, s.NATSConnected, s.DatabaseConnected, s.InHand, s.Pending, s.Unacked, s.Reasons}
	if r.Reasons == nil {
		r.Reasons = []string{}
	}
	return s.Ready, r
}

// ReaderOptions connect like a node with the same configuration, but never with a server of its own: where that is an
// embedded one, by its listener.
func ReaderOptions(cfg config.Config, name string) (stream.Options, error) {
	n := cfg.NATS
	o := stream.Options{
		URL: n.URL.Reveal(), Name: name, Prefix: cfg.Streams.Prefix,
		User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(), CredsFile: n.CredsFile, NKeyFile: n.NKeyFile,
		TLS:      stream.TLSOptions{CAFile: n.TLS.CAFile, CertFile: n.TLS.CertFile, KeyFile: n.TLS.KeyFile},
		Events:   stream.StreamOptions{Name: cfg.Streams.Events.Name},
		Commands: stream.StreamOptions{Name: cfg.Streams.Commands.Name},
	}
	switch o.URL {
	case "none":
		return o, &Error{Code: exitConfig, Text: "nats.url is none, so there are no streams: give a server with nats.url (NATS_URL)"}
	case "":
		host, port, err := net.SplitHostPort(n.Embedded.Listen)
		if err != nil {
			return o, fmt.Errorf("system: nats.embedded.listen: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		o.URL = "nats://" + net.JoinHostPort(host, port)
	}
	return o, nil
}
