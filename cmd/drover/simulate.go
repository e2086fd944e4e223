package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"drover/system"
	"drover/system/gatewaysim"
	"drover/system/telemetry"
)

// simulation is drover simulate: its flags, and the server once it runs.
type simulation struct {
	world          gatewaysim.Options
	listen, resume string
	guildSize      string
	plain, verbose bool
	out            io.Writer
	server         *gatewaysim.Server
}

func newSimulateCommand() *cobra.Command {
	s := &simulation{}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Be a Discord gateway, for tests and benchmarks",
		Long: `Simulate plays Discord's gateway: REST, WebSocket, sessions that can be resumed, identify limits,
guilds and traffic. Point any bot at it that lets you choose the API address. Faults are injected
over HTTP while it runs: GET /control lists them all.

It keeps Discord's rules. A bot that identifies too often, sends too much or resumes too late gets
from it what it would get from Discord, and what it did wrong stands in /control/state.`,
		Example: `  drover simulate
  drover simulate --shards 25 --rate 5000                a busy bot
  drover simulate --guilds 40000 --shards 40 --guild-spread 30s
  drover simulate --rate 0 --stamp                       a benchmark: /control/surge, release, written
  drover simulate --token secret --daily-total 10        watch a bot run out of identifies
  drover simulate --session-life 5s --replay-buffer 50   sessions that are hard to keep

  DROVER_DISCORD_API_URL=http://127.0.0.1:4290/api/v10 DISCORD_TOKEN=anything drover run

  curl http://127.0.0.1:4290/control                     what there is
  curl -d '{"shard":0,"code":4000}' http://127.0.0.1:4290/control/close
  curl -d '{"host":"resume","mode":"refuse","for":"30s"}' http://127.0.0.1:4290/control/refuse-dials`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.out = cmd.OutOrStdout()
			return s.run(cmd.Context(), cmd.ErrOrStderr())
		},
	}
	o, f := &s.world, cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:4290", "address of REST, gateway and control API; port 0 picks one")
	f.StringVar(&s.resume, "resume-listen", "", "address of the gateway that READY names for resuming (default: the next port)")
	f.StringVar(&o.Token, "token", "", "the only bot token accepted (default: any)")
	f.IntVar(&o.Shards, "shards", 4, "shards that /gateway/bot recommends")
	f.IntVar(&o.Guilds, "guilds", 0, "guilds over all shards; 0: ten per shard, -1: none")
	f.DurationVar(&o.GuildSpread, "guild-spread", 0, "time over which a shard's guilds load")
	f.StringVar(&s.guildSize, "guild-size", "", "bytes of the smallest and the largest GUILD_CREATE, as 5000-60000 (default: as they come, 6 to 35 KB)")
	f.Float64Var(&o.Rate, "rate", 100, "events per second over all shards; 0: none")
	f.BoolVar(&o.Smooth, "smooth", false, "send each event when it is due, not those of a millisecond together (takes some CPU)")
	f.Int64Var(&o.Events, "events", 0, "stop the traffic after so many events; 0: never")
	f.Uint64Var(&o.Seed, "seed", 1, "choice of ids, names and events")
	f.IntVar(&o.MaxConcurrency, "max-concurrency", 16, "shards that may identify at once, every 5 s")
	f.IntVar(&o.DailyTotal, "daily-total", 0, "identifies per day; 0: max(1000, 5 × shards)")
	f.DurationVar(&o.Heartbeat, "heartbeat", 41250*time.Millisecond, "heartbeat interval in HELLO")
	f.DurationVar(&o.SessionLife, "session-life", 90*time.Second, "how long a lost session can be resumed")
	f.IntVar(&o.ReplayBuffer, "replay-buffer", 0, "events that a session can replay; 0: max(100, min(3500, 75 × guilds))")
	f.StringVar(&o.ResumeURLForm, "resume-url-form", "", "how READY writes the resume URL: slash or query (default: as Discord does)")
	f.IntVar(&o.ZstdWindow, "zstd-window", 128<<10, "window of zstd-stream in bytes, a power of two")
	f.BoolVar(&o.Record, "record", false, "keep every dispatch for /control/ledger; memory grows with the traffic")
	f.BoolVar(&o.Stamp, "stamp", false, "note when each dispatch is written, for /control/written; memory grows until it is read")
	f.BoolVar(&s.verbose, "verbose", false, "log sessions and faults to standard error")
	f.BoolVar(&s.plain, "plain", false, "plain lines even on a terminal")
	return cmd
}

// run serves until ctx ends.
func (s *simulation) run(ctx context.Context, stderr io.Writer) error {
	if s.verbose {
		s.world.Log, _ = telemetry.NewLogger(stderr, "text", "info", s.world.Token)
	}
	resume, err := s.resumeAddr()
	if err == nil {
		err = s.readGuildSize()
	}
	if err == nil {
		err = s.world.Check()
	}
	if err != nil {
		return &system.Error{Code: exitUsage, Text: "simulate", Err: err}
	}
	s.server = gatewaysim.New(s.world)
	if err := s.server.StartOn(s.listen, resume); err != nil {
		return &system.Error{Code: exitUsage, Text: "simulate", Err: listenAdvice(err)}
	}
	defer s.server.Close()
	s.greet()
	live := false
	if file, ok := s.out.(*os.File); ok {
		live = term.IsTerminal(int(file.Fd())) && !s.plain && !s.verbose // log lines would tear the line
	}
	s.watch(ctx, live)
	c := s.server.Counts()
	s.printf("Ended: %d connections, %d identifies, %d of %d resumes, %d events made.\n",
		c.DialsBase+c.DialsResume, c.Identifies, c.Resumed, c.Resumes, c.TrafficMade)
	return nil
}

