package gateway_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"drover/system/gateway"
	"drover/system/gatewaysim"
)

const (
	trafficGuilds = 40
	trafficEvents = 2000
	trafficFirst  = 2 + trafficGuilds // HELLO, READY and GUILD_CREATEs come before the events
)

// traffic is the frames of one session of the simulator, as it sends them: HELLO, READY, a GUILD_CREATE for
// each guild, then its usual mix of events.
var traffic = sync.OnceValues(func() (frames [][]byte, err error) {
	sim := gatewaysim.New(gatewaysim.Options{Guilds: trafficGuilds, Rate: 200_000, Events: trafficEvents, Seed: 7})
	network, err := sim.StartPipe()
	if err != nil {
		return nil, err
	}
	defer sim.Close()
	url, err := gateway.GatewayURL("ws://"+gatewaysim.PipeBaseHost, "none")
	if err != nil {
		return nil, err
	}
	conn, err := gateway.Dial(context.Background(), gateway.DialOptions{URL: url, NetDial: network.Dial})
	if err != nil {
		return nil, err
	}
	defer conn.Close(1000, "done")
	identify := gateway.AppendIdentify(nil, gateway.SessionOptions{Token: "token", Intents: gateway.AllIntents, Shards: 1})
	if err := conn.Write(identify); err != nil {
		return nil, err
	}
	for len(frames) < trafficFirst+trafficEvents {
		frame, err := conn.Read()
		if err != nil {
			return nil, err
		}
		frames = append(frames, bytes.Clone(frame))
	}
	return frames, nil
})

func frames(tb testing.TB) [][]byte {
	tb.Helper()
	all, err := traffic()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// deflate returns frames as the simulator compresses them on one connection.
func deflate(tb testing.TB, mode string, frames [][]byte) [][]byte {
	tb.Helper()
	var out bytes.Buffer
	var w interface {
		io.Writer
		Flush() error
	}
	var err error
	switch mode {
	case "zlib-stream":
		w, err = zlib.NewWriterLevel(&out, zlib.BestSpeed)
	case "zstd-stream":
		w, err = zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	default:
		return frames
	}
	if err != nil {
		tb.Fatal(err)
	}
	messages := make([][]byte, 0, len(frames))
	for _, frame := range frames {
		out.Reset()
		if _, err := w.Write(frame); err != nil {
			tb.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
		messages = append(messages, bytes.Clone(out.Bytes()))
	}
	return messages
}

func meanSize(messages [][]byte) float64 {
	return float64(len(bytes.Join(messages, nil))) / float64(len(messages))
}

// BenchmarkInflate inflates one message of the simulator's traffic an operation.
func BenchmarkInflate(b *testing.B) {
	events := frames(b)[trafficFirst:]
	for _, mode := range []string{"none", "zlib-stream", "zstd-stream"} {
		messages := deflate(b, mode, events)
		b.Run(mode, func(b *testing.B) {
			b.SetBytes(int64(meanSize(events)))
			b.ReportMetric(meanSize(messages), "wireB/op")
			b.ReportAllocs()
			var z gateway.Inflater
			for i := 0; b.Loop(); i++ {
				if i%len(messages) == 0 {
					z, _ = gateway.NewInflater(mode)
				}
				if z == nil {
					continue
				}
				if _, err := z.Inflate(messages[i%len(messages)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestInflateDoesNotAllocate(t *testing.T) {
	events := frames(t)[trafficFirst:]
	for _, mode := range []string{"zlib-stream", "zstd-stream"} {
		t.Run(mode, func(t *testing.T) {
			messages := deflate(t, mode, events)
			z, err := gateway.NewInflater(mode)
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			next := 0
			inflate := func() {
				if _, err := z.Inflate(messages[next]); err != nil {
					t.Fatal(err)
				}
				next++
			}
			for range len(messages) / 2 { // until the window is full
				inflate()
			}
			// The race detector makes pools forget.
			if got := testing.AllocsPerRun(len(messages)/2-1, inflate); got > 0 && !gateway.RaceDetector {
				t.Errorf("got %v allocations, want 0", got)
			}
		})
	}
}

// BenchmarkScan scans one event of the simulator's traffic an operation, and looks up its ids.
func BenchmarkScan(b *testing.B) {
	events := frames(b)[trafficFirst:]
	b.SetBytes(int64(meanSize(events)))
	b.ReportAllocs()
	var f gateway.Frame
	for i := 0; b.Loop(); i++ {
		if err := gateway.Scan(events[i%len(events)], &f); err != nil {
			b.Fatal(err)
		}
		f.GuildID()
		f.ChannelID()
		f.UserID()
	}
}
