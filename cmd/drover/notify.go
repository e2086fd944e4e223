package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// startTick is how often more time is asked for while the process opens what it keeps on disk. Well below TimeoutStartSec of our units,
	// which has to last until the first time.
	startTick = 10 * time.Second
	// startMost is when that ends, so that a start that hangs is found out. Until then a slow disk has read a hundred gigabytes.
	startMost = 30 * time.Minute
)

// serviceManager is who started this process, where that is systemd or speaks its notify protocol (sd_notify(3)): it is told when the
// process listens, reloads and ends, that a start takes longer, and as long as /health is well that it lives. Where nobody asked for that, nothing is
// sent. Any goroutine may use it.
type serviceManager struct {
	log   *slog.Logger
	ctx   context.Context // of the process; its end is the beginning of the drain
	end   context.CancelFunc
	alive time.Duration // how long systemd waits for a sign of life; 0: for ever
	owned sync.WaitGroup
	quiet sync.Once // one complaint that nobody hears is enough

	opened  context.CancelFunc // ends starting
	waiting chan struct{}      // closed when starting has ended
}

// newServiceManager makes one for a process that begins to end with ctx. The caller closes it.
func newServiceManager(ctx context.Context, log *slog.Logger) *serviceManager {
	m := &serviceManager{log: log}
	m.ctx, m.end = context.WithCancel(ctx)
	var err error
	if m.alive, err = daemon.SdWatchdogEnabled(false); err != nil {
		log.Warn("the service manager's watchdog is not served", "err", err)
	}
	m.starting(startTick, startMost)
	return m
}

// starting asks each tick for more time to start, until the process listens, or it has taken most. An embedded server with a large store, or a
// spool after a long outage, may take longer to open than any limit that finds a start that hangs in good time.
func (m *serviceManager) starting(tick, most time.Duration) {
	var ctx context.Context
	ctx, m.opened = context.WithTimeout(m.ctx, most)
	m.waiting = make(chan struct{})
	go func() { // ends with opened, which listening and close call and then wait
		defer close(m.waiting)
		again := time.NewTicker(tick)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-again.C:
				// Room for a tick or two that come late.
				m.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (3 * tick).Microseconds()))
			}
		}
	}()
}

// listening says that the process is ready in systemd's sense: it listens on addr and works on the rest. It does not wait for shards: with a
// thousand of them that takes longer than any start may. From now on /health is asked four times in each period of the watchdog. It blocks
// only for a message that is being sent.
func (m *serviceManager) listening(addr string) {
	m.opened()
	<-m.waiting // what comes after READY would be about another time limit
	m.send(daemon.SdNotifyReady)
	m.owned.Go(func() { // ends with ctx or close
		defer m.send(daemon.SdNotifyStopping)
		if m.alive == 0 {
			<-m.ctx.Done()
			return
		}
		m.watch(addr)
	})
}

// watch tells systemd that the process lives each time that /health says so, the way anybody else would hear it.
func (m *serviceManager) watch(addr string) {
	url, err := checkURL(addr, "/health")
	if err != nil { // what listens has an address
		m.log.Warn("the service manager's watchdog is not served", "err", err)
		return
	}
	tick := time.NewTicker(max(m.alive/4, time.Millisecond))
	defer tick.Stop()
	well := true
	for {
		err := check(m.ctx, url)
		switch {
		case m.ctx.Err() != nil:
			return
		case err != nil && well:
			m.log.Warn("not healthy: the service manager's watchdog gets no sign of life", "err", err, "restart_after", m.alive)
			m.send("STATUS=not healthy: " + err.Error())
		case err == nil && !well:
			m.send("STATUS=healthy again")
		}
		if well = err == nil; well {
			m.send(daemon.SdNotifyWatchdog)
		}
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// reloading says that the configuration is being read again. It must be followed by reloaded.
func (m *serviceManager) reloading() {
	m.send(daemon.SdNotifyMonotonicUsec() + daemon.SdNotifyReloading)
}

func (m *serviceManager) reloaded() { m.send(daemon.SdNotifyReady) }

// close waits for the last message.
func (m *serviceManager) close() {
	m.end()
	m.opened()
	<-m.waiting
	m.owned.Wait()
}

func (m *serviceManager) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.quiet.Do(func() { m.log.Warn("the service manager does not hear this process", "err", err) })
	}
}
