package gateway

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestConformance25_a_drop_resumes_on_the_resume_url(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	wait, url := r.dial()
	mustBetween(t, "dial after", wait, 0, time.Second)
	if url != resumeURL {
		t.Errorf("dial %s, want %s", url, resumeURL)
	}
	r.mustResume(10)
	if r.total(OpIdentify) != 1 {
		t.Errorf("%d IDENTIFYs, want the first one only", r.total(OpIdentify))
	}
}

func TestConformance26_replay_then_resumed(t *testing.T) {
	r := newRig(t)
	track := NewTracker()
	r.serve(10)
	track.Begin(10, nil)
	r.lose(0)
	r.dial()
	r.mustResume(10)
	box := NewOutbox()
	mustQueue(t, box, OpVoiceState, `{"guild_id":"1"}`)
	delivered := 0
	for seq := int64(11); seq <= 20; seq++ { // the first message is not RESUMED, and that is no error
		f := frameOf(t, fmt.Sprintf(`{"op":0,"t":"MESSAGE_CREATE","s":%d,"d":{}}`, seq))
		if v := track.Check(f); v.Dup || v.Gap != 0 {
			t.Fatalf("s=%d: %+v", seq, v)
		}
		track.Accept(f)
		delivered++
		r.event(track.Seq())
		if _, _, ok := box.Next(r.now); ok {
			t.Fatal("a command before RESUMED")
		}
	}
	if r.s.phase != resuming || delivered != 10 {
		t.Fatalf("phase %d, %d delivered", r.s.phase, delivered)
	}
	r.take()
	r.do(r.s.Receive(r.now, frameOf(t, `{"op":0,"t":"RESUMED","s":21,"d":{}}`), r.seen))
	up, _ := find[Up](r.effects)
	if !up.Resumed || up.FromSeq != 10 {
		t.Errorf("up %+v, want resumed from 10", up)
	}
	box.Ready(r.s.Interval(), up.Resumed)
	if _, _, ok := box.Next(r.now); !ok {
		t.Error("the command is still held after RESUMED")
	}
	if seq := r.s.Memory().Resume.Seq; seq != 21 {
		t.Errorf("stored seq %d, want 21", seq)
	}
}

func TestConformance27_a_drop_in_mid_replay_resumes_from_there(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	r.dial()
	r.mustResume(10)
	r.event(15)
	r.lose(0)
	r.dial()
	r.mustResume(15)
}

func TestConformance28_the_sequence_never_goes_back_and_follows_a_jump(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	track := NewTracker()
	track.Begin(10, nil)
	again := frameOf(t, `{"op":0,"t":"MESSAGE_CREATE","s":10,"d":{}}`)
	if v := track.Check(again); !v.Dup {
		t.Errorf("s=10 again: %+v, want a duplicate", v)
	}
	jump := frameOf(t, `{"op":0,"t":"MESSAGE_CREATE","s":13,"d":{}}`)
	if v := track.Check(jump); v.Dup || v.Gap != 2 {
		t.Errorf("jump from 10 to 13: %+v, want a gap of 2", v)
	}
	track.Accept(jump)
	r.event(track.Seq())
	r.run(beatEvery)
	r.event(9) // cannot be, and must not matter
	r.lose(0)
	r.dial()
	r.mustResume(13)
}

func TestConformance29_op_9_false_to_resume_wipes_and_identifies(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	r.dial()
	r.mustResume(10)
	r.invalidated()
}

func TestConformance31_op_9_false_out_of_the_blue(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.run(time.Hour)
	r.invalidated()
}

// invalidated sends op 9 false to a session with seq 10 and asserts all that follows.
func (r *rig) invalidated() {
	r.t.Helper()
	r.take()
	r.recv(OpInvalidSession, "false")
	gap, ok := find[Gap](r.effects)
	if !ok || gap.Seq != 10 || gap.Reason != GapSessionLost || gap.Session != "session1" || gap.From.IsZero() {
		r.t.Errorf("gap %+v", gap)
	}
	if m := r.s.Memory().Resume; m != (ResumePoint{}) {
		r.t.Errorf("still stored: %+v", m)
	}
	wait, url := r.dial()
	mustBetween(r.t, "wait", wait, time.Second, 5*time.Second)
	if url != baseURL {
		r.t.Errorf("dial %s, want %s", url, baseURL)
	}
	r.up()
	r.run(beatEvery)
	if d := r.last(OpHeartbeat)["d"]; d != nil {
		r.t.Errorf("heartbeat d %v before READY, want null", d)
	}
	r.grant()
	r.run(beatEvery)
	if d := r.last(OpHeartbeat)["d"]; d != nil {
		r.t.Errorf("heartbeat d %v before READY, want null", d)
	}
	if n := r.count(OpIdentify); n != 1 {
		r.t.Errorf("%d IDENTIFYs, want 1", n)
	}
	if len(r.fails) != 0 {
		r.t.Errorf("op 9 counted as a failure: %v", r.fails)
	}
}

