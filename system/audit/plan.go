package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"drover/system/gatewaysim"
)

// Plan is a named sequence of faults and what may come of it.
type Plan struct {
	Name     string
	Sentence string // what happens, for people

	Memory   bool          // the streams are memory streams: they die with NATS
	Embedded bool          // NATS runs inside drover, and dies with it
	Quiet    bool          // no traffic but the script's own
	Lasts    time.Duration // of a fault that lasts

	Nodes   int // drover processes; 0: one
	Late    int // of them: so many are started by the script
	Brokers int // NATS servers, which are a cluster; 0: one
	Shards  int // of the bot; 0: what the options say

	Env     []string                  // drover's configuration, beside the usual
	World   func(*gatewaysim.Options) // changes the usual Discord; may be nil
	Prepare func(*run) error          // before drover starts; may be nil
	Script  func(context.Context, *run) error

	Expect Expect
}

// Expect is what a plan may cost. Nothing lost silently, twice, reordered or altered is expected of all.
type Expect struct {
	Identifies int // of each shard beyond its first; anything: as many as needed
	Dials      int // of a shard in the whole plan, at most; 0: not judged
	// Recovery is how long a recovery may take; 0: not judged, but never longer than patience.
	Recovery time.Duration
	// Gaps says how many shard.gap of a reason each shard declares: at least, at most. Others are faults.
	Gaps map[string][2]int
}

// anything as a number of IDENTIFYs: one for each session that Discord ended, each of which is a declared gap.
const anything = -1

// PlanNamed returns a plan by its name, or an error that suggests what was meant.
func PlanNamed(name string) (Plan, error) {
	for _, p := range Plans() {
		if p.Name == name {
			return p, nil
		}
	}
	var near []string
	for _, p := range Plans() {
		if name != "" && (strings.Contains(p.Name, name) || strings.Contains(name, p.Name)) {
			near = append(near, p.Name)
		}
	}
	if len(near) > 0 {
		return Plan{}, fmt.Errorf("there is no plan %q: did you mean %s?", name, strings.Join(near, " or "))
	}
	return Plan{}, fmt.Errorf("there is no plan %q: --list shows them", name)
}

// gapsOf is an Expect.Gaps of one reason.
func gapsOf(reason string, least, most int) map[string][2]int {
	return map[string][2]int{reason: {least, most}}
}

// inEachDirection inflicts a fault once for each thing that the network can have held back before.
func inEachDirection(ctx context.Context, r *run, of func(direction) fault) error {
	for _, d := range []direction{acks, events, both} {
		f := of(d)
		f.hold = d
		if err := r.inflict(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// inTurn inflicts faults one after the other.
func inTurn(ctx context.Context, r *run, faults ...fault) error {
	for _, f := range faults {
		if err := r.inflict(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// fast makes drover notice a silent NATS sooner, so that a plan takes seconds.
var fast = []string{"DROVER_PUBLISH_ACK_TIMEOUT=1s"}

func with(env []string, more ...string) []string { return append(slices.Clone(env), more...) }
