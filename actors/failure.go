package actors

import (
	"errors"
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// failure is the one value with which an actor of this package panics on purpose.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// props makes the properties of every actor here: its producer, and a middleware that records where
// a panic came from before protoactor supervises it, since the stack is lost afterwards.
func props(log *slog.Logger, produce func() actor.Actor) *actor.Props {
	keepStack := func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, env *actor.MessageEnvelope) {
			defer func() {
				r := recover()
				if r == nil {
					return
				}
				if err, ok := r.(error); !ok || !errors.As(err, new(*failure)) {
					log.Error("bug: actor panicked", "actor", ctx.Self().Id, "err", r, "stack", string(debug.Stack()))
				}
				panic(r)
			}()
			next(ctx, env)
		}
	}
	return actor.PropsFromProducer(produce, actor.WithReceiverMiddleware(keepStack))
}
