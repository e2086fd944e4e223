package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// attach makes sure of the streams and of the consumer. made is when the stream was made.
func (w *Worker) attach(ctx context.Context) (made time.Time, cons jetstream.Consumer, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := w.events(ctx)
	if err != nil {
		return made, nil, err
	}
	if err := w.ensureDead(ctx); err != nil {
		return made, nil, err
	}
	if cons, err = w.consumer(ctx, s); err != nil {
		return made, nil, err
	}
	// Asked again: a stream that was made anew meanwhile has another consumer, and other positions.
	info, err := s.Info(ctx)
	if err != nil {
		return made, nil, fmt.Errorf("worker: stream %s: %w", s.CachedInfo().Config.Name, err)
	}
	if made = s.CachedInfo().Created; !made.Equal(info.Created) {
		return made, nil, fmt.Errorf("worker: stream %s was made again just now", info.Config.Name)
	}
	return made, cons, nil
}

func (w *Worker) events(ctx context.Context) (jetstream.Stream, error) {
	name := w.o.Broker.StreamName(messages.Events)
	s, err := w.source.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("%w %s, which drover run makes", errNoStream, name)
	case err != nil:
		return nil, fmt.Errorf("worker: stream %s: %w", name, err)
	}
	return s, nil
}

// consumer is the durable one. Behind an API prefix an operator has made it (MakeConsumer): who may make consumers of another
// account's stream may have its events delivered to any subject there.
func (w *Worker) consumer(ctx context.Context, s jetstream.Stream) (jetstream.Consumer, error) {
	name := s.CachedInfo().Config.Name
	if w.o.APIPrefix == "" {
		return w.makeConsumer(ctx, s)
	}
	cons, err := s.Consumer(ctx, w.durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("worker: stream %s has no consumer %s, and behind worker.api_prefix an operator makes it: drover worker --make-consumer", name, w.durable)
	}
	if err != nil {
		return nil, fmt.Errorf("worker: consumer %s of %s: %w", w.durable, name, err)
	}
	have, want := cons.CachedInfo().Config, w.consumerConfig()
	if have.AckPolicy != want.AckPolicy || have.AckWait != want.AckWait || have.MaxDeliver != want.MaxDeliver || !sameSet(have.FilterSubjects, want.FilterSubjects) {
		return nil, fmt.Errorf("worker: consumer %s of %s was not made for this worker and its worker.ack_wait: an operator makes it fit by drover worker --make-consumer, "+
			"or choose another worker.durable", w.durable, name)
	}
	return cons, nil
}

// MakeConsumer makes the durable consumer of workers with these options, or makes an existing one fit, and returns its name. It is for an operator, at home in the
// stream's account: APIPrefix and Store are not used. It returns an error that says so where there is no stream yet.
func MakeConsumer(ctx context.Context, o Options) (string, error) {
	o.APIPrefix = ""
	w, err := newReader(o)
	if err != nil {
		return "", err
	}
	s, err := w.events(ctx)
	if err == nil {
		_, err = w.makeConsumer(ctx, s)
	}
	return w.durable, err
}

func (w *Worker) makeConsumer(ctx context.Context, s jetstream.Stream) (jetstream.Consumer, error) {
	cons, err := s.CreateOrUpdateConsumer(ctx, w.consumerConfig())
	if err != nil {
		return nil, fmt.Errorf("worker: consumer %s of %s: %w", w.durable, s.CachedInfo().Config.Name, err)
	}
	return cons, nil
}

func (w *Worker) consumerConfig() jetstream.ConsumerConfig {
	var subjects []string
	for _, t := range Types {
		subjects = append(subjects, w.subject("events."+t))
	}
	return jetstream.ConsumerConfig{
		Durable: w.durable, Description: "drover worker", FilterSubjects: subjects,
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: w.o.AckWait, MaxDeliver: -1,
		// A few workers' batches; beyond it JetStream holds back.
		MaxAckPending: max(1000, 16*w.o.Batch),
	}
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
