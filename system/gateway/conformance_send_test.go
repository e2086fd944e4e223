package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func mustQueue(t testing.TB, b *Outbox, op int, body string) {
	t.Helper()
	if err := b.Queue(Command{Op: op, Body: json.RawMessage(body)}); err != nil {
		t.Fatalf("Queue op %d %s: %v", op, body, err)
	}
}

func openOutbox() *Outbox {
	b := NewOutbox()
	b.Reset()
	b.Ready(beatEvery, false)
	return b
}

// sentCommand is a command with the time it went at.
type sentCommand struct {
	at   time.Duration
	body string
}

// flush lets the outbox send for d from now on, asking again whenever it says so.
func (b *Outbox) drainFor(t testing.TB, now time.Time, d time.Duration) (sent []sentCommand) {
	t.Helper()
	for from := now; now.Sub(from) <= d; {
		payload, wait, ok := b.Next(now)
		if ok {
			sent = append(sent, sentCommand{now.Sub(from), string(payload)})
			continue
		}
		if wait == 0 {
			break
		}
		now = now.Add(wait)
	}
	return sent
}

func wholeGuild(guild, nonce string) string {
	return fmt.Sprintf(`{"guild_id":%q,"query":"","limit":0,"nonce":%q}`, guild, nonce)
}

func TestConformance44_a_command_is_not_sent_again_after_4002(t *testing.T) {
	now := time.Now()
	b := openOutbox()
	mustQueue(t, b, OpRequestMembers, wholeGuild("1", "n"))
	mustQueue(t, b, OpPresence, `{"status":"idle"}`)
	if sent := b.drainFor(t, now, time.Second); len(sent) != 2 {
		t.Fatalf("sent %v", sent)
	}
	mustQueue(t, b, OpVoiceState, `{"guild_id":"1"}`)
	b.Refused()
	b.Reset()
	b.Ready(beatEvery, false) // not even as the presence of the new session
	b.RateLimited(now, frameOf(t, `{"op":0,"t":"RATE_LIMITED","s":2,"d":{"opcode":8,"retry_after":1,"meta":{"guild_id":"1","nonce":"n"}}}`))
	sent := b.drainFor(t, now, time.Minute)
	if len(sent) != 1 || !strings.Contains(sent[0].body, `"op":4`) {
		t.Errorf("sent %v, want only the one that was not sent before", sent)
	}
}

func TestConformance51_a_payload_over_4096_bytes_is_refused(t *testing.T) {
	b := openOutbox()
	long := `{"guild_ids":["` + strings.Repeat("1", MaxPayload) + `"]}`
	if err := b.Queue(Command{Op: OpRequestSounds, Body: json.RawMessage(long)}); !errors.Is(err, ErrTooLong) {
		t.Errorf("error %v, want ErrTooLong", err)
	}
	fits := `{"x":"` + strings.Repeat("1", MaxPayload-len(`{"op":31,"d":{"x":""}}`)) + `"}`
	mustQueue(t, b, OpRequestSounds, fits)
	payload, _, ok := b.Next(time.Now())
	if !ok || len(payload) != MaxPayload || !json.Valid(payload) {
		t.Errorf("%v, %d bytes, want the largest payload that is allowed", ok, len(payload))
	}
	o := shardOptions()
	o.Presence = json.RawMessage(`{"x":"` + strings.Repeat("1", MaxPayload) + `"}`)
	if err := o.Validate(); !errors.Is(err, ErrTooLong) {
		t.Errorf("error %v, want ErrTooLong for an IDENTIFY", err)
	}
}

func TestConformance52_500_commands_keep_the_limit_and_heartbeats_are_on_time(t *testing.T) {
	r := newRig(t)
	b := NewOutbox()
	sends := 0
	count := func() { // what the session machine sends goes past the outbox
		for ; sends < len(r.sends); sends++ {
			b.Sent(r.sends[sends].at)
		}
	}
	r.up()
	r.grant()
	count()
	r.ready()
	b.Ready(r.s.Interval(), false)
	for i := range 500 {
		mustQueue(t, b, OpVoiceState, fmt.Sprintf(`{"guild_id":"%d"}`, i))
	}
	var frames []time.Time
	commands := 0
	for commands < 500 {
		payload, wait, ok := b.Next(r.now)
		if ok {
			if want := fmt.Sprintf(`"guild_id":"%d"`, commands); !strings.Contains(string(payload), want) {
				t.Fatalf("command %d: %s, out of order", commands, payload)
			}
			commands++
			frames = append(frames, r.now)
			continue
		}
		if wait <= 0 || wait > time.Minute+sendSlack {
			t.Fatalf("wait %v with %d commands left", wait, b.Len())
		}
		r.run(min(wait, r.wake.Sub(r.now)))
		count()
	}
	for _, s := range r.sends {
		frames = append(frames, s.at)
	}
	for _, end := range frames {
		n := 0
		for _, at := range frames {
			if d := end.Sub(at); d >= 0 && d < time.Minute {
				n++
			}
		}
		if n > 120 {
			t.Fatalf("%d frames in 60 s, want at most 120", n)
		}
	}
	var beats []time.Time
	for _, s := range r.sends {
		if s.Op == OpHeartbeat {
			beats = append(beats, s.at)
		}
	}
	for i := range beats[1:] {
		if d := beats[i+1].Sub(beats[i]); d != beatEvery {
			t.Errorf("heartbeats %v apart, want %v", d, beatEvery)
		}
	}
	if d := frames[499].Sub(frames[0]); d > 5*time.Minute {
		t.Errorf("500 commands took %v", d)
	}
}

