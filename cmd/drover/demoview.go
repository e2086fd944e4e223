package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"drover/messages"
	"drover/system/stream"
)

// demoView is the live picture of a demo in a terminal: a bubbletea model that asks the node four
// times a second.
type demoView struct {
	demo   *demo
	ctx    context.Context
	end    context.CancelCauseFunc
	width  int
	status messages.NodeStatus
	recent []stream.Message
	stored [messages.Streams]uint64
	rate   float64 // events/s, smoothed
	asked  time.Time
	ending bool
}

// frame asks the view to look again.
type frame time.Time

// ended tells the view that the node has stopped.
type ended struct{}

const frameEvery = 250 * time.Millisecond

var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	green  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	red    = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	cyan   = lipgloss.NewStyle().Foreground(lipgloss.Color("6"))
)

// stateMarks draw a shard: not by colour alone.
var stateMarks = map[messages.State]string{
	messages.Ready:        green.Render("■"),
	messages.Resuming:     cyan.Render("▲"),
	messages.Identifying:  yellow.Render("◆"),
	messages.Connecting:   yellow.Render("◇"),
	messages.Disconnected: faint.Render("·"),
	messages.Halted:       red.Render("✕"),
}

// showLive draws until ctx ends and the node has drained.
func (d *demo) showLive(ctx context.Context, end context.CancelCauseFunc) error {
	program := tea.NewProgram(&demoView{demo: d, ctx: ctx, end: end, width: 100}, tea.WithoutSignalHandler())
	go func() { // ends with ctx, which every way out of the demo ends
		<-ctx.Done()
		program.Send(ended{})
	}()
	_, err := program.Run()
	if errors.Is(err, tea.ErrProgramKilled) {
		return nil
	}
	return err
}

// Init implements tea.Model.
func (v *demoView) Init() tea.Cmd { return v.next() }

func (v *demoView) next() tea.Cmd {
	return tea.Tick(frameEvery, func(t time.Time) tea.Msg { return frame(t) })
}

// Update implements tea.Model.
func (v *demoView) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		v.width = m.Width
	case tea.KeyMsg:
		if m.Type == tea.KeyCtrlC || m.String() == "q" {
			v.end(nil)
		}
	case ended:
		v.ending = true
		return v, tea.Quit
	case frame:
		v.look(time.Time(m))
		return v, v.next()
	}
	return v, nil
}

// look takes a new picture of node and streams.
func (v *demoView) look(now time.Time) {
	status, err := v.demo.node.Status(v.ctx)
	if err != nil {
		return
	}
	if took := now.Sub(v.asked).Seconds(); !v.asked.IsZero() && took > 0 {
		rate := float64(status.Traffic.Received-v.status.Traffic.Received) / took
		v.rate += (rate - v.rate) / 4
	}
	v.asked, v.status = now, status
	v.demo.mu.Lock()
	v.recent = append(v.recent[:0], v.demo.recent...)
	v.stored = v.demo.stored
	v.demo.mu.Unlock()
}

// View implements tea.Model.
func (v *demoView) View() string {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(lipgloss.NewStyle().MaxWidth(max(v.width, 40)).Render(fmt.Sprintf(format, args...)))
		b.WriteByte('\n')
	}
	s, t := v.status, v.status.Traffic
	line("\n %s  simulated Discord → sessions → JetStream → consumer      %s", bold.Render("drover demo"), cyan.Underline(true).Render(v.demo.page))
	line("")
	line(" %s  %s", faint.Render("shards"), progress(s))
	for _, row := range grid(s.Shards, max(min(v.width-12, 100), 25)) {
		line("         %s", row)
	}
	line(" %s  %s/s read from %s guilds · acknowledged in %s, p99 %s · %d in flight",
		faint.Render("events"), thousands(uint64(v.rate)), thousands(uint64(s.GuildsTotal)), short(t.P50), short(t.P99), t.Unacked)
	line(" %s  EVENTS %s · COMMANDS %s, as a worker reads them from %s", faint.Render("stored"),
		thousands(v.stored[messages.Events]), thousands(v.stored[messages.Commands]), v.demo.nats)
	if v.demo.db != nil {
		line(" %s  %s", faint.Render("tables"), v.demo.db.line())
	}
	line("")
	for _, m := range last(v.recent, 8) {
		line("   %s", eventLine(m))
	}
	line("")
	for i, n := range s.Notices[:min(len(s.Notices), 4)] {
		label := "        "
		if i == 0 {
			label = faint.Render(" life   ")
		}
		line("%s %s %s", label, faint.Render(n.At.Format("15:04:05")), noticeText(n))
	}
	line("")
	line(" %s", faint.Render("drover tail shows the same in another terminal · Ctrl-C drains and ends"))
	return b.String()
}

