package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"drover/system/store"
	"drover/system/stream"
)

// childOf is the variable that makes the test's program a worker: NATS' URL and the database's, in two lines.
const (
	childNATS     = "WORKER_TEST_NATS"
	childDatabase = "WORKER_TEST_DATABASE"
)

// child is a worker as a process of its own, to be killed.
func child(nats, database string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := store.Open(ctx, store.Options{URL: database})
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := stream.Connect(ctx, stream.Options{URL: nats, Name: "worker child"})
	if err != nil {
		return err
	}
	defer b.Close()
	// A short wait, so that what a killed one held comes back while the test lasts.
	w, err := New(Options{Broker: b, Store: s, AckWait: time.Second, Batch: 32, Concurrency: 4})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// spawn starts a child; the test's end kills it.
func (r *rig) spawn() *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childNATS+"="+r.nats.ClientURL(), childDatabase+"="+r.srv.PoolURL("app_worker", r.db))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd
}

func (r *rig) applied() int {
	r.t.Helper()
	n, err := strconv.Atoi(r.query("SELECT count(*)::text FROM applied_events")[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestWorker_kill_9_at_random_moments_under_load_neither_loses_nor_repeats_a_change(t *testing.T) {
	const kills, events = 6, 1500
	r := newRig(t)
	rnd := seeded(t)
	all := traffic(rnd, events, 8, 12)
	// The load comes in parts, each followed by a random share of its events and a kill, while the worker is in the middle of it.
	for i := range kills {
		begin := r.applied()
		part := all[i*events/kills : (i+1)*events/kills]
		worker := r.spawn()
		for _, e := range part {
			r.publish(e)
		}
		r.stored()
		want := begin + 1 + rnd.IntN(len(part)/2)
		waitFor(t, fmt.Sprintf("%d applied", want), func() bool { return r.applied() >= want })
		if err := worker.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = worker.Wait() // it was killed
	}
	for _, e := range all[kills*(events/kills):] {
		r.publish(e)
	}
	open := r.unfinished()
	last := r.spawn()
	r.settled("worker")
	if err := last.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := last.Wait(); err != nil {
		t.Errorf("the last one ended with %v, want exit code 0", err)
	}
	r.same()
	t.Logf("%d kills, %d events, %d left over by the last kill, audit rows %d", kills, events, open, len(r.audits()))
	if open == 0 {
		t.Error("the last kill came when everything was done: it hit nothing")
	}
}

// unfinished is how many events are not acknowledged.
func (r *rig) unfinished() int {
	r.t.Helper()
	cons, err := r.broker.JetStream().Consumer(r.t.Context(), "EVENTS", "worker")
	if err != nil {
		r.t.Fatal(err)
	}
	return int(cons.CachedInfo().NumPending) + cons.CachedInfo().NumAckPending
}
