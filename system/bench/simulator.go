package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"drover/system/process"
)

// simulator is Discord in a process of its own. One goroutine uses it.
type simulator struct {
	control string // URL
	api     string
	proc    *process.Process
}

// startSimulator returns when Discord answers. It lets all shards identify at once: that is not what is measured.
func startSimulator(ctx context.Context, o *Options, dir string, args ...string) (*simulator, error) {
	addr, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	resume, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	s := &simulator{control: "http://" + addr + "/control", api: "http://" + addr + "/api/v10"}
	log := filepath.Join(dir, "simulator.log")
	args = append([]string{o.Program, "simulate", "--listen", addr, "--resume-listen", resume, "--plain", "--max-concurrency", "2000"}, args...)
	if s.proc, err = process.Start(process.Command{Name: "simulator", Args: args, Env: plain(dir), Dir: dir, Log: log}); err != nil {
		return nil, err
	}
	err = await(ctx, s.proc, "the simulator", log, "the simulator listens", func() (bool, string) {
		_, err := fetch(ctx, http.MethodGet, s.control, nil)
		return err == nil, fmt.Sprint(err)
	})
	if err != nil {
		s.proc.Kill()
		return nil, err
	}
	return s, nil
}

// order posts a control and reads its answer into answer, which may be nil.
func (s *simulator) order(ctx context.Context, name string, body, answer any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	b, err = fetch(ctx, http.MethodPost, s.control+"/"+name, b)
	if err == nil && answer != nil {
		err = json.Unmarshal(b, answer)
	}
	if err != nil {
		return fmt.Errorf("bench: simulator: %s: %w", name, err)
	}
	return nil
}

// surge has n events encoded and held.
func (s *simulator) surge(ctx context.Context, n int) (held, error) {
	var h held
	err := s.order(ctx, "surge", map[string]int{"events": n}, &h)
	if err == nil && h.Events != n {
		err = fmt.Errorf("bench: the simulator holds %d events, want %d", h.Events, n)
	}
	return h, err
}

// held is the simulator's answer to a surge.
type held struct {
	Sessions, Events int
	Bytes            int64 // on the wire
}

// release lets what is held go, and returns when that was.
func (s *simulator) release(ctx context.Context) (time.Time, error) {
	var answer struct{ At int64 }
	err := s.order(ctx, "release", struct{}{}, &answer)
	return time.Unix(0, answer.At), err
}

func (s *simulator) rate(ctx context.Context, perSecond float64) error {
	return s.order(ctx, "rate", map[string]float64{"rate": perSecond}, nil)
}

// written are the times at which dispatches were handed to sockets since the last call.
func (s *simulator) written(ctx context.Context) ([]Ack, error) {
	b, err := fetch(ctx, http.MethodGet, s.control+"/written", nil)
	if err != nil {
		return nil, err
	}
	return readAcks(b)
}

// fetch does one request and wants a 200.
func fetch(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, strings.TrimSpace(string(b)))
	}
	return b, err
}

// readAcks reads records of 24 bytes, little-endian: shard, four bytes of nothing, sequence number, Unix nanoseconds.
func readAcks(b []byte) ([]Ack, error) {
	if len(b)%ackBytes != 0 {
		return nil, fmt.Errorf("bench: %d bytes of records of %d", len(b), ackBytes)
	}
	out := make([]Ack, len(b)/ackBytes)
	for i := range out {
		r := b[i*ackBytes:]
		out[i] = Ack{Shard: int32(binary.LittleEndian.Uint32(r)), Seq: int64(binary.LittleEndian.Uint64(r[8:])), At: int64(binary.LittleEndian.Uint64(r[16:]))}
	}
	return out, nil
}
