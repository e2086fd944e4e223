package gateway

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestConformance13_exactly_one_identify_and_nothing_else(t *testing.T) {
	r := newRig(t)
	r.mustIdentify()
	d := r.last(OpIdentify)
	if d["token"] != "secret.token" || d["intents"] != 3.0 || !reflect.DeepEqual(d["shard"], []any{1.0, 2.0}) {
		t.Errorf("IDENTIFY %v", d)
	}
	if p, _ := d["properties"].(map[string]any); p["os"] == nil || p["browser"] == nil || p["device"] == nil {
		t.Errorf("properties %v", d["properties"])
	}
	r.grant() // a second grant must not lead to a second IDENTIFY
	r.hello()
	r.run(100 * time.Second)
	for _, s := range r.sends {
		if s.Op != OpHeartbeat && s.Op != OpIdentify {
			t.Errorf("op %d before READY", s.Op)
		}
	}
	if n := r.count(OpIdentify); n != 1 {
		t.Errorf("%d IDENTIFYs, want 1", n)
	}
}

func TestConformance13_presence_is_in_every_identify(t *testing.T) {
	o := shardOptions()
	o.Presence = json.RawMessage(`{"since":null,"activities":[],"status":"idle","afk":false}`)
	r := newRigWith(t, o, Memory{})
	for range 2 {
		r.mustIdentify()
		if p, _ := r.last(OpIdentify)["presence"].(map[string]any); p["status"] != "idle" {
			t.Errorf("presence %v", p)
		}
		r.recv(OpInvalidSession, "false")
		r.dial()
	}
}

func TestConformance14_ready_is_stored_and_the_old_sequence_is_gone(t *testing.T) {
	r := newRig(t)
	r.serve(1337)
	r.recv(OpInvalidSession, "false")
	r.dial()
	r.mustIdentify()
	r.ready()
	got := r.s.Memory().Resume
	got.Fingerprint = ""
	if want := (ResumePoint{SessionID: "session2", URL: "wss://resume.example", Seq: 1}); got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
}

func TestConformance14_ready_of_another_shard_is_an_error(t *testing.T) {
	r := newRig(t)
	r.mustIdentify()
	r.take()
	r.readyFor(`[0,2]`)
	r.mustClose()
	if has[Up](r.effects) || len(r.fails) != 1 || r.s.hasSession() {
		t.Errorf("served a session of another shard: fails %v", r.fails)
	}
	if !has[PermitDone](r.effects) {
		t.Error("the permit's key is blocked")
	}
	r.dial()
	r.mustIdentify()
}

func TestConformance14_ready_that_nobody_asked_for_ends_the_session(t *testing.T) {
	r := newRig(t)
	r.serve(10)
	r.take()
	r.ready() // what the reader tracks from here on belongs to no session that we could resume
	r.mustClose()
	if !has[Gap](r.effects) || len(r.fails) != 1 {
		t.Errorf("effects %v, fails %v", r.effects, r.fails)
	}
	r.dial()
	r.mustIdentify()
}

func TestConformance15_a_late_ready_brings_no_second_identify(t *testing.T) {
	r := newRig(t)
	r.mustIdentify()
	r.run(90 * time.Second)
	if r.total(OpIdentify) != 1 || r.s.phase != identifying {
		t.Fatal("gave up before 90 s")
	}
	r.ready()
	if r.s.phase != serving {
		t.Error("READY after 90 s was not taken")
	}
}

func TestConformance15_ready_that_never_comes_is_given_up(t *testing.T) {
	r := newRig(t)
	r.mustIdentify()
	r.take()
	r.run(readyTimeout)
	r.mustClose()
	if d, _ := find[Down](r.effects); d.Reason != DownReadyTimeout || d.Next != NextIdentify {
		t.Errorf("down %+v", d)
	}
}

