package stream

import (
	"testing"

	"drover/messages"
)

// BenchmarkSpool moves batches of 256 usual events, with the sync of a real disk in append and remove.
func BenchmarkSpool(b *testing.B) {
	const batch = 256
	step := func(name string, run func(b *testing.B, s *Spool, recs []record)) {
		b.Run(name, func(b *testing.B) {
			s := newSpool(b, b.TempDir(), 1<<40)
			recs := spoolRecords(1, batch, 1400)
			b.ResetTimer()
			run(b, s, recs)
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
		})
	}
	step("append", func(b *testing.B, s *Spool, recs []record) {
		for range b.N {
			mustAppend(b, s, messages.Events, recs...)
		}
	})
	step("read", func(b *testing.B, s *Spool, recs []record) {
		for range 40 {
			mustAppend(b, s, messages.Events, recs...)
		}
		b.ResetTimer()
		for i := range b.N {
			got, err := s.read(messages.Events, uint64(i%40)*batch, batch, 4<<20)
			if err != nil || len(got) != batch {
				b.Fatal(len(got), err)
			}
		}
	})
	step("remove", func(b *testing.B, s *Spool, recs []record) {
		for range b.N + 1 {
			mustAppend(b, s, messages.Events, recs...)
		}
		b.ResetTimer()
		for i := range b.N {
			mustRemove(b, s, messages.Events, uint64(i+1)*batch, 0)
		}
	})
	step("open", func(b *testing.B, s *Spool, recs []record) {
		for range 40 {
			mustAppend(b, s, messages.Events, recs...)
		}
		_ = s.close()
		b.ResetTimer()
		for range b.N {
			_ = newSpool(b, s.o.Dir, s.o.MaxBytes).close()
		}
		b.ReportMetric(float64(b.N*batch*40)/b.Elapsed().Seconds(), "events/s")
	})
}
