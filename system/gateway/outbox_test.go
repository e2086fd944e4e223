package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestOutboxRefusesWhatDiscordWouldRefuse(t *testing.T) {
	ids := strings.TrimSuffix(strings.Repeat(`"1",`, 101), ",")
	tests := []struct {
		name string
		op   int
		body string
		want error
	}{
		{"identify", OpIdentify, `{}`, ErrCommand},
		{"heartbeat", OpHeartbeat, `{}`, ErrCommand},
		{"unknown op", 99, `{}`, ErrCommand},
		{"no body", OpVoiceState, ``, ErrCommand},
		{"no object", OpVoiceState, `[1]`, ErrCommand},
		{"cut off", OpVoiceState, `{"guild_id":`, ErrCommand},
		{"two values", OpVoiceState, `{} {}`, ErrCommand},
		{"no guild", OpRequestMembers, `{"query":"","limit":0}`, ErrCommand},
		{"neither", OpRequestMembers, `{"guild_id":"1"}`, ErrCommand},
		{"both", OpRequestMembers, `{"guild_id":"1","query":"","user_ids":["2"]}`, ErrCommand},
		{"too many users", OpRequestMembers, `{"guild_id":"1","user_ids":[` + ids + `]}`, ErrCommand},
		{"long nonce", OpRequestMembers, `{"guild_id":"1","query":"","nonce":"` + strings.Repeat("n", 33) + `"}`, ErrCommand},
		{"one user", OpRequestMembers, `{"guild_id":"1","user_ids":"2"}`, nil},
		{"whole guild", OpRequestMembers, `{"guild_id":1,"query":"","limit":0}`, nil},
		{"presence", OpPresence, ` {"status":"idle"} `, nil},
		{"sounds", OpRequestSounds, `{"guild_ids":["1"]}`, nil},
		{"channel info", OpRequestChannel, `{"guild_id":"1","fields":["status"]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := openOutbox()
			err := b.Queue(Command{Op: tt.op, Body: json.RawMessage(tt.body)})
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			payload, _, ok := b.Next(time.Now())
			if ok != (tt.want == nil) || ok && !json.Valid(payload) {
				t.Errorf("sent %v %s", ok, payload)
			}
		})
	}
}

func TestOutboxSaysWhenItIsFull(t *testing.T) {
	b := NewOutbox()
	for i := range maxQueued {
		mustQueue(t, b, OpVoiceState, fmt.Sprintf(`{"guild_id":"%d"}`, i))
	}
	if err := b.Queue(Command{Op: OpVoiceState, Body: json.RawMessage(`{}`)}); !errors.Is(err, ErrOutboxFull) {
		t.Errorf("got %v, want ErrOutboxFull", err)
	}
	mustQueue(t, b, OpPresence, `{"status":"idle"}`) // takes the place of the one before it
	if b.Len() != maxQueued+1 {
		t.Errorf("%d wait, want %d", b.Len(), maxQueued+1)
	}
}

func TestOutboxHoldsCommandsBetweenConnections(t *testing.T) {
	now := time.Now()
	b := openOutbox()
	for i := range 200 {
		mustQueue(t, b, OpVoiceState, fmt.Sprintf(`{"guild_id":"%d"}`, i))
	}
	first := b.drainFor(t, now, 0)
	if len(first) != sendCommand {
		t.Fatalf("%d sent at once, want %d", len(first), sendCommand)
	}
	b.Unsent() // the last one broke the connection
	b.Reset()
	if _, wait, ok := b.Next(now); ok || wait != 0 {
		t.Fatal("a command between two connections")
	}
	b.Sent(now) // RESUME
	b.Ready(beatEvery, true)
	second := b.drainFor(t, now, 0)
	if len(second) != 200-sendCommand+1 || second[0].body != first[sendCommand-1].body {
		t.Errorf("%d sent on the new connection, the first %v", len(second), second[0])
	}
}

func TestOutboxTellsANewSessionThePresence(t *testing.T) {
	now := time.Now()
	b := openOutbox()
	mustQueue(t, b, OpPresence, `{"status":"idle"}`)
	b.drainFor(t, now, 0)
	b.Reset()
	b.Ready(beatEvery, true)
	if _, _, ok := b.Next(now); ok {
		t.Error("presence sent again after RESUMED")
	}
	b.Reset()
	b.Ready(beatEvery, false)
	if payload, _, ok := b.Next(now); !ok || !strings.Contains(string(payload), "idle") {
		t.Error("presence not sent again after READY")
	}
}

func TestSendLimitKeepsRoomForFastHeartbeats(t *testing.T) {
	now := time.Now()
	tests := []struct {
		interval time.Duration
		want     int // commands at once
	}{
		{0, 115},
		{41250 * time.Millisecond, 115},
		{20 * time.Second, 115},
		{10 * time.Second, 113},
		{time.Second, 59},
		{time.Millisecond, 1},
	}
	for _, tt := range tests {
		var l SendLimit
		l.Reserve(tt.interval)
		n := 0
		for ; l.Wait(now) == 0; n++ {
			l.Sent(now)
		}
		if n != tt.want {
			t.Errorf("interval %v: got %d commands, want %d", tt.interval, n, tt.want)
		}
		if wait := l.Wait(now.Add(time.Second)); wait != 59*time.Second+sendSlack {
			t.Errorf("interval %v: wait %v after a second", tt.interval, wait)
		}
	}
}
