package gateway

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// everyCode is every close code that the tables must know, and some that nobody knows.
func everyCode() (codes []int) {
	codes = append(codes, 0)
	for code := 1000; code <= 1015; code++ {
		codes = append(codes, code)
	}
	codes = append(codes, 3000)
	for code := 4000; code <= 4016; code++ {
		codes = append(codes, code)
	}
	return append(codes, 4999)
}

var (
	fatalCodes      = []int{4004, 4010, 4011, 4012, 4013, 4014}
	newSessionCodes = []int{4001, 4003, 4005, 4006, 4007, 4009}
)

func TestConformance39_fatal_codes_stop_the_shard(t *testing.T) {
	walkCodes(t, func(c Class) bool { return c.Fatal() }, len(fatalCodes))
}

func TestConformance40_codes_that_end_the_session(t *testing.T) {
	walkCodes(t, func(c Class) bool { return c == NewSession }, len(newSessionCodes))
}

func TestConformance41_all_other_codes_resume(t *testing.T) {
	walkCodes(t, func(c Class) bool { return c == Resume }, len(everyCode())-len(fatalCodes)-len(newSessionCodes))
}

// walkCodes walks all close codes of some classes: what follows on a connection that serves, on one
// that waits for READY, and on one that waits for HELLO.
func walkCodes(t *testing.T, of func(Class) bool, want int) {
	for _, code := range everyCode() {
		fatal, drops := slices.Contains(fatalCodes, code), slices.Contains(newSessionCodes, code)
		class := Resume
		switch {
		case code == 4010, code == 4011:
			class = FatalShard
		case fatal:
			class = FatalBot
		case drops:
			class = NewSession
		}
		if got := ClassOf(code); got != class {
			t.Errorf("%d: class %v, want %v", code, got, class)
		}
		if !of(class) {
			continue
		}
		want--

		r := newRig(t)
		r.serve(10)
		r.lose(code)
		r.mustFollow(code, fatal, !drops)

		r = newRig(t)
		r.mustIdentify()
		r.lose(code)
		r.mustFollow(code, fatal, false)

		r = newRig(t)
		r.do(r.s.Dialed(r.now))
		r.lose(code)
		r.mustFollow(code, fatal, false)
	}
	if want != 0 {
		t.Errorf("%d codes were not walked", want)
	}
}

// mustFollow asserts what comes after the close code.
func (r *rig) mustFollow(code int, fatal, resumes bool) {
	r.t.Helper()
	down, _ := find[Down](r.effects)
	if fatal {
		var closed *CloseError
		if !r.halted || !errors.As(r.fails[0], &closed) || closed.Code != code || closed.Remedy() == "" {
			r.t.Errorf("%d: halted %v, fails %v", code, r.halted, r.fails)
		}
		if down.Next != NextStop || down.CloseCode != code || !r.wake.IsZero() || r.s.State() != "halted" {
			r.t.Errorf("%d: down %+v, wake %v", code, down, r.wake)
		}
		dials := len(r.dials)
		r.run(time.Hour)
		if r.do(r.s.Start(r.now)); len(r.dials) != dials {
			r.t.Errorf("%d: dialled again", code)
		}
		return
	}
	if len(r.fails) != 0 {
		r.t.Errorf("%d: the first loss failed: %v", code, r.fails)
	}
	_, url := r.dial()
	if resumes {
		if down.Next != NextResume || url != resumeURL {
			r.t.Errorf("%d: %+v, dial %s, want a RESUME", code, down, url)
		}
		r.mustResume(10)
		return
	}
	if down.Next != NextIdentify || url != baseURL {
		r.t.Errorf("%d: %+v, dial %s, want an IDENTIFY", code, down, url)
	}
	r.mustIdentify()
}

func TestConformance39_4011_raises_reshard_and_4014_names_the_intents(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(4011)
	if a, ok := find[Alarm](r.effects); !ok || a.Text[:7] != "reshard" {
		t.Errorf("alarm %+v", a)
	}
	r = newRig(t)
	r.serve(10)
	r.lose(4014)
	var closed *CloseError
	if !errors.As(r.fails[0], &closed) || closed.Intents.Privileged() == nil {
		t.Errorf("%v does not know the privileged intents", r.fails[0])
	}
}

func TestConformance41_an_unknown_code_is_resumed_three_times(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(4999)
	for range 3 {
		r.dial()
		r.mustResume(10)
		r.lose(4999)
	}
	if _, url := r.dial(); url != baseURL {
		t.Errorf("dial %s, want %s", url, baseURL)
	}
	r.mustIdentify()
}

