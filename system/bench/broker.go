package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
	"drover/system/process"
)

// broker is a NATS server in a process of its own, and a look at its streams. One goroutine uses it.
type broker struct {
	addr string
	proc *process.Process
	nc   *nats.Conn
	js   jetstream.JetStream
}

// The streams of drover's events, under their usual names.
var streamNames = [...]string{"EVENTS", "COMMANDS"}

// startBroker returns when the server answers.
func startBroker(ctx context.Context, o *Options, dir string) (*broker, error) {
	addr, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	store := filepath.Join(dir, "nats")
	args := []string{o.Program, "nats-child", "--listen", addr, "--data-dir", store}
	if o.NATS != "" {
		host, port, _ := net.SplitHostPort(addr) // of FreeAddr
		args = []string{o.NATS, "-a", host, "-p", port, "-js", "-sd", store}
	}
	log := filepath.Join(dir, "nats.log")
	b := &broker{addr: addr}
	if b.proc, err = process.Start(process.Command{Name: "nats-server", Args: args, Env: plain(dir), Dir: dir, Log: log}); err != nil {
		return nil, err
	}
	err = await(ctx, b.proc, "nats-server", log, "nats-server listens", func() (bool, string) {
		var err error
		b.nc, err = nats.Connect(b.url(), nats.Name("drover bench"))
		return err == nil, fmt.Sprint(err)
	})
	if err == nil {
		b.js, err = jetstream.New(b.nc)
	}
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("bench: %w", err)
	}
	return b, nil
}

func (b *broker) url() string { return "nats://" + b.addr }

func (b *broker) stop() {
	if b.nc != nil {
		b.nc.Close()
	}
	b.proc.Kill()
}

// stored is how far the streams are.
type stored struct {
	last [len(streamNames)]uint64 // sequence number of the last message; messages that age out count
	at   time.Time                // when the last message of all was stored, by the server's clock
}

func (s stored) total() (n uint64) {
	for _, seq := range s.last {
		n += seq
	}
	return n
}

// look asks how far the streams are. A stream that is not there yet holds nothing.
func (b *broker) look(ctx context.Context) (s stored, err error) {
	for i, name := range streamNames {
		st, err := b.js.Stream(ctx, name)
		if err != nil {
			if ctx.Err() == nil && errors.Is(err, jetstream.ErrStreamNotFound) {
				continue
			}
			return s, fmt.Errorf("bench: stream %s: %w", name, err)
		}
		state := st.CachedInfo().State
		s.last[i] = state.LastSeq
		if state.LastTime.After(s.at) {
			s.at = state.LastTime
		}
	}
	return s, nil
}

// stores waits until n more messages than before are stored, and returns when it was.
func (b *broker) stores(ctx context.Context, before stored, n int) (stored, error) {
	var now stored
	err := process.Until(ctx, patience, fmt.Sprintf("%d events are stored", n), func() (bool, string) {
		var err error
		if now, err = b.look(ctx); err != nil {
			return false, err.Error()
		}
		got := now.total() - before.total()
		return got >= uint64(n), fmt.Sprintf("%d are, of %s", got, b.addr)
	})
	if got := now.total() - before.total(); err == nil && got > uint64(n) {
		err = fmt.Errorf("bench: %d events were stored where %d were sent: some of them twice", got, n)
	}
	return now, err
}

// settled waits until nothing more is stored for a while.
func (b *broker) settled(ctx context.Context) (stored, error) {
	var last stored
	since := time.Now()
	err := process.Until(ctx, patience, "the streams are quiet", func() (bool, string) {
		now, err := b.look(ctx)
		if err != nil {
			return false, err.Error()
		}
		if now.total() != last.total() {
			last, since = now, time.Now()
		}
		return now.total() > 0 && time.Since(since) > quiet, fmt.Sprintf("%d messages", now.total())
	})
	return last, err
}

// quiet is how long nothing may have happened for a stream to count as quiet.
const quiet = 300 * time.Millisecond

// purge empties the streams, whose sequence numbers go on.
func (b *broker) purge(ctx context.Context) error {
	for _, name := range streamNames {
		st, err := b.js.Stream(ctx, name)
		if err == nil {
			err = st.Purge(ctx)
		}
		if err != nil {
			return fmt.Errorf("bench: purge %s: %w", name, err)
		}
	}
	return nil
}

// distinct checks that what was stored between two looks, and has not aged out since, has ids of its own each.
func (b *broker) distinct(ctx context.Context, from, to stored) error {
	seen := make(map[string]struct{}, to.total()-from.total())
	n := 0
	for i, name := range streamNames {
		err := b.read(ctx, name, from.last[i], to.last[i], true, func(m jetstream.Msg) {
			seen[m.Headers().Get(messages.HeaderID)] = struct{}{}
			n++
		})
		if err != nil {
			return err
		}
	}
	if len(seen) != n {
		return fmt.Errorf("bench: %d messages are stored with %d different ids: some events are stored twice", n, len(seen))
	}
	return nil
}

// read shows the messages of a stream behind one sequence number up to another.
func (b *broker) read(ctx context.Context, name string, after, last uint64, headersOnly bool, f func(jetstream.Msg)) error {
	if after == last {
		return nil
	}
	cons, err := b.js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, HeadersOnly: headersOnly,
	})
	if err != nil {
		return fmt.Errorf("bench: read %s: %w", name, err)
	}
	iter, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("bench: read %s: %w", name, err)
	}
	// The server keeps a consumer for minutes after its reader has gone, and tells it of each message that is stored.
	defer func() {
		iter.Stop()
		if info := cons.CachedInfo(); info != nil {
			_ = b.js.DeleteConsumer(ctx, name, info.Name)
		}
	}()
	for {
		m, err := iter.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("bench: read %s: %w", name, err)
		}
		f(m)
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("bench: read %s: %w", name, err)
		}
		if meta.Sequence.Stream >= last {
			return nil
		}
	}
}
