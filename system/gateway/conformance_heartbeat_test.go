package gateway

import (
	"testing"
	"time"
	"unsafe"
)

func TestConformance03_first_heartbeats_spread_evenly(t *testing.T) {
	const connections, parts = 1000, 10
	var counts [parts]int
	o := shardOptions()
	for range connections {
		r := newRigWith(t, o, Memory{})
		r.up()
		hello := r.now
		r.run(4 * beatEvery)
		beats := r.sends
		first := beats[0].at.Sub(hello)
		mustBetween(t, "first heartbeat after", first, 0, beatEvery-1)
		counts[int(first*parts/beatEvery)]++
		for i := range beats[1:] {
			mustBetween(t, "heartbeats apart", beats[i+1].at.Sub(beats[i].at), beatEvery*98/100, beatEvery*102/100)
		}
	}
	for i, n := range counts { // 100 expected in each, standard deviation 9.5
		if n < 60 || n > 140 {
			t.Errorf("%d first heartbeats in part %d of the interval, want about %d", n, i, connections/parts)
		}
	}
}

func TestConformance04_heartbeat_carries_the_newest_sequence(t *testing.T) {
	r := newRig(t)
	r.up()
	r.run(beatEvery)
	if d := r.last(OpHeartbeat)["d"]; d != nil {
		t.Errorf("d before any dispatch %v, want null", d)
	}
	r.grant()
	r.ready()
	r.event(42)
	r.run(beatEvery)
	if d := r.last(OpHeartbeat)["d"]; d != 42.0 {
		t.Errorf("d %v, want 42", d)
	}
	r.recv(OpHeartbeatACK, "null") // s is null in both
	r.hello()
	r.run(beatEvery)
	if d := r.last(OpHeartbeat)["d"]; d != 42.0 {
		t.Errorf("d after op 11 and op 10 %v, want 42", d)
	}
}

func TestConformance05_op_1_is_answered_at_once(t *testing.T) {
	r := newRig(t)
	r.serve(42)
	before := r.count(OpHeartbeat)
	r.recv(OpHeartbeat, "null")
	if n := r.count(OpHeartbeat) - before; n != 1 {
		t.Fatalf("%d op 1 in answer, want 1", n)
	}
	if d := r.last(OpHeartbeat)["d"]; d != 42.0 {
		t.Errorf("d %v, want 42", d)
	}
	if n := r.total(OpHeartbeatACK); n != 0 {
		t.Errorf("%d op 11 sent, want none", n)
	}
}

func TestConformance05_an_answer_to_op_1_is_not_judged_early(t *testing.T) {
	r := newRig(t)
	r.serve(42)
	r.run(2 * beatEvery) // at least one beat is acknowledged
	dials := len(r.dials)
	r.run(r.s.pulse.due.Sub(r.now) - time.Second)
	r.mute = true
	r.recv(OpHeartbeat, "null") // one second before the next beat, never answered
	r.run(time.Second)
	if r.s.phase != serving {
		t.Fatalf("judged after a second")
	}
	r.run(beatEvery)
	if r.s.phase == serving || len(r.dials) == dials && r.s.phase != waiting {
		t.Errorf("a full interval of silence passed for life")
	}
}

func TestConformance06_a_zombie_is_closed_and_resumed(t *testing.T) {
	r := newRig(t)
	r.serve(42)
	r.run(2 * beatEvery)
	r.mute = true
	r.run(r.s.pulse.due.Sub(r.now)) // this one goes unanswered
	r.take()
	r.run(beatEvery)
	r.mustClose()
	if d, _ := find[Down](r.effects); d.Reason != DownZombie || d.Next != NextResume {
		t.Errorf("down %+v, want zombie, resume", d)
	}
	_, url := r.dial()
	if url != resumeURL {
		t.Errorf("dial %s, want %s", url, resumeURL)
	}
	r.mustResume(42)
}

func TestConformance06_any_message_is_life_but_missing_acks_raise_an_alarm(t *testing.T) {
	r := newRig(t)
	r.serve(1)
	r.run(2 * beatEvery)
	r.mute = true
	r.take()
	for seq := int64(2); seq < 8; seq++ {
		r.run(beatEvery / 2)
		r.event(seq)
	}
	if r.s.phase != serving {
		t.Fatal("dead, though dispatches come")
	}
	alarms := 0
	for _, e := range r.effects {
		if _, ok := e.(Alarm); ok {
			alarms++
		}
	}
	if alarms != 1 {
		t.Errorf("%d alarms for missing op 11, want 1", alarms)
	}
}

func TestConformance07_a_zombie_is_replaced_within_2_s(t *testing.T) {
	for range 100 {
		r := newRig(t)
		r.serve(42)
		r.run(3 * time.Minute)
		r.mute = true
		for r.s.phase == serving {
			r.run(r.wake.Sub(r.now))
		}
		wait, _ := r.dial() // nothing was heard of the old connection
		mustBetween(t, "dial after", wait, 0, time.Second)
	}
}