func TestConformance18_a_permit_is_spent_by_the_write_and_not_before(t *testing.T) {
	r := newRig(t)
	r.up()
	r.take()
	r.lose(0) // before the permit has led to a write
	if !has[DropPermit](r.effects) || has[PermitSpent](r.effects) || has[PermitDone](r.effects) {
		t.Errorf("effects %v, want the permit back", r.effects)
	}
	r.take()
	r.do(r.s.Granted(r.now)) // it crossed the DropPermit
	if _, ok := r.effects[0].(DropPermit); !ok || r.total(OpIdentify) != 0 {
		t.Errorf("effects %v, want the permit back", r.effects)
	}
	r.dial()
	r.up()
	r.take()
	r.grant()
	if _, ok := r.effects[0].(PermitSpent); !ok {
		t.Errorf("effects %v, want PermitSpent before the write", r.effects)
	}
	if s, ok := r.effects[1].(Send); !ok || s.Op != OpIdentify {
		t.Errorf("effects %v, want the IDENTIFY right after PermitSpent", r.effects)
	}
	r.take()
	r.lose(0)
	if !has[PermitDone](r.effects) || has[DropPermit](r.effects) {
		t.Errorf("effects %v, want the permit to count as used", r.effects)
	}
}

func TestConformance20_a_resume_needs_no_permit_while_identifies_wait(t *testing.T) {
	r := newRig(t)
	r.up()
	r.run(time.Minute) // the budget is spent: no grant comes
	if r.total(OpIdentify) != 0 {
		t.Fatal("IDENTIFY without a permit")
	}
	r.grant()
	r.ready()
	r.lose(0)
	r.dial()
	r.mustResume(1) // at once, and asks for nothing
}

func TestConformance22_op_9_to_each_identify_for_a_day_stays_under_500(t *testing.T) {
	for seed := range 10 {
		r := newRig(t)
		for range seed {
			r.o.Rand()
		}
		end := r.now.Add(24 * time.Hour)
		for r.now.Before(end) {
			r.mustIdentify()
			wait := r.now
			r.recv(OpInvalidSession, "false")
			r.dial()
			mustBetween(t, "wait", r.now.Sub(wait), time.Second, identifyCap)
			r.effects, r.sends = nil, r.sends[max(0, len(r.sends)-1):]
		}
		if n := len(r.dials); n >= 500 || n < 100 {
			t.Errorf("%d IDENTIFYs in 24 h, want under 500", n)
		}
	}
}

func TestConformance22_sessions_that_die_at_once_and_crashes_back_off_as_well(t *testing.T) {
	for name, end := range map[string]func(*rig){
		"4009 after READY":    func(r *rig) { r.ready(); r.lose(4009) },
		"1006 after IDENTIFY": func(r *rig) { r.lose(1006) },
		"crash after IDENTIFY": func(r *rig) {
			r.s = OpenSession(r.o, r.s.Memory())
			r.do(r.s.Start(r.now))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			end24 := r.now.Add(24 * time.Hour)
			for r.now.Before(end24) {
				r.mustIdentify()
				end(r)
				r.dial()
				r.effects, r.sends = nil, nil
			}
			if n := len(r.dials); n >= 500 {
				t.Errorf("%d IDENTIFYs in 24 h, want under 500", n)
			}
		})
	}
}

func TestConformance60_no_error_or_alarm_tells_the_token(t *testing.T) {
	r := newRig(t)
	for _, code := range everyCode() {
		if r.halted {
			r = newRig(t)
		}
		r.dial()
		r.up()
		r.grant()
		r.ready()
		r.lose(code)
	}
	for _, e := range r.effects {
		switch e := e.(type) {
		case Alarm:
			mustNotContain(t, "alarm", e.Text, "secret")
		case Fail:
			mustNotContain(t, "error", e.Err.Error(), "secret")
		case Close:
			mustNotContain(t, "close", e.Reason, "secret")
		}
	}
	if strings.Contains(r.s.Memory().Resume.Fingerprint, "secret") {
		t.Error("fingerprint tells the token")
	}
}
