package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// hpub is an event as drover publishes it, in NATS' protocol.
func hpub(id string, shard, padding int) string {
	header := "NATS/1.0\r\nNats-Msg-Id: " + id + "\r\nDrover-Event: TYPING_START\r\n\r\n"
	body := fmt.Sprintf(`{"event_id":"%s","event_type":"typing.start","shard_id":%d,"data":"%s"}`, id, shard, strings.Repeat("\n", padding))
	return fmt.Sprintf("HPUB events.typing.start.1 _INBOX.a.b %d %d\r\n%s%s\r\n", len(header), len(header)+len(body), header, body)
}

func TestTap_writes_down_who_published_what_however_the_bytes_come(t *testing.T) {
	text := `CONNECT {"verbose":false,"name":"PUB events.x 3"}` + "\r\nPING\r\nSUB _INBOX.a.* 1\r\n" +
		hpub("one", 7, 0) + "PUB $KV.drover_leases.pool.1 _INBOX.a.c 5\r\nHPUB \r\n" + hpub("two", 95, 5000) +
		"PUB events.x 0\r\n\r\nPONG\r\n" + strings.Replace(hpub("three", 0, 3), "events.", "commands.", 1)
	for _, size := range []int{1, 2, 7, 100, 1000, len(text)} {
		w := newWiretap()
		see := (&tap{w: w, node: 2}).connection()
		now := time.Now()
		for part := range slices.Chunk([]byte(text), size) {
			see(part, now)
		}
		want := []published{{2, 7, now, "one", false}, {2, 95, now, "two", false}, {2, -1, now, "", false}, {2, 0, now, "three", false}}
		if got := w.all(); !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: got %v, want %v", size, got, want)
		}
		if n := w.unseen([]Stored{{ID: "one"}, {ID: "four"}}); n != 1 {
			t.Errorf("got %d stored events that nobody sent, want 1", n)
		}
	}
}

func TestTap_notes_when_a_lease_was_asked_for_first(t *testing.T) {
	w := newWiretap()
	see := (&tap{w: w}).connection()
	value := `{"version":1,"node":"a","process":"P","attempt":"4"}`
	put := fmt.Sprintf("HPUB $KV.drover_leases.pool.1 _INBOX.a.c 12 %d\r\nNATS/1.0\r\n\r\n%s\r\n", 12+len(value), value)
	see([]byte(put), second(1))
	see([]byte(put), second(2))
	if at := w.claimed(leaseRecord{Process: "P", Attempt: "4"}); !at.Equal(second(1)) {
		t.Errorf("got %v, want the first time", at)
	}
	if at := w.claimed(leaseRecord{Process: "P", Attempt: "5"}); !at.IsZero() {
		t.Errorf("got %v for what nobody asked for", at)
	}
	if len(w.all()) != 0 {
		t.Errorf("got %v, want no event", w.all())
	}
}

func TestTap_tells_what_a_stopped_process_had_in_hand(t *testing.T) {
	w := newWiretap()
	tap := &tap{w: w}
	see := tap.connection()
	see([]byte(hpub("before", 0, 0)), time.Now())
	tap.thaw()
	see([]byte(hpub("hand", 0, 0)+hpub("hand", 0, 0)), time.Now())
	see([]byte(hpub("after", 0, 0)), time.Now())
	tap.thaw()
	see([]byte(hpub("late", 0, 0)), time.Now().Add(2*handTime))
	tap.connection()([]byte(hpub("new", 0, 0)), time.Now()) // a connection made since then is the doing of a process that runs
	for _, p := range w.all() {
		if p.inHand != (p.id == "hand") {
			t.Errorf("%s: got %t for what it had in hand", p.id, p.inHand)
		}
	}
}

// A network that holds something back must not make it look as if it was sent later.
func TestTap_sees_at_once_what_the_network_holds_back(t *testing.T) {
	target, came := echo(t)
	w := newWiretap()
	p, err := newProxy(target, &tap{w: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	c := dial(t, p)
	c.say("PING")
	c.want("PING")
	<-came
	p.hold(both)
	// More than sockets and the proxy's own buffers take.
	const count = 300
	for i := range count {
		c.say(strings.TrimSuffix(hpub(fmt.Sprint(i), 1, 50_000), "\n"))
	}
	deadline := time.After(10 * time.Second)
	for len(w.all()) < count {
		select {
		case <-deadline:
			t.Fatalf("got %d events, want %d while nothing passes", len(w.all()), count)
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case line := <-came:
		t.Fatalf("got %q through a network that is held", line)
	default:
	}
	p.hold(0)
	if line := <-came; !strings.HasPrefix(line, "HPUB events.typing.start.1 ") {
		t.Errorf("got %.40q, want what was held back", line)
	}
	p.cut()
}
