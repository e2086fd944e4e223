package gatewaysim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Written is a dispatch that was handed to its socket.
type Written struct {
	ShardID int
	Seq     int64
	At      time.Time // just before the call that wrote it, and others with it
}

// stampRun is n dispatches of one shard in one write: all have one time.
type stampRun struct {
	shard, n int32
	from     int64
	at       int64 // Unix ns
}

// stamps are the write times that nobody has read yet. Safe for concurrent use.
// A write takes 24 bytes, however many dispatches are in it.
type stamps struct {
	mu     sync.Mutex
	blocks [][]stampRun // all but the last are full
	writes int
	events int
	lost   bool
}

const (
	stampBlock = 1 << 15
	// maxStampWrites bounds what is kept at 192 MiB.
	maxStampWrites = 8 << 20
)

// add notes runs as written now. It copies them.
func (st *stamps) add(runs []stampRun, now time.Time) {
	at := now.UnixNano()
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, run := range runs {
		if run.n == 0 {
			continue
		}
		if st.writes >= maxStampWrites {
			st.lost = true
			return
		}
		last := len(st.blocks) - 1
		if last < 0 || len(st.blocks[last]) == stampBlock {
			st.blocks = append(st.blocks, make([]stampRun, 0, stampBlock))
			last++
		}
		run.at = at
		st.blocks[last] = append(st.blocks[last], run)
		st.writes++
		st.events += int(run.n)
	}
}

// Written returns the write time of every dispatch since the last call, and
// forgets them; of one shard they stand in the order of writing. A dispatch that
// was replayed is in it each time it was written. It is an error without
// Options.Stamp, and if more than 8 million writes were not asked for: then some
// times are lost.
func (s *Server) Written() ([]Written, error) {
	blocks, n, err := s.takeStamps()
	list := make([]Written, 0, n)
	for _, block := range blocks {
		for _, run := range block {
			for i := range int64(run.n) {
				list = append(list, Written{int(run.shard), run.from + i, time.Unix(0, run.at)})
			}
		}
	}
	return list, err
}

func (s *Server) takeStamps() (blocks [][]stampRun, events int, err error) {
	if !s.opts.Stamp {
		return nil, 0, errors.New("gatewaysim: written: write times are not noted: set Options.Stamp (drover simulate --stamp)")
	}
	st := &s.stamps
	st.mu.Lock()
	defer st.mu.Unlock()
	blocks, events = st.blocks, st.events
	if st.lost {
		blocks, events, err = nil, 0, fmt.Errorf("gatewaysim: written: more than %d writes since the last call, times were lost: ask more often", maxStampWrites)
	}
	st.blocks, st.writes, st.events, st.lost = nil, 0, 0, false
	return blocks, events, err
}

// stampBytes is a record of GET /control/written: int32 shard, four bytes of
// nothing, int64 seq, int64 Unix ns, little-endian.
const stampBytes = 24

func (s *Server) serveWritten(w http.ResponseWriter, _ *http.Request) {
	blocks, _, err := s.takeStamps()
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	buf := make([]byte, 0, batchBytes)
	for _, block := range blocks {
		for _, run := range block {
			for i := range int64(run.n) {
				if len(buf)+stampBytes > cap(buf) {
					_, _ = w.Write(buf) // a reader that went away has lost them
					buf = buf[:0]
				}
				buf = binary.LittleEndian.AppendUint32(buf, uint32(run.shard))
				buf = append(buf, 0, 0, 0, 0)
				buf = binary.LittleEndian.AppendUint64(buf, uint64(run.from+i))
				buf = binary.LittleEndian.AppendUint64(buf, uint64(run.at))
			}
		}
	}
	_, _ = w.Write(buf)
}
