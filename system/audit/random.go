package audit

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"
)

// jolts is how many faults of Discord the random mix inflicts on one drover process: with each connection that lived for less
// than a minute it waits longer for the next, as it must, and a mix of waiting shows nothing.
const jolts = 2

// randomMix inflicts faults that its seed draws, with pauses and durations that it draws too, until the time is over.
func randomMix(ctx context.Context, r *run) error {
	rnd := rand.New(rand.NewPCG(r.o.Seed, 0xa0d1))
	ends := time.Now().Add(cmp.Or(r.o.For, time.Minute))
	r.say("seed %d", r.o.Seed)
	some := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rnd.Int64N(int64(most-least)))
	}
	mix := []func() fault{
		r.kill,
		r.restart,
		r.cut,
		func() fault { return r.natsTerm(some(0, 2*time.Second)) },
		func() fault { return r.natsKill(some(0, 2*time.Second)) },
		func() fault { return r.natsStop(some(0, 3*time.Second)) },
		func() fault {
			f := r.blackhole([]direction{events, acks, both}[rnd.IntN(3)])
			f.lasts = some(0, 3*time.Second)
			return f
		},
		func() fault { return r.downKill(rnd.IntN(2) == 0) },
	}
	// Without silent answers, which have plans of their own: drover waits for them for longer than a short mix lasts.
	discord := []func() fault{
		r.dropAll,
		func() fault { return r.refuseDials(some(0, 3*time.Second)) },
		r.invalidSessions,
	}
	jolted := map[int]int{} // by drover process
	for time.Now().Before(ends) {
		var f fault
		if n := rnd.IntN(len(mix) + len(discord)); n < len(mix) {
			f = mix[n]()
		} else if f = discord[n-len(mix)](); jolted[r.node.starts] == jolts {
			continue
		} else {
			jolted[r.node.starts]++
		}
		if f.hold == 0 {
			f.hold = []direction{0, events, acks, both}[rnd.IntN(4)]
		}
		r.lasts = some(time.Second, 2*time.Second) // of faults in several steps
		if err := r.inflict(ctx, f); err != nil {
			return err
		}
	}
	return nil
}