// resumeAddr is --resume-listen, or the port after --listen's.
func (s *simulation) resumeAddr() (string, error) {
	host, port, err := net.SplitHostPort(s.listen)
	if err != nil {
		return "", fmt.Errorf("--listen is %q: write it as host:port", s.listen)
	}
	if s.resume != "" {
		if _, _, err := net.SplitHostPort(s.resume); err != nil {
			return "", fmt.Errorf("--resume-listen is %q: write it as host:port", s.resume)
		}
		return s.resume, nil
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65534 {
		return "", fmt.Errorf("--listen is %q: the port must be 0 to 65534, or give --resume-listen too", s.listen)
	}
	if n > 0 {
		n++
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// readGuildSize reads --guild-size; Options.Check judges the numbers.
func (s *simulation) readGuildSize() error {
	if s.guildSize == "" {
		return nil
	}
	smallest, largest, _ := strings.Cut(s.guildSize, "-")
	for i, text := range []string{smallest, largest} {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("--guild-size is %q: write it as two numbers of bytes, like 5000-60000", s.guildSize)
		}
		s.world.GuildBytes[i] = n
	}
	return nil
}

// listenAdvice turns a taken port into one sentence that names the flag.
func listenAdvice(err error) error {
	var failed *gatewaysim.ListenError
	if !errors.As(err, &failed) {
		return err
	}
	flag := "--listen"
	if failed.Host == gatewaysim.HostResume {
		flag = "--resume-listen"
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use by another process: choose another address with %s", failed.Addr, flag)
	}
	return fmt.Errorf("cannot listen on %s: %w: choose another address with %s", failed.Addr, failed.Err, flag)
}

func (s *simulation) greet() {
	token := "anything"
	if s.world.Token != "" {
		token = "… (the one of --token)"
	}
	st := s.server.State()
	s.printf("A Discord gateway with %d guilds, %d shards recommended, %g events per second.\n\n", st.Guilds, s.world.Shards, s.world.Rate)
	s.printf("  DROVER_DISCORD_API_URL=%s DISCORD_TOKEN=%s drover run\n\n", s.server.APIURL(), token)
	s.printf("Break something:\n\n")
	for _, line := range []string{
		`                                             # all that there is`,
		`/state                                       # sessions, connections, counts`,
		`/close -d '{"shard":0,"code":4000}'`,
		`/reconnect -d '{}'                           # op 7 to all`,
		`/refuse-dials -d '{"host":"resume","mode":"refuse","for":"30s"}'`,
		`/rate -d '{"rate":2000}'`,
	} {
		s.printf("  curl %s%s\n", s.server.ControlURL(), line)
	}
	s.printf("\nCtrl-C ends it.\n\n")
}

// watch shows the state once a second: one line that is written over on a
// terminal, else a line when sessions changed and one a minute.
func (s *simulation) watch(ctx context.Context, live bool) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before gatewaysim.Counts
	shown, told := "", time.Now()
	for {
		select {
		case <-ctx.Done():
			if live {
				s.printf("\r\x1b[K")
			}
			return
		case now := <-tick.C:
			st := s.server.State()
			sessions, line := statusLine(st, before)
			before = st.Counts
			switch {
			case live:
				s.printf("\r\x1b[K%s", line)
			case sessions != shown || now.Sub(told) >= time.Minute:
				s.printf("%s %s\n", now.Format(time.TimeOnly), line)
				shown, told = sessions, now
			}
		}
	}
}

// statusLine sums a second up; sessions is the part of it that is worth a line of its own.
func statusLine(st gatewaysim.State, before gatewaysim.Counts) (sessions, line string) {
	connected := 0
	for _, ses := range st.Sessions {
		if ses.Connected && ses.Ready {
			connected++
		}
	}
	c := st.Counts
	sessions = fmt.Sprintf("%d ready, %d waiting for a resume · %d identifies (%d left), %d of %d resumes",
		connected, len(st.Sessions)-connected, c.Identifies, st.Budget.Remaining, c.Resumed, c.Resumes)
	line = fmt.Sprintf("%s · %d events/s, %.1f KB/s", sessions, c.TrafficMade-before.TrafficMade, float64(c.Bytes-before.Bytes)/1000)
	if held := c.TrafficHeldBack - before.TrafficHeldBack; held > 0 {
		line += fmt.Sprintf(" · client lags, %d held back", held)
	}
	if c.Violations > 0 {
		line += fmt.Sprintf(" · %d violations", c.Violations)
	}
	for _, fault := range st.Faults {
		line += " · fault: " + fault
	}
	return sessions, line
}

func (s *simulation) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...) // nowhere is left to report that this failed
}
