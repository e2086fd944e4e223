package gateway

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata with what the session does now")

// TestSessionTranscripts plays testdata/*.txt. A file's name is its claim. It consists of blocks: lines
// of input, a line of dashes, and the effects that must follow; an empty line ends a block.
//
//	start | dialed | granted | drain | end
//	recv OP D        a frame that is no dispatch
//	ready SESSION    READY of shard [1,2] with s=1; further words replace the shard
//	resumed S
//	events S         the read goroutine has accepted dispatches up to S
//	lost [CODE]      the connection or dial is lost, with or without a close code
//	blocked on|off   the read goroutine waits for room, or not
//	restart          a new Session from the old one's Memory, as after a Fail or a crash
//	+DURATION        time passes, with a Tick at each Wake
//
// Every random number is 0.5. Effects are printed with the time since the beginning.
func TestSessionTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newTranscript(t).play(string(text))
			if got == string(text) {
				return
			}
			if !*rewrite {
				t.Fatalf("%s differs; rewrite it with -rewrite and look at the diff.\ngot:\n%s", file, got)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type transcript struct {
	t          testing.TB
	o          SessionOptions
	s          *Session
	begin, now time.Time
	wake       time.Time
	seen       Seen
	out        strings.Builder
}

func newTranscript(t testing.TB) *transcript {
	o := shardOptions()
	o.Rand = func() float64 { return 0.5 }
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &transcript{t: t, o: o, begin: begin, now: begin, s: OpenSession(o, Memory{})}
}

func (p *transcript) play(text string) string {
	input := true
	var block []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "":
			input = true
			p.out.WriteString("\n")
		case strings.HasPrefix(line, "----"):
			p.out.WriteString(line + "\n")
			for _, line := range block {
				p.input(line)
			}
			input, block = false, nil
		case input:
			p.out.WriteString(line + "\n")
			if !strings.HasPrefix(line, "#") {
				block = append(block, line)
			}
		}
	}
	return p.out.String()
}

func (p *transcript) input(line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "start":
		p.do(p.s.Start(p.now))
	case "dialed":
		p.seen.At = p.now
		p.do(p.s.Dialed(p.now))
	case "granted":
		p.do(p.s.Granted(p.now))
	case "drain":
		p.do(p.s.Drain(p.now, p.seen))
	case "end":
		p.do(p.s.End(p.now, p.seen))
	case "recv":
		op, d, _ := strings.Cut(rest, " ")
		p.receive(fmt.Sprintf(`{"op":%s,"d":%s}`, op, d))
	case "ready":
		session, shard, found := strings.Cut(rest, " ")
		if !found {
			shard = "[1,2]"
		}
		p.seen.Seq = 1
		p.receive(fmt.Sprintf(`{"op":0,"t":"READY","s":1,"d":{"session_id":%q,"resume_gateway_url":"wss://resume.example","shard":%s}}`, session, shard))
	case "resumed":
		p.seen.Seq = p.number(rest)
		p.receive(fmt.Sprintf(`{"op":0,"t":"RESUMED","s":%s,"d":{}}`, rest))
	case "events":
		p.seen.Seq, p.seen.At = p.number(rest), p.now
	case "blocked":
		p.seen.Blocked = rest == "on"
	case "lost":
		var err error = errors.New("connection reset")
		if rest != "" {
			err = NewCloseError(int(p.number(rest)), "")
		}
		p.do(p.s.Lost(p.now, err, p.seen))
	case "restart":
		p.s = OpenSession(p.o, p.s.Memory())
		p.do(p.s.Start(p.now))
	default:
		d, err := time.ParseDuration(line)
		if err != nil {
			p.t.Fatalf("unknown input %q", line)
		}
		p.pass(d)
	}
}

func (p *transcript) pass(d time.Duration) {
	end := p.now.Add(d)
	for !p.wake.IsZero() && !p.wake.After(end) {
		p.now = p.wake
		p.do(p.s.Tick(p.now, p.seen))
	}
	p.now = end
}

func (p *transcript) receive(text string) {
	p.seen.At = p.now
	p.do(p.s.Receive(p.now, frameOf(p.t, text), p.seen))
}

func (p *transcript) number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func (p *transcript) do(effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Wake: // when it matters, an effect shows it
			p.wake = e.At
		case Send:
			fmt.Fprintf(&p.out, "%v send %s\n", p.now.Sub(p.begin), e.Payload)
		case Connect:
			fmt.Fprintf(&p.out, "%v connect %s\n", p.now.Sub(p.begin), e.URL)
		case Gap:
			fmt.Fprintf(&p.out, "%v gap: %s, %s after %d, silent since %v\n", p.now.Sub(p.begin), e.Reason, e.Session, e.Seq, e.From.Sub(p.begin))
		case Fail:
			fmt.Fprintf(&p.out, "%v fail: %v\n", p.now.Sub(p.begin), e.Err)
		case Down:
			fmt.Fprintf(&p.out, "%v down: %s, close code %d, next: %s\n", p.now.Sub(p.begin), e.Reason, e.CloseCode, e.Next)
		default:
			name := strings.TrimPrefix(fmt.Sprintf("%T", e), "gateway.")
			fmt.Fprintf(&p.out, "%v %s %+v\n", p.now.Sub(p.begin), strings.ToLower(name), e)
		}
	}
}
