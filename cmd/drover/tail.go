package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"drover/config"
	"drover/system"
	"drover/system/stream"
)

// tail is drover tail: its flags, and where it writes.
type tail struct {
	sources      sourceFlags
	filter       stream.Filter
	shard        int
	since        time.Duration
	all          bool
	asJSON, data bool
	out          io.Writer
	lock         sync.Mutex // of notes: NATS' goroutines write them too
	notes        io.Writer
	color        bool
}

func newTailCommand() *cobra.Command {
	t := &tail{}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the events in the streams",
		Long: `Tail connects to NATS like a worker and shows each event that drover stores: when it was read,
its type, shard, guild, channel and user, its size, and its age when it came here. It reads only: it takes
nothing from other consumers and needs no token. Interaction tokens are never shown.

It finds NATS as drover run does: --nats, else NATS_URL or DROVER_NATS_URL, else nats.url of the
configuration file, else the embedded server's address, nats://127.0.0.1:4222. It waits for what
is not there yet, the server or the streams, and ends on Ctrl-C.`,
		Example: `  drover tail                                        everything from now on
  drover tail --type 'member.*' --type guild.join    some types only
  drover tail --shard 3 --since 5m                   the last five minutes of one shard, and on
  drover tail --guild 700000000000000010 --data      with the events' data
  drover tail --all --json | jq .data                all that is stored, for other programs
  drover tail --nats nats://user:password@nats:4222 --stream-prefix bot1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("shard") {
				t.filter.ShardID = &t.shard
			}
			t.out, t.notes = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if f, ok := t.out.(*os.File); ok {
				t.color = term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
			}
			return t.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.sources.file, "config", "", "configuration file (default: drover.yaml here or in /etc/drover)")
	f.Var(&keyFlag{s: &t.sources, name: "--nats", key: "nats.url"}, "nats", "NATS servers, comma-separated (nats.url)")
	f.Var(&keyFlag{s: &t.sources, name: "--stream-prefix", key: "streams.prefix"}, "stream-prefix", "prefix of the streams (streams.prefix)")
	f.StringSliceVar(&t.filter.Types, "type", nil, "event type, * for any characters, like 'member.*'; may be repeated")
	f.IntVar(&t.shard, "shard", 0, "one shard only")
	f.StringVar(&t.filter.GuildID, "guild", "", "one guild only, by its id")
	f.DurationVar(&t.since, "since", 0, "begin so long ago, like 5m")
	f.BoolVar(&t.all, "all", false, "begin with the oldest event that is stored")
	f.BoolVar(&t.asJSON, "json", false, "one envelope per line, as stored but for the tokens")
	f.BoolVar(&t.data, "data", false, "show the events' data too")
	cmd.MarkFlagsMutuallyExclusive("since", "all")
	cmd.MarkFlagsMutuallyExclusive("json", "data")
	return cmd
}

// check refuses flags that could never match anything.
func (t *tail) check() error {
	usage := func(format string, args ...any) error {
		return &system.Error{Code: exitUsage, Text: fmt.Sprintf(format, args...)}
	}
	if t.filter.ShardID != nil && t.shard < 0 {
		return usage("--shard is %d: write a shard's id, 0 or more", t.shard)
	}
	if _, err := strconv.ParseUint(t.filter.GuildID, 10, 64); t.filter.GuildID != "" && err != nil {
		return usage("--guild is %q: write a guild's id, decimal digits", t.filter.GuildID)
	}
	if t.since < 0 {
		return usage("--since is %v: write how long ago, like 5m", t.since)
	}
	return nil
}

// run follows until ctx ends, which is no error.
func (t *tail) run(ctx context.Context) error {
	if err := t.check(); err != nil {
		return err
	}
	cfg, _, err := t.sources.load()
	if err != nil {
		return err
	}
	o, err := tailOptions(cfg)
	if err != nil {
		return err
	}
	o.Hooks.Lost = func(err error) { t.note("waiting for NATS: %v", strip(err)) }
	o.Hooks.Connected = func() { t.note("connected to NATS") }
	o.Hooks.Refused = func(err *stream.RefusedError) { t.note("waiting for a permission: %v", err) }
	broker, err := stream.Connect(ctx, o)
	if err != nil {
		return fmt.Errorf("tail: %w", strip(err))
	}
	defer broker.Close()
	err = broker.Follow(ctx, stream.FollowOptions{
		Filter: t.filter, All: t.all, Since: t.since,
		Waiting: func(name string) { t.note("waiting for the stream %s, which drover run makes", name) },
	}, t.show)
	if err != nil {
		return fmt.Errorf("tail: %w", strip(err))
	}
	return nil
}

// tailOptions connects like a node with the same configuration, but never with a server of its own.
func tailOptions(cfg config.Config) (stream.Options, error) {
	if cfg.NATS.URL == "none" {
		return stream.Options{}, &system.Error{Code: exitUsage, Text: "nats.url is none, so there are no streams: give a server with --nats"}
	}
	return system.ReaderOptions(cfg, "drover tail")
}

// strip takes the package's name off an error that is shown to people.
func strip(err error) error {
	if text, found := strings.CutPrefix(err.Error(), "stream: "); found {
		return errors.New(text)
	}
	return err
}

// note writes to standard error, so that standard output holds events only.
func (t *tail) note(format string, args ...any) {
	t.lock.Lock()
	defer t.lock.Unlock()
	_, _ = fmt.Fprintf(t.notes, "tail: "+format+"\n", args...)
}

// show writes one message.
func (t *tail) show(m stream.Message) error {
	var line []byte
	switch {
	case m.Err != nil:
		t.note("%s #%d on %s is no envelope of drover's", m.Stream, m.StreamSeq, m.Subject)
		return nil
	case t.asJSON:
		line = append(oneLine(stream.RedactTokens(m.Raw)), '\n')
	default:
		line = t.line(m)
	}
	_, err := t.out.Write(line)
	return err
}

// oneLine takes line ends out of a JSON text, which Discord may send.
func oneLine(raw []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return bytes.ReplaceAll(raw, []byte("\n"), []byte(" "))
	}
	return out.Bytes()
}

var (
	tailFaint   = lipgloss.NewStyle().Faint(true)
	tailType    = lipgloss.NewStyle().Foreground(lipgloss.Color("6"))
	tailOwn     = lipgloss.NewStyle().Foreground(lipgloss.Color("3")) // drover's own events
	tailCommand = lipgloss.NewStyle().Foreground(lipgloss.Color("5"))
)

// line is one event for people.
func (t *tail) line(m stream.Message) []byte {
	e := m.Envelope
	read := time.UnixMilli(e.Timestamp)
	style := tailType
	switch {
	case strings.HasPrefix(e.Type, "shard."):
		style = tailOwn
	case strings.HasPrefix(e.Type, "interaction."):
		style = tailCommand
	}
	var b bytes.Buffer
	b.WriteString(t.paint(tailFaint, read.Format("15:04:05.000")))
	b.WriteString("  " + t.paint(style, fmt.Sprintf("%-26s", printable(e.Type))))
	fmt.Fprintf(&b, "  shard %-4d", e.ShardID)
	for _, id := range []struct {
		name  string
		value *string
	}{{"guild", e.GuildID}, {"channel", e.ChannelID}, {"user", e.UserID}} {
		if id.value != nil {
			b.WriteString("  " + t.paint(tailFaint, id.name) + " " + printable(*id.value))
		}
	}
	b.WriteString("  " + t.paint(tailFaint, size(len(e.Data))+", "+age(m.Received.Sub(read))))
	b.WriteByte('\n')
	if t.data {
		b.WriteString("    ")
		b.Write(oneLine(stream.RedactTokens(e.Data)))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func (t *tail) paint(s lipgloss.Style, text string) string {
	if !t.color {
		return text
	}
	return s.Render(text)
}

// printable keeps what others may have written to our streams from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func size(bytes int) string {
	switch {
	case bytes < 1000:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1000_000)
}

// age is the time from the gateway to here; clocks of two machines may differ a little.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