func TestConformance42_1000_from_the_server_is_resumed_once(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(1000)
	r.dial()
	r.mustResume(10)
	r.recv(OpInvalidSession, "false")
	_, url := r.dial()
	if url != baseURL {
		t.Errorf("dial %s, want %s", url, baseURL)
	}
	r.mustIdentify()
	r.ready()
	r.event(10)

	r.lose(1000)
	r.dial()
	r.mustResume(10)
	r.lose(1000)
	r.dial()
	r.mustIdentify()
}

func TestConformance42_a_RESUMED_in_between_allows_another_RESUME(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	for seq := int64(10); seq < 13; seq++ {
		r.run(time.Hour)
		r.lose(1000)
		r.dial()
		r.mustResume(seq)
		r.resumed(seq + 1)
	}
}

func TestConformance43_4008_waits_5_s(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.run(time.Hour)
	r.lose(4008)
	wait, url := r.dial()
	mustBetween(t, "wait", wait, 5*time.Second, 6*time.Second)
	if url != resumeURL {
		t.Errorf("dial %s, want %s", url, resumeURL)
	}
	r.mustResume(10)
	r.lose(4008) // a Fail: the new Session must wait as well
	if len(r.fails) != 1 {
		t.Fatalf("fails %v, want one", r.fails)
	}
	wait, _ = r.dial()
	mustBetween(t, "wait", wait, 5*time.Second, 10*time.Second)
	var box SendLimit
	for range sendTotal {
		box.Sent(r.now)
	}
	if box = (SendLimit{}); box.Wait(r.now) != 0 {
		t.Error("a new connection's window is not empty")
	}
}

func TestConformance45_an_end_closes_with_1000_and_forgets(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.take()
	r.do(r.s.End(r.now, r.seen))
	if c, _ := find[Close](r.effects); c.Code != 1000 {
		t.Errorf("close %+v, want 1000", c)
	}
	if r.s.Memory() != (Memory{}) {
		t.Errorf("memory %+v, want none", r.s.Memory())
	}
	r.mustStay()
	if r.s.Memory() != (Memory{}) {
		t.Errorf("memory %+v after the echo, want none", r.s.Memory())
	}
}

func TestConformance45_a_drain_closes_with_4000_and_keeps_the_session(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.event(12) // accepted since the last input
	r.take()
	r.do(r.s.Drain(r.now, r.seen))
	if c, _ := find[Close](r.effects); c.Code != 4000 {
		t.Errorf("close %+v, want 4000", c)
	}
	if seq := r.s.Memory().Resume.Seq; seq != 12 {
		t.Errorf("kept seq %d, want 12", seq)
	}
	r.mustStay()
	next := newRigWith(t, r.o, r.s.Memory())
	next.dial()
	next.mustResume(12)
}

// mustStay asserts that the echo of our close and whatever else comes late starts nothing.
func (r *rig) mustStay() {
	r.t.Helper()
	dials, sends := len(r.dials), len(r.sends)
	r.lose(1000)
	r.lose(4004)
	r.recv(OpHeartbeat, "null")
	r.recv(OpReconnect, "null")
	r.recv(OpInvalidSession, "false")
	r.do(r.s.Granted(r.now))
	r.run(time.Hour)
	r.do(r.s.Tick(r.now, r.seen))
	if len(r.dials) != dials || len(r.sends) != sends || !r.wake.IsZero() || len(r.fails) != 0 {
		r.t.Errorf("goes on: %d dials, %d sends, wake %v, fails %v", len(r.dials)-dials, len(r.sends)-sends, r.wake, r.fails)
	}
}

func TestConformance45_a_drain_at_any_moment_gives_back_the_permit(t *testing.T) {
	r := newRig(t)
	r.do(r.s.Drain(r.now, r.seen))
	if !has[Close](r.effects) {
		t.Error("the dial under way goes on")
	}
	r.take()
	r.do(r.s.Dialed(r.now))
	if !has[Close](r.effects) {
		t.Error("a connection that came too late stays open")
	}
	r = newRig(t)
	r.up()
	r.do(r.s.Drain(r.now, r.seen))
	if !has[DropPermit](r.effects) {
		t.Error("still asks for a permit")
	}
	r = newRig(t)
	r.mustIdentify()
	r.do(r.s.Drain(r.now, r.seen))
	if !has[PermitDone](r.effects) {
		t.Error("the permit's key is blocked")
	}
}
