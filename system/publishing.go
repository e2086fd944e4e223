package system

import (
	"context"
	"errors"
	"time"

	"drover/actors"
	"drover/config"
	"drover/messages"
	"drover/system/stream"
)

// window is the publisher's window as the node needs it: what actors use of it, and its end.
type window interface {
	actors.Window
	Unacked() int
	OldestUnacked() time.Duration
	Drain(ctx context.Context) error
	Spill(ctx context.Context) error
	Close()
}

// openStream starts the embedded server where it is wanted, and makes the connection and the window. NATS may
// be away: attempts go on by themselves.
func (s *System) openStream(ctx context.Context) error {
	n := s.cfg.NATS
	meters := s.telemetry.Meters
	if n.URL.Reveal() == "none" {
		s.window = stream.NewLogSink(stream.LogSinkOptions{Log: s.log, OnAck: s.routed})
		return nil
	}
	options := stream.Options{
		URL: n.URL.Reveal(), Name: "drover " + s.cfg.Cluster.Node, Inbox: inbox(s.cfg.Streams.Prefix),
		User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(), CredsFile: n.CredsFile, NKeyFile: n.NKeyFile,
		TLS:    stream.TLSOptions{CAFile: n.TLS.CAFile, CertFile: n.TLS.CertFile, KeyFile: n.TLS.KeyFile},
		Prefix: s.cfg.Streams.Prefix, Events: streamOptions(s.cfg.Streams.Events), Commands: streamOptions(s.cfg.Streams.Commands),
		Window: s.cfg.Publish.Window, AckTimeout: s.cfg.Publish.AckTimeout, Log: s.log,
		Hooks: stream.Hooks{
			Connected: func() {
				s.reached.Store(time.Now().UnixNano())
				s.tell(messages.BrokerUp{})
			},
			Lost: func(err error) { s.tell(messages.BrokerDown{Err: err}) },
			// A restart is the remedy: the process connects anew, and resumes.
			Closed: func(err error) { s.stop(&Error{Code: exitFailure, Text: "nats", Err: err}) },
			Made:   s.streamMade,
		},
	}
	if n.URL.Reveal() == "" {
		embedded, err := stream.StartEmbedded(stream.EmbeddedOptions{
			Listen: n.Embedded.Listen, DataDir: n.Embedded.DataDir, Log: s.log,
		})
		if err != nil {
			return embedding(err)
		}
		s.embedded, options.Server, s.home = embedded, embedded, home(n.Embedded.DataDir)
		s.log.Info("embedded nats server listening", "url", embedded.ClientURL())
	}
	broker, err := stream.Connect(ctx, options)
	if err != nil {
		s.closeStream()
		return &Error{Code: exitConfig, Text: "nats", Err: err}
	}
	s.broker = broker
	spool, err := s.openSpool()
	if err != nil {
		s.closeStream()
		return err
	}
	publishing := stream.PublisherOptions{
		Spool: spool, Fenced: true, Shed: s.cfg.Backpressure.Shed,
		OnShed:    func(k *messages.Kind, shardID int) { meters.Shed(shardID, s.cfg.Pool.PoolOf(shardID), k) },
		OnShedGap: func(shardID int) { meters.Gap(shardID, s.cfg.Pool.PoolOf(shardID), messages.GapShed) },
		OnLate:    func(shardID int, _ time.Duration) { meters.Late(shardID, s.cfg.Pool.PoolOf(shardID)) },
		OnTrouble: func(err error) { s.tell(messages.Trouble{Err: err}) },
		OnAck:     s.routed,
		OnRetry:   func(n int, _ error) { meters.RouteFailure(n) },
		OnOversize: func(k *messages.Kind, shardID, bytes int) {
			meters.Oversize(shardID, s.cfg.Pool.PoolOf(shardID), k)
			s.log.Warn("event too large for NATS: stored without its data; raise max_payload of the server", "event_type", k.Type, "shard_id", shardID, "bytes", bytes)
		},
	}
	s.traced(&publishing)
	s.publisher = stream.NewPublisher(broker, publishing)
	s.window = s.publisher
	return nil
}

// inbox is where nodes of a bot are answered: not where other clients are, who would need no more than the usual permission to read
// along.
func inbox(prefix string) string { return "_INBOX." + bucketPrefix(prefix) + ".node" }

// openSpool opens what takes the events for which the window has no room; nil where it is switched off.
func (s *System) openSpool() (*stream.Spool, error) {
	if s.cfg.Spool.MaxBytes == 0 {
		return nil, nil
	}
	spool, err := stream.OpenSpool(stream.SpoolOptions{Dir: s.cfg.SpoolDir(), MaxBytes: int64(s.cfg.Spool.MaxBytes), Log: s.log})
	if err != nil {
		return nil, spooling(err)
	}
	if s.home == "" {
		s.home = home(s.cfg.SpoolDir())
	}
	return spool, nil
}

// EmbeddedURL is where workers reach the embedded NATS server, also where its port was to be any free one; empty on
// an external NATS. Call it after Options.Ready was called.
func (s *System) EmbeddedURL() string {
	if s.embedded == nil {
		return ""
	}
	return s.embedded.ClientURL()
}

func streamOptions(c config.Stream) stream.StreamOptions {
	return stream.StreamOptions{
		Name: c.Name, Storage: c.Storage, MaxAge: c.MaxAge, MaxBytes: int64(c.MaxBytes), Replicas: c.Replicas, Duplicates: c.Duplicates,
	}
}

// connectStream tells the actors of a connection that came up before they did.
func (s *System) connectStream() {
	if s.broker == nil || s.broker.Connected() {
		s.tell(messages.BrokerUp{})
	}
}

// awaitStream waits until NATS was reached once and the streams exist. Before that no IDENTIFY is sent: what
// it would bring could not be published.
func (s *System) awaitStream(ctx context.Context) error {
	if s.broker == nil {
		return nil
	}
	if err := s.broker.WaitConnected(ctx); err != nil {
		return err
	}
	s.waitingFor("the streams")
	return s.ensureStreams(ctx)
}

// ensureStreams sets the streams up. A stream that exists with other settings ends the node: its owner
// must decide. Anything else may pass.
func (s *System) ensureStreams(ctx context.Context) error {
	for {
		err := s.broker.EnsureStreams(ctx)
		var differs *stream.StreamError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &differs):
			return &Error{Code: exitConfig, Text: "streams", Err: err}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		s.log.Warn("streams not set up", "err", err, "wait", streamsAgain)
		s.waitingFor("the streams (" + err.Error() + ")")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(streamsAgain):
		}
	}
}

// streamsAgain is how long to wait before the streams are set up again. Too low floods the log of a NATS without
// JetStream; too high delays the start.
const streamsAgain = 2 * time.Second

// closeStream ends connection and server, in this order.
func (s *System) closeStream() {
	if s.window != nil {
		s.window.Close()
	}
	if s.broker != nil {
		s.broker.Close()
	}
	if s.embedded != nil {
		s.embedded.Shutdown()
	}
}
