package main

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// limitShare is which part of the container's memory Go's runtime may have. Too high, and the kernel ends the process for
// what Go does not count: the program itself, the spool's mapped file. Too low, and memory is there that nobody uses.
const limitShare = 0.75

// keepMemory sets the runtime up for the memory that there is, says so once, and keeps to it until stop is called, which
// waits. container says how much that is. What the environment says comes first: GOMEMLIMIT and AUTOMEMLIMIT for the
// limit, GOGC for the collector.
func keepMemory(log *slog.Logger, container memlimit.Provider) (stop func()) {
	limit, from := limitMemory(log, container)
	facts := []any{"limit_from", from}
	if limit < math.MaxInt64 {
		facts = append(facts, "limit_bytes", limit)
	}
	if gogc := os.Getenv("GOGC"); gogc != "" {
		log.Info("memory", append(facts, "collector", "GOGC="+gogc)...)
		return func() {}
	}
	log.Info("memory", append(facts, "collector", "adaptive")...)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() { // ends when stop closes ended; stop waits on done
		defer close(done)
		tick := time.NewTicker(thriftTick)
		defer tick.Stop()
		var t thrift
		for {
			select {
			case <-ended:
				return
			case now := <-tick.C:
				t.apply(now)
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// limitMemory sets the runtime's soft limit, and says whose it is.
func limitMemory(log *slog.Logger, container memlimit.Provider) (limit int64, from string) {
	for _, name := range []string{"GOMEMLIMIT", "AUTOMEMLIMIT"} {
		if os.Getenv(name) == "" {
			_ = os.Unsetenv(name) // empty means unset to Go and to us, but not to memlimit
		}
	}
	limit, err := memlimit.Set(memlimit.WithRatio(limitShare), memlimit.WithProvider(container))
	switch {
	case os.Getenv("GOMEMLIMIT") != "":
		return limit, "GOMEMLIMIT"
	case err == nil && limit < math.MaxInt64:
		return limit, "container"
	case err != nil && !errors.Is(err, memlimit.ErrCgroupsNotSupported) && !errors.Is(err, memlimit.ErrNoCgroup):
		log.Warn("the container's memory limit is not known: set GOMEMLIMIT", "err", err)
	}
	return math.MaxInt64, "none"
}

// apply makes one step with the runtime's own figures.
func (t *thrift) apply(now time.Time) {
	percent, release := t.step(now, readUsage())
	if percent != 0 {
		debug.SetGCPercent(percent)
	}
	if release {
		runtime.GC() // pools keep what they have over one collection
		debug.FreeOSMemory()
		t.released(readUsage())
	}
}

// readUsage asks the runtime. It takes microseconds and stops nothing.
func readUsage() usage {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	n := func(i int) uint64 { return s[i].Value.Uint64() }
	return usage{allocated: n(0), live: n(1) + n(2) + n(3), held: n(4) - n(5)}
}
