package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"drover/system/process"
)

// client is a process that reads Discord and writes JetStream: a drover node, or the bot that it is compared with. One
// goroutine uses it; the log is read by another.
type client struct {
	what string
	proc *process.Process
	part string // URL of its Part; empty where it has none
	log  string

	mu   sync.Mutex
	addr string // of a node's HTTP server; empty before it has listened
}

// setting is what a client is run with.
type setting struct {
	bot      bool // it is the hand-written bot and no drover
	compress string
	acks     int    // acknowledgements that it notes; 0: none
	profile  string // folder for profiles
	traced   bool   // it exports traces and metrics
	sink     *sink  // where to
}

// token is the bot's. The simulator takes any.
const token = "drover-bench"

// patience bounds every wait for a condition. Nothing takes so long unless it is broken.
const patience = 2 * time.Minute

// plain is the environment of every process. Nothing of this process's own gets there: it would change what is measured.
func plain(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
}

// startNode runs drover as users do, with the storage of streams that is asked for, and returns when its HTTP server listens.
func startNode(ctx context.Context, s *stage, with setting) (*client, error) {
	o, dir := s.o, s.dir
	n := &client{what: "drover", log: filepath.Join(dir, "drover.log")}
	env := append(plain(dir),
		"DISCORD_TOKEN="+token, "DISCORD_INTENTS="+strconv.FormatUint(o.Intents, 10), "DROVER_DISCORD_API_URL="+s.sim.api,
		"DROVER_DISCORD_COMPRESS="+with.compress, "NATS_URL="+s.nats.url(), "DROVER_HTTP_ADDR=127.0.0.1:0", "DROVER_CLUSTER_NODE=bench",
		"DROVER_SPOOL_DIR="+filepath.Join(dir, "spool"), "DROVER_STREAMS_EVENTS_STORAGE="+o.Storage, "DROVER_STREAMS_COMMANDS_STORAGE="+o.Storage)
	if with.sink != nil {
		env = append(env, with.sink.env()...)
	}
	args := []string{o.Program, "run"}
	if with.acks > 0 || with.profile != "" {
		addr, err := process.FreeAddr()
		if err != nil {
			return nil, err
		}
		n.part = "http://" + addr
		args = []string{o.Program, "bench-node", "--control", addr, "--acks", strconv.Itoa(with.acks)}
	}
	var err error
	n.proc, err = process.Start(process.Command{
		Name: n.what, Args: args, Env: append(env, o.Env...), Dir: dir, Log: n.log, Line: n.read,
	})
	if err != nil {
		return nil, err
	}
	return n, n.await(ctx, "drover listens", func() (bool, string) { return n.url() != "", "" })
}

// startBot runs the bot that drover is compared with.
func startBot(ctx context.Context, s *stage, with setting) (*client, error) {
	addr, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	b := &client{what: "bot", log: filepath.Join(s.dir, "bot.log"), part: "http://" + addr}
	b.proc, err = process.Start(process.Command{
		Name: b.what, Dir: s.dir, Log: b.log, Env: plain(s.dir),
		Args: []string{s.o.Program, "bench-bot", "--control", addr, "--api-url", s.sim.api, "--nats-url", s.nats.url(), "--token", token,
			"--intents", strconv.FormatUint(s.o.Intents, 10), "--shards", strconv.Itoa(s.o.Sessions), "--acks", strconv.Itoa(with.acks)},
	})
	if err != nil {
		return nil, err
	}
	return b, b.await(ctx, "the bot answers", func() (bool, string) {
		_, err := fetch(ctx, http.MethodGet, b.part+"/allocs", nil)
		return err == nil, fmt.Sprint(err)
	})
}

// startRaw runs the raw publisher.
func startRaw(ctx context.Context, s *stage, samples string) (*client, error) {
	addr, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	r := &client{what: "raw publisher", log: filepath.Join(s.dir, "raw.log"), part: "http://" + addr}
	r.proc, err = process.Start(process.Command{
		Name: r.what, Dir: s.dir, Log: r.log, Env: plain(s.dir),
		Args: []string{s.o.Program, "bench-raw", "--control", addr, "--nats-url", s.nats.url(), "--samples", samples},
	})
	if err != nil {
		return nil, err
	}
	return r, r.await(ctx, "the raw publisher answers", func() (bool, string) {
		_, err := fetch(ctx, http.MethodGet, r.part+"/allocs", nil)
		return err == nil, fmt.Sprint(err)
	})
}

// await waits for something that the process does.
func (c *client) await(ctx context.Context, what string, ok func() (bool, string)) error {
	return await(ctx, c.proc, c.what, c.log, what, ok)
}

// await waits for something that a process does, and gives up when the process ends.
func await(ctx context.Context, p *process.Process, name, log, what string, ok func() (bool, string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := process.Until(ctx, patience, what, func() (bool, string) {
		if !p.Running() {
			cancel(fmt.Errorf("bench: %s ended by itself (%s)", name, p.State()))
			return false, ""
		}
		return ok()
	})
	if err != nil {
		return fmt.Errorf("%w; see %s", err, log)
	}
	return nil
}

// read looks for the address in a line of a node's log.
func (c *client) read(line []byte) {
	var entry struct {
		Msg, HTTP string
	}
	if bytes.Contains(line, []byte(`"msg":"listening"`)) && json.Unmarshal(line, &entry) == nil {
		c.mu.Lock()
		c.addr = entry.HTTP
		c.mu.Unlock()
	}
}

func (c *client) url() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.addr == "" {
		return ""
	}
	return "http://" + c.addr
}

// ready waits until a node says that all its shards are.
func (c *client) ready(ctx context.Context) error {
	if c.what != "drover" {
		return nil
	}
	return c.await(ctx, "drover is ready", func() (bool, string) {
		_, err := fetch(ctx, http.MethodGet, c.url()+"/ready", nil)
		return err == nil, fmt.Sprint(err)
	})
}

// allocs is how many objects the process has allocated so far.
func (c *client) allocs(ctx context.Context) (float64, error) {
	if c.what == "drover" {
		return c.metric(ctx, "go_memstats_mallocs_total")
	}
	b, err := fetch(ctx, http.MethodGet, c.part+"/allocs", nil)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(b), 64)
}

// metric is the sum of one of a node's metrics over its labels.
func (c *client) metric(ctx context.Context, name string) (float64, error) {
	body, err := fetch(ctx, http.MethodGet, c.url()+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	for scan := bufio.NewScanner(bytes.NewReader(body)); scan.Scan(); {
		line := scan.Text()
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value := rest[strings.LastIndexByte(rest, ' ')+1:]
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("bench: metric %s: %w", name, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("bench: drover has no metric %s", name)
	}
	return sum, nil
}

// acks are the acknowledgements that the process noted since the last call.
func (c *client) acks(ctx context.Context) ([]Ack, error) {
	b, err := fetch(ctx, http.MethodGet, c.part+"/acks", nil)
	if err != nil {
		return nil, err
	}
	return readAcks(b)
}

// record begins or ends (with an empty folder) a profile.
func (c *client) record(ctx context.Context, to string) error {
	query := ""
	if to != "" {
		query = "?to=" + to
	}
	_, err := fetch(ctx, http.MethodPost, c.part+"/profile"+query, nil)
	return err
}
