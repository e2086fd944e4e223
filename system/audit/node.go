package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"drover/system/process"
)

// node is drover as an operator runs it: a process with an environment, a spool and a data directory
// that outlive it. One goroutine uses it; the log is read by another.
type node struct {
	name    string // among several; empty: it is the only one
	program string
	env     []string
	dir     string
	proxies []*proxy // its ways to the NATS servers; none where that runs inside it
	tap     *tap     // what is seen there; nil: nothing
	starts  int
	away    bool // it is frozen or cut off, and not asked
	proc    *process.Process
	http    http.Client

	ending chan struct{} // closed when the end of the process of now is wanted

	mu   sync.Mutex
	addr string // of its HTTP server; empty before it has listened
	last string // the last sentence for people: "drover: …"
}

func (n *node) log() string { return filepath.Join(n.dir, fmt.Sprintf("drover-%d.log", n.starts)) }

// up reports that the node can be asked.
func (n *node) up() bool { return n.proc != nil && n.proc.Running() && !n.away }

// start runs drover and returns when its HTTP server listens. It is not ready by then.
func (n *node) start(ctx context.Context) error {
	n.starts++
	n.ending = make(chan struct{})
	n.mu.Lock()
	n.addr, n.last = "", ""
	n.mu.Unlock()
	var err error
	n.proc, err = process.Start(process.Command{Name: "drover", Args: []string{n.program, "run"}, Env: n.env, Dir: n.dir, Log: n.log(), Line: n.read})
	if err != nil {
		return err
	}
	return process.Until(ctx, 30*time.Second, "drover listens", func() (bool, string) {
		if !n.proc.Running() {
			return false, n.obituary()
		}
		return n.url() != "", "see " + n.log()
	})
}

// expectEnd says that the process is about to end because somebody wants it.
func (n *node) expectEnd() {
	select {
	case <-n.ending:
	default:
		close(n.ending)
	}
}

// read looks for what the audit needs in a line of the log.
func (n *node) read(line []byte) {
	var entry struct {
		Msg, HTTP string
	}
	switch {
	case bytes.HasPrefix(line, []byte("drover: ")):
		n.mu.Lock()
		n.last = string(line)
		n.mu.Unlock()
	case bytes.Contains(line, []byte(`"msg":"listening"`)) && json.Unmarshal(line, &entry) == nil:
		n.mu.Lock()
		n.addr = entry.HTTP
		n.mu.Unlock()
	}
}

func (n *node) url() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addr == "" {
		return ""
	}
	return "http://" + n.addr
}

// obituary says how the process ended by itself.
func (n *node) obituary() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("drover ended by itself (%v) %s; see %s", n.proc.State(), n.last, n.log())
}

// words is drover's last sentence for people.
func (n *node) words() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// get asks the node's HTTP server. A node that is not there answers nothing.
func (n *node) get(ctx context.Context, path string) (int, []byte) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+path, nil)
	if err != nil || !n.proc.Running() {
		return 0, nil
	}
	res, err := n.http.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

// ready reports what /ready says, and why not.
func (n *node) ready(ctx context.Context) (bool, string) {
	code, body := n.get(ctx, "/ready")
	return code == http.StatusOK, string(body)
}

// shardState is what the audit needs of /api/v1/shards.
type shardState struct {
	ID       int
	State    string
	Session  string // first 8 characters
	Received int64  `json:"seq_received"`
	Acked    int64  `json:"seq_acked"`
	node     int    // which of the run's nodes says so
}

func (n *node) shards(ctx context.Context) []shardState {
	var list []shardState
	if _, body := n.get(ctx, "/api/v1/shards"); json.Unmarshal(body, &list) != nil {
		return nil
	}
	return list
}

// metric is the sum of a metric over its labels; -1 where the node does not answer.
func (n *node) metric(ctx context.Context, name string) float64 {
	code, body := n.get(ctx, "/metrics")
	if code != http.StatusOK {
		return -1
	}
	sum := 0.0
	for scan := bufio.NewScanner(bytes.NewReader(body)); scan.Scan(); {
		series, value, found := strings.Cut(scan.Text(), " ")
		if at := strings.IndexByte(series, '{'); at >= 0 {
			// Label values may hold spaces: what counts stands behind the brace.
			series, value, found = scan.Text()[:at], scan.Text()[strings.LastIndexByte(scan.Text(), '}')+1:], true
		}
		if !found || series != name {
			continue
		}
		if v, err := strconv.ParseFloat(strings.Fields(value)[0], 64); err == nil {
			sum += v
		}
	}
	return sum
}
