package actors

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/gatewaysim"
)

func TestShard_restarts_with_back_off_after_a_recoverable_failure_and_keeps_its_session(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.sim.SetSessionLife(time.Hour)
		for _, host := range []gatewaysim.HostKind{gatewaysim.HostBase, gatewaysim.HostResume} {
			if err := n.sim.RefuseDials(host, gatewaysim.Dial503, gatewaysim.Limit{For: 8 * time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
		n.sim.Drop(gatewaysim.All)
		elapse(7 * time.Minute)
		s := n.status().Shards[0] // answered while it backs off
		if s.Restarts < 5 || s.State == messages.Ready || s.LastError == "" {
			t.Errorf("got %+v, want a shard that was restarted and says why", s)
		}
		if got := n.sim.Counts().DialsRefused; got > 20 {
			t.Errorf("got %d dials in 7 minutes, want delays that grow", got)
		}
		n.awaitReady()
		if got := n.sim.Counts(); got.Identifies != 1 || got.Resumed != 1 {
			t.Errorf("got %d IDENTIFYs and %d resumed, want 1 and 1", got.Identifies, got.Resumed)
		}
		n.dispatch(0, 1)
		n.await(time.Minute, "the event", func() bool { return n.window.ofType("sheep.shorn") == 1 })
		n.compare(everything)
	})
}

func TestShard_counts_no_restart_for_a_routine_loss(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		for i := range int64(3) {
			elapse(2 * time.Minute)
			n.sim.Reconnect(gatewaysim.All)
			n.await(time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == i+1 })
		}
		if s := n.status().Shards[0]; s.Restarts != 0 || s.State != messages.Ready {
			t.Errorf("got %d restarts and state %s, want 0 and ready", s.Restarts, s.State)
		}
	})
}

func TestShard_refused_for_good_is_reported_and_stopped_and_the_others_go_on(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		var reportedAlive atomic.Bool
		n.log.watch(func(line string) {
			if strings.Contains(line, "refused for good") {
				reportedAlive.Store(n.alive("pool-0/shard-0"))
			}
		})
		n.sim.CloseAll(gatewaysim.One(0), 4010, "")
		n.await(time.Minute, "gone", func() bool { return !n.alive("pool-0/shard-0") })
		s := n.status()
		if s.Shards[0].State != messages.Halted || !strings.Contains(s.Shards[0].LastError, "4010") || len(s.Reasons) != 1 {
			t.Errorf("got %+v with reasons %v, want it halted by 4010", s.Shards[0], s.Reasons)
		}
		if !reportedAlive.Load() {
			t.Error("it was gone before it was reported")
		}
		dials := n.sim.Counts().DialsBase
		n.dispatch(1, 1)
		elapse(10 * time.Minute)
		if got := n.sim.Counts().DialsBase; got != dials || n.window.ofType("sheep.shorn") != 1 || n.status().ShardsReady != 1 {
			t.Errorf("got %d more dials and %d events, want none and the other shard's one", got-dials, n.window.ofType("sheep.shorn"))
		}
		if refused, _ := n.told(); len(refused) != 0 {
			t.Errorf("got Refused %v, want the node to go on", refused)
		}
	})
}

func TestShard_panics_are_contained_logged_with_their_stack_and_followed_by_a_restart(t *testing.T) {
	var panics atomic.Int32
	permits := &fakePermits{spent: func() {
		if panics.Add(1) == 1 {
			panic("a bug in Spent")
		}
	}}
	inBubble(t, 3, gatewaysim.Options{}, func(_ *node, o *Options) { o.Permits = permits }, func(n *node) {
		n.awaitReady()
		restarts := 0
		for _, s := range n.status().Shards {
			restarts += s.Restarts
		}
		if restarts != 1 || n.sim.Counts().Identifies != 3 {
			t.Errorf("got %d restarts and %d IDENTIFYs, want 1 and 3", restarts, n.sim.Counts().Identifies)
		}
		if log := n.log.String(); !strings.Contains(log, "a bug in Spent") || !strings.Contains(log, "permitSpent") {
			t.Errorf("got log %s, want the panic with its stack", log)
		}
		if got := permits.out(); got != 0 {
			t.Errorf("got %d permits that were never given back, want 0", got)
		}
	})
}