func TestConformance08_a_new_connection_is_judged_on_its_own_acks(t *testing.T) {
	r := newRig(t)
	r.serve(42)
	r.run(2 * beatEvery)
	r.mute = true
	for r.s.phase == serving {
		r.run(r.wake.Sub(r.now))
	}
	r.dial()
	r.mute = false
	r.mustResume(42)
	r.resumed(43)
	dials := len(r.dials)
	r.run(20 * beatEvery)
	if len(r.dials) != dials || r.s.phase != serving {
		t.Errorf("%d dials after the new HELLO, want none", len(r.dials)-dials)
	}
	if n := r.count(OpHeartbeat); n < 19 || n > 21 {
		t.Errorf("%d heartbeats in 20 intervals", n)
	}
}

func TestConformance09_heartbeats_go_on_while_the_permit_takes_10_min(t *testing.T) {
	r := newRig(t)
	r.up()
	r.run(10 * time.Minute)
	if n := r.count(OpHeartbeat); n < 14 || n > 16 {
		t.Errorf("%d heartbeats in 10 min, want 15", n)
	}
	if r.s.phase != queueing {
		t.Fatal("gave up waiting for the permit")
	}
	r.mute = true
	r.take()
	r.run(2 * beatEvery)
	if d, ok := find[Down](r.effects); !ok || d.Reason != DownZombie {
		t.Error("missing ACKs passed while waiting for the permit")
	}
	if !has[DropPermit](r.effects) {
		t.Error("still asking for a permit without a connection")
	}
}

func TestConformance10_a_blocked_reader_is_no_zombie(t *testing.T) {
	r := newRig(t)
	r.serve(42)
	r.run(2 * beatEvery)
	before := len(r.sends)
	r.mute, r.seen.Blocked = true, true // nothing is read, although the server answers
	from := r.now
	r.run(3 * beatEvery)
	if r.s.phase != serving {
		t.Fatal("dead, though we are the ones not reading")
	}
	beats := r.sends[before:]
	if len(beats) != 3 {
		t.Fatalf("%d heartbeats in 3 intervals", len(beats))
	}
	for i, b := range beats {
		mustBetween(t, "heartbeat at", b.at.Sub(from), time.Duration(i)*beatEvery, time.Duration(i+1)*beatEvery)
	}
	r.seen.Blocked = false
	r.run(beatEvery) // the reader has a full interval to catch up
	if r.s.phase != serving {
		t.Fatal("judged by the interval in which the reader was blocked")
	}
	r.run(beatEvery)
	if r.s.phase == serving {
		t.Error("a full interval of silence with a free reader passed for life")
	}
}

func TestConformance11_a_clock_jump_is_a_dead_connection(t *testing.T) {
	for name, jump := range map[string]func(time.Time, time.Duration) time.Time{
		"both clocks": time.Time.Add,
		"wall only":   addWall,
		"set back":    func(at time.Time, d time.Duration) time.Time { return addWall(at.Add(d), -d) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.serve(42)
			r.run(2 * beatEvery)
			r.take()
			rest := r.wake.Sub(r.now) // the timer goes on after the sleep
			mustBetween(t, "Tick after waking", rest, 0, beatEvery/4)
			r.now = jump(r.now, 5*beatEvery).Add(rest)
			r.do(r.s.Tick(r.now, r.seen))
			if d, _ := find[Down](r.effects); d.Reason != DownClockJump {
				t.Fatalf("down %+v, want clock jump", d)
			}
			r.mustClose()
			wait, url := r.dial()
			mustBetween(t, "dial after", wait, 0, time.Second)
			if url != resumeURL {
				t.Errorf("dial %s, want %s", url, resumeURL)
			}
			r.mustResume(42)
		})
	}
}

func TestConformance12_no_hello_in_20_s_redials_with_the_same_plan(t *testing.T) {
	r := newRig(t)
	r.do(r.s.Dialed(r.now))
	r.run(20*time.Second - 1)
	if has[Close](r.effects) {
		t.Fatal("closed before 20 s")
	}
	r.run(1)
	r.mustClose()
	if _, url := r.dial(); url != baseURL {
		t.Errorf("dial %s, want %s", url, baseURL)
	}
	r.serve(42)
	r.run(time.Hour)
	r.lose(0)
	r.dial()
	r.do(r.s.Dialed(r.now))
	r.run(20 * time.Second)
	if _, url := r.dial(); url != resumeURL {
		t.Errorf("dial %s, want %s", url, resumeURL)
	}
	r.mustResume(42)
}

// addWall moves the wall clock and leaves the monotonic one, as a suspended Linux machine does.
// There is no other way to make such a time: wall holds seconds above 30 bits of nanoseconds.
func addWall(at time.Time, d time.Duration) time.Time {
	type layout struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}
	(*layout)(unsafe.Pointer(&at)).wall += uint64(d/time.Second) << 30 // wraps for d < 0, as it should
	return at
}
