package bench

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
)

// samples is how many of drover's messages the raw publisher repeats.
const samples = 4096

// sampled is a file with messages as drover stores them, and notes how the streams are set up. It is made once.
func (r *run) sampled(ctx context.Context) (string, error) {
	file := filepath.Join(r.o.Dir, "samples")
	if len(r.streams) > 0 {
		return file, nil
	}
	s, err := newStage(ctx, &r.o, "samples-of-drover")
	if err != nil {
		return "", err
	}
	defer s.end()
	if err := s.discord(ctx, r.o.Sessions); err != nil {
		return "", err
	}
	if err := s.run(ctx, setting{compress: "none"}); err != nil {
		return "", err
	}
	before, err := s.nats.settled(ctx)
	if err != nil {
		return "", err
	}
	if _, err := s.surge(ctx, samples, ""); err != nil {
		return "", err
	}
	after, err := s.nats.look(ctx)
	if err != nil {
		return "", err
	}
	var lists [len(streamNames)][]sample
	for i, name := range streamNames {
		st, err := s.nats.js.Stream(ctx, name)
		if err != nil {
			return "", fmt.Errorf("bench: stream %s: %w", name, err)
		}
		r.streams = append(r.streams, st.CachedInfo().Config)
		err = s.nats.read(ctx, name, before.last[i], after.last[i], false, func(m jetstream.Msg) {
			lists[i] = append(lists[i], sample{m.Subject(), m.Headers(), m.Data()})
		})
		if err != nil {
			return "", err
		}
	}
	list := shuffled(lists[0], lists[1])
	r.payload = 0
	for _, m := range list {
		r.payload += float64(len(m.Data)) / float64(len(list))
	}
	f, err := os.Create(file)
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	return file, errors.Join(gob.NewEncoder(f).Encode(list), f.Close())
}

// makeStreams sets the streams up as drover does, for what does not do it itself.
func (r *run) makeStreams(ctx context.Context, s *stage) error {
	if _, err := r.sampled(ctx); err != nil {
		return err
	}
	for _, config := range r.streams {
		if _, err := s.nats.js.CreateStream(ctx, config); err != nil {
			return fmt.Errorf("bench: stream %s: %w", config.Name, err)
		}
	}
	return nil
}

// shuffled mixes two lists evenly, so that the streams take turns as they do in drover.
func shuffled(a, b []sample) []sample {
	out := make([]sample, 0, len(a)+len(b))
	for i, j := 0, 0; i < len(a) || j < len(b); {
		if j == len(b) || i < len(a) && (2*i+1)*len(b) <= (2*j+1)*len(a) {
			out = append(out, a[i])
			i++
		} else {
			out = append(out, b[j])
			j++
		}
	}
	return out
}