func TestConformance53_five_presences_in_20_s_and_the_newest_wins(t *testing.T) {
	now := time.Now()
	b := openOutbox()
	var sent []sentCommand
	for i := range 100 { // one each second
		mustQueue(t, b, OpPresence, fmt.Sprintf(`{"status":"%d"}`, i))
		at := now.Add(time.Duration(i) * time.Second)
		if payload, _, ok := b.Next(at); ok {
			sent = append(sent, sentCommand{at.Sub(now), string(payload)})
			if !strings.Contains(string(payload), fmt.Sprintf(`"%d"`, i)) {
				t.Errorf("sent %s at second %d, want the newest", payload, i)
			}
		}
	}
	for i := range sent {
		if i >= 5 && sent[i].at-sent[i-5].at < 20*time.Second {
			t.Errorf("6 presences in %v", sent[i].at-sent[i-5].at)
		}
	}
	if len(sent) < 20 {
		t.Errorf("only %d presences in 100 s", len(sent))
	}
	last := b.drainFor(t, now.Add(100*time.Second), time.Minute)
	if len(last) > 1 || len(last) == 1 && !strings.Contains(last[0].body, `"99"`) {
		t.Errorf("after the spam %v, want the newest", last)
	}
}

func TestConformance53_other_commands_do_not_wait_for_presences(t *testing.T) {
	now := time.Now()
	b := openOutbox()
	for i := range 6 {
		mustQueue(t, b, OpPresence, fmt.Sprintf(`{"status":"%d"}`, i))
		b.Next(now)
	}
	mustQueue(t, b, OpVoiceState, `{"guild_id":"1"}`)
	if _, _, ok := b.Next(now); !ok {
		t.Error("a voice state waits for a presence")
	}
	if _, wait, ok := b.Next(now); ok || wait != presenceWindow+sendSlack {
		t.Errorf("%v, wait %v for the sixth presence", ok, wait)
	}
}

func TestConformance54_rate_limited_members_are_asked_again(t *testing.T) {
	now := time.Now()
	b := openOutbox()
	mustQueue(t, b, OpRequestMembers, wholeGuild("1", "N"))
	if sent := b.drainFor(t, now, 0); len(sent) != 1 {
		t.Fatalf("sent %v", sent)
	}
	limited := frameOf(t, `{"op":0,"s":88,"t":"RATE_LIMITED","d":{"opcode":8,"retry_after":12.5,"meta":{"guild_id":"1","nonce":"N"}}}`)
	if !b.RateLimited(now, limited) {
		t.Fatal("not recognised as ours")
	}
	mustQueue(t, b, OpRequestMembers, wholeGuild("2", "other"))
	sent := b.drainFor(t, now, time.Minute)
	if len(sent) != 2 || !strings.Contains(sent[0].body, `"other"`) || sent[0].at != 0 {
		t.Fatalf("sent %v, want the other guild's at once", sent)
	}
	if !strings.Contains(sent[1].body, `"N"`) || sent[1].at < 12500*time.Millisecond || sent[1].at > 14*time.Second {
		t.Errorf("sent %v, want N after 12.5 s", sent[1])
	}
	if b.RateLimited(now, limited); b.Len() != 1 {
		t.Errorf("%d wait, want the request again", b.Len())
	}
}

func TestConformance54_a_guild_is_asked_for_once_in_30_s(t *testing.T) {
	now := time.Now()
	b := openOutbox()
	mustQueue(t, b, OpRequestMembers, wholeGuild("1", "a"))
	mustQueue(t, b, OpRequestMembers, wholeGuild("1", "b"))
	mustQueue(t, b, OpRequestMembers, `{"guild_id":1,"user_ids":["5"],"nonce":"c"}`)
	mustQueue(t, b, OpRequestMembers, `{"guild_id":"1","query":"ad","limit":10,"nonce":"d"}`)
	mustQueue(t, b, OpRequestMembers, wholeGuild("2", "e"))
	sent := b.drainFor(t, now, time.Minute)
	var order string
	for _, s := range sent {
		var p struct{ D struct{ Nonce string } }
		if err := json.Unmarshal([]byte(s.body), &p); err != nil {
			t.Fatal(err)
		}
		order += p.D.Nonce
	}
	if order != "acdeb" || sent[4].at < 30*time.Second {
		t.Errorf("sent %s, the last after %v, want b held for 30 s", order, sent[len(sent)-1].at)
	}
}