// progress is a bar and what is still awaited.
func progress(s messages.NodeStatus) string {
	if s.ShardsTotal == 0 {
		return strings.Join(s.Reasons, "; ")
	}
	const width = 24
	done := width * s.ShardsReady / s.ShardsTotal
	text := fmt.Sprintf("%s%s %d of %d ready", green.Render(strings.Repeat("█", done)), faint.Render(strings.Repeat("░", width-done)), s.ShardsReady, s.ShardsTotal)
	if n := s.Budget.Waiting; n > 0 {
		text += fmt.Sprintf(" · %d wait to identify, about %v at max_concurrency %d", n, s.Budget.ETA.Round(time.Second), s.Budget.MaxConcurrency)
	}
	return text
}

// grid draws one mark per shard.
func grid(shards []messages.ShardStatus, width int) []string {
	var rows []string
	var row strings.Builder
	for i, s := range shards {
		row.WriteString(stateMarks[s.State])
		if (i+1)%width == 0 || i == len(shards)-1 {
			rows = append(rows, row.String())
			row.Reset()
		}
	}
	return rows
}

func noticeText(n messages.Notice) string {
	if n.ShardID < 0 {
		return n.Text
	}
	return fmt.Sprintf("shard %d %s", n.ShardID, n.Text)
}

// eventLine is one event as the consumer sees it. It shows no data: an interaction's holds its token.
func eventLine(m stream.Message) string {
	e := m.Envelope
	guild := "–"
	if e.GuildID != nil {
		guild = *e.GuildID
	}
	return fmt.Sprintf("%s  %-24s shard %-4d guild %-20s %s", faint.Render(time.UnixMilli(e.Timestamp).Format("15:04:05.000")),
		e.Type, e.ShardID, guild, faint.Render(fmt.Sprintf("%s bytes", thousands(uint64(len(e.Data))))))
}

// showPlain prints lines where there is no terminal: progress each second until all is up, then a
// summary every five, and what happens to shards.
func (d *demo) showPlain(ctx context.Context) {
	fmt.Printf("drover demo: status page %s, streams on %s. Ctrl-C ends.\n", d.page, d.nats)
	every := time.NewTicker(time.Second)
	defer every.Stop()
	var told time.Time // newest notice that was printed
	for second := 0; ; second++ {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		s, err := d.node.Status(ctx)
		if err != nil {
			continue
		}
		told = printNotices(s.Notices, told)
		if !s.IsReady {
			fmt.Printf("%s %s\n", time.Now().Format("15:04:05"), strings.Join(s.Reasons, "; "))
			continue
		}
		if second%5 == 0 {
			d.printSummary(s)
		}
	}
}

func printNotices(notices []messages.Notice, told time.Time) time.Time {
	for i := len(notices) - 1; i >= 0; i-- {
		if n := notices[i]; n.At.After(told) {
			fmt.Printf("%s %s\n", n.At.Format("15:04:05"), noticeText(n))
			told = n.At
		}
	}
	return told
}

func (d *demo) printSummary(s messages.NodeStatus) {
	t := s.Traffic
	fmt.Printf("%s %d of %d shards ready, %s guilds, %s events read, %s acknowledged, p99 %s\n", time.Now().Format("15:04:05"),
		s.ShardsReady, s.ShardsTotal, thousands(uint64(s.GuildsTotal)), thousands(t.Received), thousands(t.Routed), short(t.P99))
	if d.db != nil {
		fmt.Println("         PostgreSQL: " + d.db.line())
	}
	d.mu.Lock()
	newest := append([]stream.Message(nil), last(d.recent, 3)...)
	d.mu.Unlock()
	for _, m := range newest {
		fmt.Println("  " + eventLine(m))
	}
}

// pageURL is where a browser on this machine finds an address that may be a wildcard.
func pageURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

func last[T any](list []T, n int) []T { return list[max(len(list)-n, 0):] }

// short prints a latency with the digits that matter.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// thousands groups digits: 12,345.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