func TestConformance30_op_9_true_resumes_twice_then_identifies(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	for range 2 {
		r.recv(OpInvalidSession, "true")
		wait, url := r.dial()
		mustBetween(t, "wait", wait, time.Second, 5*time.Second)
		if url != resumeURL {
			t.Errorf("dial %s, want %s", url, resumeURL)
		}
		r.mustResume(10)
	}
	r.recv(OpInvalidSession, "true")
	wait, url := r.dial()
	mustBetween(t, "wait", wait, time.Second, 5*time.Second)
	if url != baseURL {
		t.Errorf("dial %s, want %s", url, baseURL)
	}
	r.mustIdentify()
}

func TestConformance30_a_RESUMED_ends_the_row(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	for seq := int64(10); seq < 15; seq++ {
		r.run(time.Hour)
		r.recv(OpInvalidSession, "true")
		r.dial()
		r.mustResume(seq)
		r.resumed(seq + 1)
	}
}

func TestConformance30_d_that_is_no_boolean_counts_as_false(t *testing.T) {
	for _, d := range []string{`null`, `"true"`, `1`, `{}`, `[true]`} {
		r := newRig(t)
		r.serve(10)
		r.recv(OpInvalidSession, d)
		if r.s.hasSession() {
			t.Errorf("d %s passed for true", d)
		}
	}
}

func TestConformance32_op_7_resumes_within_2_s(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.run(time.Hour)
	r.take()
	r.recv(OpReconnect, "null")
	r.mustClose()
	wait, url := r.dial()
	mustBetween(t, "dial after", wait, 0, 2*time.Second)
	if url != resumeURL {
		t.Errorf("dial %s, want %s", url, resumeURL)
	}
	r.mustResume(10)
}

func TestConformance32_op_7_in_place_of_hello_redials_base(t *testing.T) {
	r := newRig(t)
	r.do(r.s.Dialed(r.now))
	r.recv(OpReconnect, "null")
	if len(r.sends) != 0 {
		t.Errorf("wrote %v on the first socket", r.sends)
	}
	if _, url := r.dial(); url != baseURL {
		t.Errorf("dial %s, want %s", url, baseURL)
	}
	r.mustIdentify()
}

func TestConformance33_three_dial_failures_go_to_base_and_keep_the_session(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	var urls []string
	for range 7 {
		_, url := r.dial()
		urls = append(urls, url)
		r.do(r.s.Lost(r.now, errors.New("no such host"), Seen{}))
	}
	want := []string{resumeURL, resumeURL, resumeURL, baseURL, baseURL, baseURL, resumeURL}
	if fmt.Sprint(urls) != fmt.Sprint(want) {
		t.Errorf("dials %v, want %v", urls, want)
	}
	r.dial()
	r.mustResume(10)
}

func TestConformance33_resume_on_base(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	for range 3 {
		r.dial()
		r.do(r.s.Lost(r.now, errors.New("no such host"), Seen{}))
	}
	if _, url := r.dial(); url != baseURL {
		t.Fatalf("dial %s, want %s", url, baseURL)
	}
	r.mustResume(10)
	r.resumed(11)
	r.lose(0)
	if _, url := r.dial(); url != resumeURL {
		t.Errorf("dial %s after it worked again, want %s", url, resumeURL)
	}
}

func TestConformance33_a_hello_ends_the_row_of_dial_failures(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	fail := func(n int) {
		for range n {
			if _, url := r.dial(); url != resumeURL {
				t.Fatalf("dial %s, want %s", url, resumeURL)
			}
			r.do(r.s.Lost(r.now, errors.New("refused"), Seen{}))
		}
	}
	fail(2)
	r.dial()
	r.mustResume(10)
	r.lose(0)
	fail(2)
	for range 3 { // who says "reconnect" is there
		r.dial()
		r.do(r.s.Dialed(r.now))
		r.recv(OpReconnect, "null")
	}
	fail(1)
}

func TestConformance34_three_resumes_cut_off_end_the_session(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	for _, want := range []string{resumeURL, resumeURL, baseURL} { // the last one where another edge answers
		if _, url := r.dial(); url != want {
			t.Fatalf("dial %s, want %s", url, want)
		}
		r.mustResume(10)
		r.lose(1006)
	}
	if gap, ok := find[Gap](r.effects); !ok || gap.Reason != GapSessionLost {
		t.Errorf("gap %+v", gap)
	}
	if _, url := r.dial(); url != baseURL {
		t.Errorf("dial %s, want %s", url, baseURL)
	}
	r.mustIdentify()
}