func TestReader_panics_are_contained_and_lose_no_event(t *testing.T) {
	var armed, panicked atomic.Bool
	window := func(ev *messages.Event) {
		if ev.Kind.Type == "sheep.shorn" && armed.CompareAndSwap(true, false) {
			panicked.Store(true)
			panic("a bug in Publish")
		}
	}
	inBubble(t, 2, gatewaysim.Options{}, func(n *node, _ *Options) { n.window.publish = window }, func(n *node) {
		n.awaitReady()
		for i := range 10 {
			armed.Store(i == 5)
			n.dispatch(0, i)
			n.dispatch(1, i)
			elapse(time.Millisecond)
		}
		n.await(time.Minute, "the events", func() bool { return n.window.ofType("sheep.shorn") == 20 })
		n.awaitReady()
		n.compare(everything)
		if log := n.log.String(); !panicked.Load() || !strings.Contains(log, "a bug in Publish") || !strings.Contains(log, "reader.go") {
			t.Errorf("got log %s, want the panic with its stack", log)
		}
		s := n.status()
		if got := s.Shards[0].Restarts + s.Shards[1].Restarts; got != 1 || n.sim.Counts().Identifies != 2 {
			t.Errorf("got %d restarts and %d IDENTIFYs, want 1 and 2", got, n.sim.Counts().Identifies)
		}
		for _, shard := range s.Shards {
			if shard.SeqAcked != shard.SeqReceived {
				t.Errorf("shard %d: got acked mark %d, want %d: everything is stored", shard.ID, shard.SeqAcked, shard.SeqReceived)
			}
		}
	})
}

func TestShard_lets_go_of_what_arrives_after_it_has_stopped(t *testing.T) {
	permits := &fakePermits{}
	inBubble(t, 0, gatewaysim.Options{}, nil, func(n *node) {
		pipe := make(chan *gateway.Conn, 1)
		s := &shard{shardOptions: &shardOptions{Options: &Options{
			Permits: permits,
			Dial: func(ctx context.Context, url string) (*gateway.Conn, error) {
				conn, err := dialer(n.dial)(ctx, url)
				pipe <- conn
				return conn, err
			},
		}, Tenure: newTenure(nil), carried: newCarried(nil)}, root: n.system.Root, self: n.pid("gone")} // its mailbox is gone: messages vanish
		s.connect(gateway.Connect{URL: n.sim.GatewayURL() + "/?v=10&encoding=json"})
		s.wantPermit()
		<-pipe
		synctest.Wait()
		s.hangUp()
		elapse(2 * time.Second)
		if got := permits.out(); got != 0 {
			t.Errorf("got %d permits held, want 0", got)
		}
		for _, c := range n.sim.Connections() {
			if c.Closed.IsZero() {
				t.Error("the connection is still open")
			}
		}
	})
}

// stubborn is a connection that breaks: a write fails, and only after that what was received before is read.
type stubborn struct {
	net.Conn
	broken *atomic.Bool
	failed chan struct{}
	once   *sync.Once
}

func (c stubborn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.broken.Load() {
		<-c.failed
		elapse(200 * time.Millisecond)
	}
	return n, err
}

func (c stubborn) Write(b []byte) (int, error) {
	if !c.broken.Load() {
		return c.Conn.Write(b)
	}
	c.once.Do(func() { close(c.failed) })
	return 0, errors.New("broken pipe")
}

