package system

import (
	"context"
	"errors"
	"sync"
	"time"

	"drover/system/gateway"
)

// ahead dials, and keeps connections that were dialled before somebody needs them: while a pool is being handed over to this node, its
// present holder still waits for acknowledgements, and TCP, TLS and the upgrade need no lease. Until a RESUME is written a
// connection is nobody's, so that any shard of the bot may have it that dials the same URL.
//
// Any goroutine may call its methods.
type ahead struct {
	dial func(ctx context.Context, url string) (*gateway.Conn, error)
	keep time.Duration // for how long a connection waits for its shard

	mu    sync.Mutex
	ready map[string][]*early // by URL, the oldest first
}

// early is one connection that is there or being dialled.
type early struct {
	done chan struct{} // closed when conn is set
	conn *gateway.Conn // nil: it was not to be had
}

// keepAhead is how long a connection waits for its shard. Too low: a hand-over that waits for acknowledgements dials for nothing;
// too high: Discord, which counts from its HELLO, hears the first heartbeat that much later.
const keepAhead = 5 * time.Second

func newAhead(dial func(ctx context.Context, url string) (*gateway.Conn, error)) *ahead {
	return &ahead{dial: dial, keep: keepAhead, ready: map[string][]*early{}}
}

// begin dials url, for whoever dials it within keep. It returns at once; what it starts ends with the dial.
func (a *ahead) begin(ctx context.Context, url string) {
	e := &early{done: make(chan struct{})}
	a.mu.Lock()
	a.ready[url] = append(a.ready[url], e)
	a.mu.Unlock()
	go func() {
		conn, err := a.dial(ctx, url)
		if err == nil {
			e.conn = conn
		}
		close(e.done)
		if err != nil {
			a.take(url, e) // the shard dials itself, and tells why it cannot
			return
		}
		time.AfterFunc(a.keep, func() {
			if a.take(url, e) != nil {
				discard(conn)
			}
		})
	}()
}

// Dial returns a connection that was dialled ahead, or else dials.
func (a *ahead) Dial(ctx context.Context, url string) (*gateway.Conn, error) {
	e := a.take(url, nil)
	if e == nil {
		return a.dial(ctx, url)
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		go func() { // ends with the dial, which has a limit
			<-e.done
			if e.conn != nil {
				discard(e.conn)
			}
		}()
		return nil, context.Cause(ctx)
	}
	if e.conn == nil {
		return a.dial(ctx, url)
	}
	return e.conn, nil
}

// take removes one, or the oldest. It returns nil where that is not there any more.
func (a *ahead) take(url string, e *early) *early {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.ready[url]
	for i, has := range list {
		if e != nil && has != e {
			continue
		}
		list = append(list[:i:i], list[i+1:]...)
		if a.ready[url] = list; len(list) == 0 {
			delete(a.ready, url)
		}
		return has
	}
	return nil
}

// discard closes a connection on which nothing was ever written, and reads it to its end, which Close bounds.
func discard(c *gateway.Conn) {
	c.Close(4000, "not needed")
	go func() {
		for err := error(nil); err == nil; {
			_, err = c.Read()
		}
	}()
}

// Expect implements cluster.Host: it dials for the pool's sessions.
func (p *placement) Expect(pool int) {
	if p.isEnding() {
		return
	}
	p.owned.Go(func() {
		ctx, cancel := context.WithTimeout(p.life, keepAhead)
		defer cancel()
		shards := p.shardsOf(pool)
		loaded, err := p.s.sessions.Load(ctx, p.total, shards)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				p.s.log.Warn("sessions of a pool that is coming cannot be read: it is dialled when it is here", "pool_id", pool, "err", err)
			}
			return
		}
		n := 0
		for _, c := range loaded.Sessions {
			if c.ResumeURL == "" || time.Since(c.Contact) > gateway.SessionLife {
				continue
			}
			if url, err := gateway.ResumeURL(c.ResumeURL, p.s.cfg.Discord.Compress); err == nil {
				p.s.ahead.begin(p.life, url)
				n++
			}
		}
		p.s.log.Info("pool is coming: dialled ahead", "pool_id", pool, "connections", n)
	})
}
