package stream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRefusals_are_kept_as_long_as_they_stand(t *testing.T) {
	now := time.Now()
	var r refusals
	for _, c := range []struct {
		text string
		want RefusedError
		none bool
	}{
		{text: `nats: permissions violation: Permissions Violation for Publish to "events.a.b"`, want: RefusedError{Subject: "events.a.b"}},
		{text: `permissions violation for subscription to "a.>" using queue "q"`, want: RefusedError{Subscribe: true, Subject: "a.>"}},
		{text: `Permissions Violation for Publish with Reply of "_INBOX.x"`, want: RefusedError{Subject: "_INBOX.x"}},
		{text: "nats: slow consumer, messages dropped", none: true},
		{text: "Permissions Violation", none: true},
	} {
		got, news := r.note(c.text, now)
		if c.none != (got == nil) || got != nil && (*got != c.want || !news) {
			t.Errorf("%s: got %v, news %t", c.text, got, news)
		}
		if _, again := r.note(c.text, now); again {
			t.Errorf("%s: got it as news twice", c.text)
		}
	}
	if all := r.standing(now); len(all) != 3 || !all[0].Subscribe || all[1].Subject != "_INBOX.x" {
		t.Errorf("got %v, want three, the subscription first", all)
	}
	if all := r.standing(now.Add(refusalLife + time.Second)); len(all) != 1 || !all[0].Subscribe {
		t.Errorf("got %v a while later, want the subscription, which nobody tries again", all)
	}
	for i := range 3 * maxRefusals {
		_, _ = r.note(fmt.Sprintf("Permissions Violation for Publish to %q", fmt.Sprint("events.", i)), now)
	}
	if all := r.standing(now); len(all) != maxRefusals {
		t.Errorf("got %d kept, want %d", len(all), maxRefusals)
	}
	r.clear()
	if all := r.standing(now); len(all) != 0 {
		t.Errorf("got %v on another connection, want nothing", all)
	}
}

// The server says what it refuses, and nobody else does: what was asked for is just never answered.
func TestConnect_tells_what_this_user_may_not(t *testing.T) {
	conf := `authorization { users: [ { user: u, password: p, permissions: {
		publish: { allow: [ "$JS.API.STREAM.INFO.EVENTS" ] }, subscribe: { allow: [ "_INBOX.ours.>" ] } } } ] }`
	d := startNATS(t, "-js", "-sd", t.TempDir(), "-c", writeFile(t, "nats.conf", conf))
	told := make(chan *RefusedError, 10)
	o := Options{URL: "nats://" + d.addr, User: "u", Password: "p", Inbox: "_INBOX.ours"}
	o.Hooks.Refused = func(e *RefusedError) { told <- e }
	b := connect(t, o)
	if err := b.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is no news
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := b.EnsureStreams(ctx)
		cancel()
		if err == nil {
			t.Fatal("got a stream that this user may not make")
		}
	}
	if e := <-told; e.Subscribe || e.Subject != "$JS.API.STREAM.CREATE.EVENTS" || len(told) != 0 {
		t.Errorf("got %v and %d more, want the one request that is refused", e, len(told))
	}
	if _, err := b.nc.SubscribeSync("_INBOX.theirs"); err != nil {
		t.Fatal(err)
	}
	if e := <-told; !e.Subscribe || !strings.Contains(e.Error(), "subscribe to _INBOX.theirs") {
		t.Errorf("got %v, want the subscription", e)
	}
	if got := b.Refused(); len(got) != 2 {
		t.Errorf("got %v, want both", got)
	}
}