func TestConformance34_a_resume_that_got_somewhere_does_not_count(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	for seq := int64(10); seq < 20; seq++ {
		r.dial()
		r.mustResume(seq)
		r.event(seq + 1)
		r.lose(1006)
	}
	r.dial()
	r.mustResume(20)
}

func TestConformance35_silence_after_resume_is_given_up(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	r.dial()
	r.mustResume(10)
	r.run(50 * time.Second)
	r.event(11) // a dispatch starts the wait anew
	r.run(50 * time.Second)
	if r.s.phase != resuming {
		t.Fatal("gave up although the replay goes on")
	}
	r.seen.Blocked = true // what is read waits for room, and the rest is behind it
	r.run(10 * time.Minute)
	if r.s.phase != resuming {
		t.Fatal("gave up although we are the ones not reading")
	}
	r.seen.Blocked = false
	r.take()
	r.run(resumedTimeout)
	r.mustClose()
	if d, _ := find[Down](r.effects); d.Reason != DownResumedTimeout || d.Next != NextResume {
		t.Errorf("down %+v", d)
	}
	r.dial()
	r.mustResume(11)
}

func TestConformance36_another_identity_does_not_resume(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.do(r.s.Drain(r.now, r.seen))
	memory := r.s.Memory()
	same := newRigWith(t, r.o, memory)
	if _, url := same.dial(); url != resumeURL {
		t.Errorf("dial %s, want %s", url, resumeURL)
	}
	same.mustResume(10)
	for name, change := range map[string]func(*SessionOptions){
		"token":   func(o *SessionOptions) { o.Token = "another" },
		"intents": func(o *SessionOptions) { o.Intents = 1 },
		"shards":  func(o *SessionOptions) { o.Shards = 4 },
		"shard":   func(o *SessionOptions) { o.ShardID = 0 },
	} {
		o := r.o
		change(&o)
		other := newRigWith(t, o, memory)
		if gap, ok := find[Gap](other.effects); !ok || gap.Reason != GapIdentityChanged || gap.Seq != 10 {
			t.Errorf("%s: gap %+v", name, gap)
		}
		if _, url := other.dial(); url != baseURL {
			t.Errorf("%s: dial %s, want %s", name, url, baseURL)
		}
		other.mustIdentify()
	}
}

func TestSessionThatIsTooOldIsNotResumed(t *testing.T) {
	for away, want := range map[time.Duration]string{14 * time.Minute: resumeURL, 16 * time.Minute: baseURL} {
		r := newRig(t)
		r.serve(10)
		r.do(r.s.Drain(r.now, r.seen))
		memory := r.s.Memory()
		memory.Contact = memory.Contact.Add(-away)
		again := newRigWith(t, r.o, memory)
		if _, url := again.dial(); url != want {
			t.Errorf("%v after the last contact: dial %s, want %s", away, url, want)
		}
		if has[Gap](again.effects) != (want == baseURL) {
			t.Errorf("%v after the last contact: effects %v", away, again.effects)
		}
	}
}

func TestSessionDoesNotTrustAClockThatWasSetBack(t *testing.T) {
	r := newRig(t)
	memory := r.s.Memory()
	memory.Open, memory.NotBefore = false, r.now.Add(24*time.Hour)
	again := newRigWith(t, r.o, memory)
	wait, _ := again.dial()
	mustBetween(t, "dial after", wait, 0, identifyCap)
}

func TestSessionThatBecomesTooOldWhileDialsFailIsNotResumed(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.lose(0)
	from := r.now
	for r.s.hasSession() {
		r.dial()
		if r.s.hasSession() {
			r.do(r.s.Lost(r.now, errors.New("no such host"), Seen{}))
		}
	}
	mustBetween(t, "session given up after", r.now.Sub(from), SessionLife, SessionLife+dialCap)
	if gap, _ := find[Gap](r.effects); gap.Reason != GapSessionExpired {
		t.Errorf("gap %+v", gap)
	}
}

func TestConformance38_late_news_of_the_old_socket_changes_nothing(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.recv(OpReconnect, "null")
	before := r.s.Memory()
	r.lose(1000) // the echo of our close, although it is not to be told
	r.lose(4004)
	if r.halted || r.s.Memory() != before || len(r.fails) != 0 {
		t.Fatal("the close table was run on an echo")
	}
	r.dial()
	r.mustResume(10)
	r.resumed(11)
	if r.s.phase != serving {
		t.Error("the new connection does not serve")
	}
}
