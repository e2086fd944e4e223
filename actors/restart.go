package actors

import (
	"errors"
	"fmt"
	"runtime"

	"drover/system/gateway"
)

// verdict is what a supervisor does about a failed shard.
type verdict uint8

const (
	restart   verdict = iota // the shard keeps its session and backs off by itself
	stopShard                // Discord refuses this shard for good; the others go on
	stopBot                  // Discord refuses the bot: every further IDENTIFY would only cost budget
	bug                      // the shard panicked by mistake: reported, then restarted
)

func (v verdict) String() string {
	return [...]string{"restart", "stop shard", "stop bot", "bug"}[v]
}

// decide maps the value of a panic to a verdict, and to the error that is reported.
func decide(reason any) (verdict, error) {
	err, ok := reason.(error)
	if !ok {
		return bug, fmt.Errorf("bug: %v", reason)
	}
	var closed *gateway.CloseError
	if errors.As(err, &closed) {
		switch closed.Class {
		case gateway.FatalBot:
			return stopBot, err
		case gateway.FatalShard:
			return stopShard, err
		}
	}
	if run := runtime.Error(nil); errors.As(err, &run) || !errors.As(err, new(*failure)) {
		return bug, err
	}
	return restart, err
}