func TestConformance05_a_requested_heartbeat_is_answered_in_no_time(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: -1}, nil, func(n *node) {
		elapse(time.Minute)
		before := n.sim.Counts().Heartbeats
		n.sim.RequestHeartbeat(gatewaysim.All)
		synctest.Wait() // no time goes by
		if got := n.sim.Counts().Heartbeats - before; got != 1 {
			t.Errorf("got %d heartbeats at once, want 1", got)
		}
	})
}

func TestConformance38_news_of_an_old_connection_change_nothing(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: -1}, nil, func(n *node) {
		elapse(time.Minute)
		n.sim.Drop(gatewaysim.All)
		elapse(time.Minute)
		before := n.sim.Counts()
		if before.Resumed != 1 {
			t.Fatalf("got %d resumed, want 1", before.Resumed)
		}
		shard := n.pid("pool-0/shard-0")
		for old := range generation(3) { // of connections that are replaced by now
			n.system.Root.Send(shard, lost{old, &gateway.CloseError{Code: 4009, Class: gateway.NewSession}})
			n.system.Root.Send(shard, control{old, []byte(`{"op":9,"d":false}`)})
			n.system.Root.Send(shard, control{old, []byte(`{"op":7,"d":null}`)})
		}
		elapse(5 * time.Minute)
		after := n.sim.Counts()
		if after.DialsBase != before.DialsBase || after.DialsResume != before.DialsResume || after.Identifies != before.Identifies {
			t.Errorf("got %+v after late news, want no dial and no IDENTIFY beyond %+v", after, before)
		}
	})
}

func TestShard_hears_the_close_code_although_a_write_fails_first(t *testing.T) {
	var broken atomic.Bool
	breaking := func(n *node, o *Options) {
		failed, once := make(chan struct{}), &sync.Once{}
		o.Dial = dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := n.dial(ctx, network, addr)
			return stubborn{conn, &broken, failed, once}, err
		})
	}
	inBubble(t, 1, gatewaysim.Options{}, breaking, func(n *node) {
		n.awaitReady()
		broken.Store(true)
		n.sim.CloseAll(gatewaysim.All, 4014, "")
		elapse(2 * time.Minute) // a heartbeat is due
		refused, _ := n.told()
		var closed *gateway.CloseError
		if len(refused) != 1 || !errors.As(refused[0], &closed) || closed.Code != 4014 {
			t.Errorf("got refused %v, want close code 4014", refused)
		}
	})
}

func TestRefused_is_called_once_when_Discord_refuses_the_bot(t *testing.T) {
	inBubble(t, 5, gatewaysim.Options{}, func(n *node, _ *Options) {
		n.sim.AnswerIdentify(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerClose, Code: 4014}, gatewaysim.Forever)
	}, func(n *node) {
		n.await(time.Minute, "drained", func() bool { _, drained := n.told(); return drained == 1 })
		identifies := n.sim.Counts().Identifies
		elapse(time.Hour)
		refused, drained := n.told()
		var closed *gateway.CloseError
		if len(refused) != 1 || !errors.As(refused[0], &closed) || closed.Code != 4014 || drained != 1 {
			t.Errorf("got refused %v and %d times drained, want close code 4014 once, and once", refused, drained)
		}
		if got := n.sim.Counts().Identifies; got != identifies {
			t.Errorf("got %d IDENTIFYs after the refusal, want none", got-identifies)
		}
	})
}

func TestRefused_is_called_once_when_every_shard_is_refused(t *testing.T) {
	inBubble(t, 3, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		for shard := range 3 {
			if refused, _ := n.told(); len(refused) != 0 {
				t.Errorf("got refused %v with %d of 3 shards gone, want none", refused, shard)
			}
			n.sim.CloseAll(gatewaysim.One(shard), 4011, "")
			elapse(time.Minute)
		}
		if refused, _ := n.told(); len(refused) != 1 || !strings.Contains(refused[0].Error(), "every shard") {
			t.Errorf("got refused %v, want it once, for every shard", refused)
		}
	})
}
