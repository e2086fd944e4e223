package audit

import (
	"context"
	"log/slog"

	"drover/system/gatewaysim"
)

// Witness records what the streams of a system store that somebody else runs and breaks, for a verdict by Compare. Any goroutine may use it.
type Witness struct{ r *recorder }

// Watch follows the streams on a NATS URL, from their oldest event on, until Close. They need not exist yet.
func Watch(ctx context.Context, url string, log *slog.Logger) (*Witness, error) {
	r, err := record(context.WithoutCancel(ctx), url, log)
	if err != nil {
		return nil, err
	}
	return &Witness{r}, nil
}

// Close ends the recording.
func (w *Witness) Close() { w.r.close() }

// Stored is everything that was stored so far, in the order of each stream, and what gaps were declared. The error says why the recording
// ended before Close.
func (w *Witness) Stored() ([]Stored, []Gap, error) { return w.r.all() }

// Missing counts what of sent is not stored.
func (w *Witness) Missing(sent []Sent) (n int) {
	for i := range sent {
		if !w.r.has(sent[i].Session, sent[i].Seq) {
			n++
		}
	}
	return n
}

// SentBy lists what drover has to publish of what a simulator made: all but READY and RESUMED. It needs Options.Record.
func SentBy(sim *gatewaysim.Server) []Sent {
	var out []Sent
	for _, session := range sim.Ledger() {
		for _, d := range session.Dispatch {
			if d.T == "READY" || d.T == "RESUMED" {
				continue
			}
			out = append(out, Sent{Session: session.SessionID, Seq: d.Seq, Shard: session.ShardID, T: d.T, At: d.At, D: d.D})
		}
	}
	return out
}
