package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"drover/config"
	"drover/system"
	"drover/system/localdb"
	"drover/system/store"
)

// demoDB is the part of a demo --with-db behind the streams: PostgreSQL and PgBouncer of its own, and a worker that
// keeps the tables in step.
type demoDB struct {
	server *localdb.Server
	admin  *store.Store // counts over all tenants
	worker *system.Worker

	mu     sync.Mutex
	census store.Census
}

// demoDatabase is the database's name.
const demoDatabase = "drover"

// startDemoDB starts the servers, with the whole schema. The caller closes.
func startDemoDB(ctx context.Context) (_ *demoDB, err error) {
	server, err := localdb.Start(ctx, localdb.Options{})
	if err != nil {
		return nil, noDatabase(err)
	}
	d := &demoDB{server: server}
	defer func() {
		if err != nil {
			d.close()
			err = fmt.Errorf("demo: database: %w", err)
		}
	}()
	if err := server.CreateDatabase(ctx, demoDatabase, ""); err != nil {
		return d, err
	}
	if err := store.Up(ctx, server.OwnerURL(demoDatabase)); err != nil {
		return d, err
	}
	if err := server.EnableLogins(ctx); err != nil {
		return d, err
	}
	d.admin, err = store.Open(ctx, store.Options{URL: server.PoolURL("app_admin", demoDatabase), MaxConns: 1})
	return d, err
}

// noDatabase says why there is no database, and what can be done about it.
func noDatabase(err error) error {
	if errors.Is(err, localdb.ErrNotInstalled) {
		return &system.Error{Code: exitUsage, Text: fmt.Sprintf("demo --with-db: %v; without --with-db the demo needs neither", err)}
	}
	return fmt.Errorf("demo: %w", err)
}

func (d *demoDB) close() {
	if d.admin != nil {
		d.admin.Close()
	}
	_ = d.server.Close() // a folder that stays is no reason to end a demo with an error
}

// work runs a worker against the demo's streams until ctx ends.
func (d *demoDB) work(ctx context.Context, cfg config.Config, natsURL string, log *slog.Logger) error {
	cfg.NATS.URL, cfg.NATS.Embedded = config.URL(natsURL), config.Embedded{}
	cfg.Database.URL = config.Secret(d.server.PoolURL("app_worker", demoDatabase))
	cfg.HTTP.Addr = "127.0.0.1:0" // the node has the other one
	w, err := system.NewWorker(ctx, cfg, system.WorkerOptions{Version: Version(), Log: log})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.worker = w
	d.mu.Unlock()
	return w.Run(ctx)
}

// countEvery is how often the rows are counted.
const countEvery = time.Second

// count counts the rows until ctx ends.
func (d *demoDB) count(ctx context.Context) {
	every := time.NewTicker(countEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		d.look(ctx)
	}
}

// look counts once.
func (d *demoDB) look(ctx context.Context) {
	c, err := d.admin.Census(ctx)
	if err != nil {
		return // the next look may work
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.census = c
}

// line is what the tables hold, and how far the worker is, in one line.
func (d *demoDB) line() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.census
	text := fmt.Sprintf("%s communities, %s members, %s audit rows", thousands(uint64(c.Communities)), thousands(uint64(c.Profiles)), thousands(uint64(c.Audits)))
	if c.Stale > 0 {
		text += fmt.Sprintf(", %s stale", thousands(uint64(c.Stale)))
	}
	if d.worker == nil {
		return text
	}
	s := d.worker.Status()
	if !s.Ready {
		return text + ": " + s.Reasons[0]
	}
	return text + fmt.Sprintf(" · the worker holds %d events, %s wait", s.InHand, thousands(s.Pending))
}
