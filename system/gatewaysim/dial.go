package gatewaysim

import (
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gobwas/ws"
)

// serveSocket upgrades a request and reads the connection until it ends.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request, kind HostKind) {
	s.count.dial(kind)
	if mode, ok := s.faults.dial(kind).take(time.Now()); ok {
		s.count.refused.Add(1)
		s.refuse(w, r, mode)
		return
	}
	nc, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		if nc != nil {
			nc.Close()
		}
		return
	}
	c := &conn{
		srv: s, host: kind, name: r.Host, nc: nc, rd: rw.Reader,
		gone: make(chan struct{}), readDone: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	bad := c.readQuery(r.URL.RawQuery)
	if !s.register(c, r.URL) {
		nc.Close()
		return
	}
	defer s.wg.Done()
	// Ends when the connection is dropped; serveSocket drops it and waits.
	writing := make(chan struct{})
	go func() { defer close(writing); c.writeLoop() }()
	if bad != nil {
		s.violate(c, bad.reason)
		c.close(bad.code, bad.reason)
	} else {
		c.open()
	}
	c.readLoop()
	close(c.readDone)
	if !c.isClosing() {
		c.drop()
	}
	<-writing // it drops c once the close frame is out
	s.unregister(c)
}

// register adds c to the server, unless that is closed.
func (s *Server) register(c *conn, u *url.URL) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if split := s.faults.split.Load(); split != nil {
		c.split = *split
	}
	s.nextConn++
	c.id = s.nextConn
	c.rec = &ConnRecord{ID: c.id, Host: c.host, URL: "ws://" + c.name + u.RequestURI(), Query: u.RawQuery, Compress: c.mode, Opened: time.Now(), ShardID: -1, Ops: map[int]int{}}
	s.records = append(s.records, c.rec)
	if !s.opts.Record && len(s.records) > keptConnections {
		s.records = append(s.records[:0], s.records[len(s.records)-keptConnections/2:]...)
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) unregister(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if c.rec.Closed.IsZero() {
		c.rec.Closed = time.Now()
	}
	s.mu.Unlock()
}

// open greets the client, or does what a fault wants instead.
func (c *conn) open() {
	now := time.Now()
	if _, ok := c.srv.faults.reconnectHello.take(now); ok {
		c.control(opReconnect, "null")
		return
	}
	if _, ok := c.srv.faults.silentEdge.take(now); ok {
		return // neither HELLO nor anything else: the client's time-out decides
	}
	c.hello()
}

// readQuery checks v, encoding and compress: each at most once, v=10.
func (c *conn) readQuery(raw string) *closing {
	c.mode = "none"
	q, err := url.ParseQuery(raw)
	if err != nil {
		return &closing{closeDecode, "the query cannot be parsed"}
	}
	for _, key := range []string{"v", "encoding", "compress"} {
		if len(q[key]) > 1 {
			return &closing{closeDecode, "query parameter " + key + " given more than once"}
		}
	}
	switch {
	case q.Get("v") != "10": // left out it means 6, which is gone
		return &closing{closeInvalidVersion, "invalid API version"}
	case q.Get("encoding") != "json":
		return &closing{closeDecode, "encoding is not json"}
	}
	switch m := q.Get("compress"); m {
	case "zlib-stream", "zstd-stream":
		c.mode = m
	case "":
		if q.Has("compress") {
			return &closing{closeDecode, "compress is empty"}
		}
	default:
		return &closing{closeDecode, "unknown compress"}
	}
	return nil
}

// refuse answers a dial that is not let in.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, mode DialMode) {
	switch mode {
	case Dial503:
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"message": "upstream connect error"})
		return
	case DialHang:
		select { // until the client gives up
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
	}
	if nc, _, err := http.NewResponseController(w).Hijack(); err == nil {
		reset(nc)
	}
}

// reset ends nc so that the peer sees an error, not an orderly end.
func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	nc.Close()
}
