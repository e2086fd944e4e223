package gatewaysim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// payload is one decoded gateway message.
type payload struct {
	Op  int             `json:"op"`
	T   string          `json:"t"`
	S   int64           `json:"s"`
	D   json.RawMessage `json:"d"`
	raw []byte
}

// client is a raw gateway client that does only what a test tells it. One
// goroutine uses it.
type client struct {
	t     testing.TB
	nc    net.Conn
	rd    *bufio.Reader
	mode  string
	zbuf  bytes.Buffer // zlib-stream: input of the context
	zr    io.ReadCloser
	held  bytes.Buffer // zlib-stream: messages of an unfinished payload
	zs    *zstd.Decoder
	zpipe *io.PipeWriter
	zjson *json.Decoder
	msgs  int // WebSocket messages read
}

// closedError is the server's close frame.
type closedError struct {
	code   int
	reason string
}

func (e *closedError) Error() string { return fmt.Sprintf("closed %d %s", e.code, e.reason) }

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func tryDial(t testing.TB, nd dialFunc, url, mode string) (*client, error) {
	d := ws.Dialer{Timeout: 5 * time.Second, NetDial: nd}
	nc, br, _, err := d.Dial(context.Background(), url)
	if err != nil {
		return nil, err
	}
	if br == nil {
		br = bufio.NewReader(nc)
	}
	c := &client{t: t, nc: nc, rd: br, mode: mode}
	t.Cleanup(c.drop)
	return c, nil
}

func query(base, mode string) string {
	q := base + "/?v=10&encoding=json"
	if mode != "none" {
		q += "&compress=" + mode
	}
	return q
}

func dial(t testing.TB, base, mode string) *client {
	t.Helper()
	c, err := tryDial(t, nil, query(base, mode), mode)
	if err != nil {
		t.Fatalf("dial %s: %v", base, err)
	}
	return c
}

func (c *client) drop() {
	c.nc.Close()
	if c.zpipe != nil {
		c.zpipe.Close()
		c.zs.Close()
		c.zpipe = nil
	}
}

func (c *client) write(op ws.OpCode, p []byte) {
	c.t.Helper()
	if err := ws.WriteFrame(c.nc, ws.MaskFrameInPlace(ws.NewFrame(op, true, bytes.Clone(p)))); err != nil {
		c.t.Logf("write: %v", err)
	}
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	c.write(ws.OpText, fmt.Appendf(nil, format, args...))
}

// message reads one WebSocket message, fragments joined.
func (c *client) message() ([]byte, error) {
	var whole []byte
	for {
		_ = c.nc.SetReadDeadline(time.Now().Add(2 * time.Minute))
		h, err := ws.ReadHeader(c.rd)
		if err != nil {
			return nil, err
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(c.rd, p); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(p)
			c.write(ws.OpClose, p[:min(2, len(p))])
			return nil, &closedError{int(code), reason}
		case ws.OpPong:
			continue
		}
		whole = append(whole, p...)
		if h.Fin {
			c.msgs++
			return whole, nil
		}
	}
}

// next reads one payload.
func (c *client) next() (payload, error) {
	var p payload
	var b []byte
	for b == nil {
		m, err := c.message()
		if err != nil {
			return p, err
		}
		if b, err = c.inflate(m); err != nil {
			return p, err
		}
	}
	p.raw = b
	return p, json.Unmarshal(b, &p)
}

func (c *client) inflate(m []byte) ([]byte, error) {
	switch c.mode {
	case "zlib-stream":
		c.held.Write(m)
		if !bytes.HasSuffix(c.held.Bytes(), []byte{0, 0, 0xff, 0xff}) {
			return nil, nil
		}
		c.zbuf.Write(c.held.Bytes())
		c.held.Reset()
		if c.zr == nil {
			zr, err := zlib.NewReader(&c.zbuf)
			if err != nil {
				return nil, err
			}
			c.zr = zr
		}
		// A decoder stops at the closing brace, so it never reads past the flush.
		var v json.RawMessage
		err := json.NewDecoder(c.zr).Decode(&v)
		return v, err
	case "zstd-stream":
		if c.zpipe == nil {
			pr, pw := io.Pipe()
			zs, err := zstd.NewReader(pr, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
			if err != nil {
				return nil, err
			}
			c.zs, c.zpipe, c.zjson = zs, pw, json.NewDecoder(zs)
		}
		fed := make(chan struct{})
		go func() { defer close(fed); _, _ = c.zpipe.Write(m) }() // ends when the decoder has read m, or in drop
		var v json.RawMessage
		err := c.zjson.Decode(&v)
		if err == nil {
			<-fed
		}
		return v, err
	}
	return m, nil
}

// until reads payloads up to the first that fits, which it returns.
func (c *client) until(what string, fits func(payload) bool) payload {
	c.t.Helper()
	for {
		p, err := c.next()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", what, err)
		}
		if fits(p) {
			return p
		}
	}
}

func (c *client) op(op int) payload {
	c.t.Helper()
	return c.until(fmt.Sprintf("op %d", op), func(p payload) bool { return p.Op == op })
}

func (c *client) event(t string) payload {
	c.t.Helper()
	return c.until(t, func(p payload) bool { return p.T == t })
}

// closed reads up to the close frame, or the bare end (1006), and returns the code.
func (c *client) closed() int {
	c.t.Helper()
	for {
		_, err := c.next()
		var ce *closedError
		switch {
		case errors.As(err, &ce):
			return ce.code
		case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || isReset(err):
			return 1006
		case err != nil:
			c.t.Fatalf("waiting for the close: %v", err)
		}
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// ready is what READY says.
type ready struct {
	SessionID string `json:"session_id"`
	Resume    string `json:"resume_gateway_url"`
	Shard     [2]int `json:"shard"`
	Guilds    []struct {
		ID          string `json:"id"`
		Unavailable bool   `json:"unavailable"`
	} `json:"guilds"`
}

func (c *client) identify(intents uint64, shard, shards int) {
	c.t.Helper()
	c.send(`{"op":2,"d":{"token":"tok","intents":%d,"shard":[%d,%d],"properties":{"os":"linux","browser":"t","device":"t"}}}`, intents, shard, shards)
}

func (c *client) resume(session string, seq int64) {
	c.t.Helper()
	c.send(`{"op":6,"d":{"token":"tok","session_id":%q,"seq":%d}}`, session, seq)
}

// start dials, identifies and waits for READY.
func start(t testing.TB, s *Server, mode string, intents uint64, shard, shards int) (*client, ready) {
	t.Helper()
	c := dial(t, s.GatewayURL(), mode)
	c.op(opHello)
	c.identify(intents, shard, shards)
	return c, c.ready()
}

func (c *client) ready() ready {
	c.t.Helper()
	var r ready
	p := c.event("READY")
	if err := json.Unmarshal(p.D, &r); err != nil {
		c.t.Fatalf("READY: %v", err)
	}
	if p.S != 1 {
		c.t.Errorf("READY has s %d, want 1", p.S)
	}
	return r
}

func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.IdentifyEvery == 0 {
		o.IdentifyEvery = time.Nanosecond
	}
	o.Record = true
	s := New(o)
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
