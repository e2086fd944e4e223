package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"
)

// Part is the side of a measured process that the benchmark speaks with, over HTTP on an address that it chose. Handle may
// be called before Serve; Note from any goroutine.
type Part struct {
	mux  *http.ServeMux
	acks []Ack
	n    atomic.Int64
	cpu  *os.File // a profile that is being written
}

// Ack is when something happened to a dispatch: it was written, or it was acknowledged.
type Ack struct {
	Shard int32
	Seq   int64
	At    int64 // Unix nanoseconds
}

// ackBytes is an Ack on the wire.
const ackBytes = 24

// NewPart makes a part that has room for so many acknowledgements, taken beforehand, so that noting one costs
// nothing but the time of day. Too low: a measurement says that some are missing.
func NewPart(acks int) *Part {
	p := &Part{mux: http.NewServeMux(), acks: make([]Ack, acks)}
	p.mux.HandleFunc("GET /acks", p.serveAcks)
	p.mux.HandleFunc("GET /allocs", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_, _ = w.Write(strconv.AppendUint(nil, m.Mallocs, 10))
	})
	p.mux.HandleFunc("POST /profile", p.profile)
	return p
}

// Handle adds something that the benchmark may ask for.
func (p *Part) Handle(pattern string, f http.HandlerFunc) { p.mux.HandleFunc(pattern, f) }

// Note notes that a dispatch is acknowledged.
func (p *Part) Note(shardID int, seq int64) {
	now := time.Now().UnixNano()
	if i := p.n.Add(1) - 1; i < int64(len(p.acks)) {
		p.acks[i] = Ack{int32(shardID), seq, now}
	}
}

// serveAcks answers what was noted, and forgets it. It is asked when nothing more is on its way.
func (p *Part) serveAcks(w http.ResponseWriter, _ *http.Request) {
	n := min(p.n.Swap(0), int64(len(p.acks)))
	out := make([]byte, 0, n*ackBytes)
	for _, a := range p.acks[:n] {
		out = binary.LittleEndian.AppendUint64(out, uint64(uint32(a.Shard)))
		out = binary.LittleEndian.AppendUint64(out, uint64(a.Seq))
		out = binary.LittleEndian.AppendUint64(out, uint64(a.At))
	}
	_, _ = w.Write(out)
}

// profile begins a CPU profile with ?to=FOLDER, and ends it without. What was allocated until then is written at both
// ends, for go tool pprof -base.
func (p *Part) profile(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		if dir := r.FormValue("to"); dir != "" {
			if err := writeAllocs(filepath.Join(dir, "allocs-before.pprof")); err != nil {
				return err
			}
			var err error
			if p.cpu, err = os.Create(filepath.Join(dir, "cpu.pprof")); err != nil {
				return err
			}
			return pprof.StartCPUProfile(p.cpu)
		}
		if p.cpu == nil {
			return errors.New("no profile was begun")
		}
		pprof.StopCPUProfile()
		dir := filepath.Dir(p.cpu.Name())
		if err := p.cpu.Close(); err != nil {
			return err
		}
		return writeAllocs(filepath.Join(dir, "allocs.pprof"))
	}()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func writeAllocs(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Serve answers on addr until ctx ends.
func (p *Part) Serve(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	s := &http.Server{Handler: p.mux, ReadHeaderTimeout: patience}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}
