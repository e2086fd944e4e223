package telemetry

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"drover/messages"
	"drover/system/simtime"
)

// recording is a tracer whose spans a test reads.
func recording(t testing.TB, share float64) (*Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithIDGenerator(ids{}))
	return newTracer(provider.Tracer(scopeName), share, nil, "n"), spans
}

func kept(s sdktrace.ReadOnlySpan) string {
	of := attribute.NewSet(s.Attributes()...)
	v, _ := of.Value("drover.kept")
	return v.AsString()
}

func delivery(took time.Duration, sends int, of *messages.Trace) *messages.Delivery {
	now := time.Now()
	return &messages.Delivery{Kind: messages.KindOf([]byte("TYPING_START")), Read: now.Add(-took), Acked: now, Sends: sends, Trace: of}
}

func TestTracer_samples_its_share(t *testing.T) {
	const n = 200_000
	for _, share := range []float64{0, 0.01, 0.5, 1} {
		tracer, _ := recording(t, share)
		sdk := sdktrace.TraceIDRatioBased(share)
		got := 0
		for range n {
			of := tracer.Sample()
			if of == nil {
				continue
			}
			got++
			decision := sdk.ShouldSample(sdktrace.SamplingParameters{ParentContext: t.Context(), TraceID: of.TraceID}).Decision
			if decision != sdktrace.RecordAndSample {
				t.Fatalf("%x: the SDK's sampler with the same share says no", of.TraceID)
			}
		}
		// Six standard deviations: once in half a billion runs.
		if want, slack := share*n, 6*math.Sqrt(n*share*(1-share)); math.Abs(float64(got)-want) > slack {
			t.Errorf("share %v: got %d of %d, want %v ± %.0f", share, got, n, want, slack)
		}
	}
}

func TestTracer_costs_nothing_for_an_event_that_is_not_sampled(t *testing.T) {
	rare, _ := recording(t, 1e-12)
	for name, tracer := range map[string]*Tracer{"off": nil, "none": {}, "rare": rare} {
		if n := testing.AllocsPerRun(1000, func() {
			if tracer.Sample() != nil {
				t.Error("sampled")
			}
		}); n != 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
}

func TestTracer_keeps_what_was_slow_repeated_or_dropped(t *testing.T) {
	tracer, spans := recording(t, 0)
	tracer.Delivered(delivery(2*time.Second, 1, nil), 0)
	tracer.Delivered(delivery(time.Millisecond, 2, nil), 0)
	shed := delivery(time.Millisecond, 0, nil)
	shed.Shed = true
	tracer.Delivered(shed, 0)
	ended := spans.Ended()
	if len(ended) != 3 || kept(ended[0]) != "slow" || kept(ended[1]) != "retried" || kept(ended[2]) != "shed" {
		t.Fatalf("got %v", ended)
	}
	if got := ended[2].Status(); got.Code != codes.Error || !strings.Contains(got.Description, "dropped") {
		t.Errorf("got %v, want an error", got)
	}
	if took := ended[0].EndTime().Sub(ended[0].StartTime()); took != 2*time.Second {
		t.Errorf("got %v, want the whole time since the frame was read", took)
	}
	if !strings.Contains(ended[1].Status().Description, "sent more than once") {
		t.Errorf("got %v, want an error", ended[1].Status())
	}
	if ended[0].SpanContext().TraceID() == ended[1].SpanContext().TraceID() {
		t.Error("two events share a trace")
	}
}

func TestTracer_keeps_its_bound_where_acknowledgements_cross_a_second_out_of_order(t *testing.T) {
	tracer, spans := recording(t, 0)
	tracer.meters = start(t, Options{}).Meters
	defer tracer.flush() // else a timer sums up after the test
	edge := time.Unix(1_800_000_000, 0)
	for i := range 4 * tailRate { // two streams' goroutines take turns
		d := delivery(time.Minute, 1, nil)
		d.Acked = edge.Add(time.Duration(i%2*2-1) * time.Millisecond)
		tracer.Delivered(d, 0)
	}
	if got := len(spans.Ended()); got > 2*tailRate {
		t.Errorf("got %d spans in two seconds, want at most %d", got, 2*tailRate)
	}
}

func TestTracer_bounds_what_it_keeps_of_an_outage_and_sums_up_the_rest(t *testing.T) {
	tel := start(t, Options{})
	simtime.Run(t, func(t *testing.T) {
		tracer, spans := recording(t, 0)
		tracer.meters = tel.Meters
		began := time.Now()
		for i := range 3 * tailRate { // each of them is held up by as much as it comes later
			d := delivery(time.Minute+time.Duration(i)*time.Millisecond, 1+i%2, nil)
			d.Shed = i == 3*tailRate-1
			tracer.Delivered(d, 0)
		}
		if got := len(spans.Ended()); got != tailRate {
			t.Errorf("got %d spans in a second, want %d", got, tailRate)
		}
		tracer.Delivered(delivery(time.Minute, 1, fresh(1)), 0) // sampled: not bounded
		if got := len(spans.Ended()); got != tailRate+1 {
			t.Errorf("got %d spans, want one more", got)
		}
		time.Sleep(summing + time.Millisecond)
		synctest.Wait()
		ended := spans.Ended()
		sum := ended[len(ended)-1]
		of := attribute.NewSet(sum.Attributes()...)
		for key, want := range map[string]int64{"drover.events": 2 * tailRate, "drover.events.retried": tailRate - 1, "drover.events.shed": 1} {
			if got, _ := of.Value(attribute.Key(key)); got.AsInt64() != want {
				t.Errorf("%s: got %d, want %d", key, got.AsInt64(), want)
			}
		}
		slowest := time.Minute + (3*tailRate-1)*time.Millisecond
		if got, _ := of.Value("drover.slowest_s"); sum.Name() != "publishing held up" || kept(sum) != "summed" || got.AsFloat64() != slowest.Seconds() {
			t.Errorf("got %s, kept %q, slowest %v, want %v", sum.Name(), kept(sum), got.AsFloat64(), slowest.Seconds())
		}
		if !sum.StartTime().Equal(began.Add(-slowest)) || !sum.EndTime().Equal(began) || sum.Status().Code != codes.Error {
			t.Errorf("got %v to %v, %v, want from the first frame to the last acknowledgement, and an error", sum.StartTime(), sum.EndTime(), sum.Status())
		}
		tracer.Delivered(delivery(time.Minute, 1, nil), 0) // of another second
		tracer.flush()
		if got := len(spans.Ended()); got != tailRate+3 {
			t.Errorf("got %d spans, want one for one, and no empty sum", got)
		}
	})
	if _, body := scrape(t, tel, ""); !strings.Contains(body, "gateway_spans_summed_total 200\n") {
		t.Errorf("those without a span of their own were not counted")
	}
}

func TestLife_ends_with_the_error_of_the_step_that_failed(t *testing.T) {
	tracer, spans := recording(t, 0)
	l := tracer.Connect(3, 1, "", 1, "")
	l.Step("hello")
	l.Fail("closed", 4004, "closed by Discord with 4004: Bot abcdefghijklmnopqrstuvwxyz0123456789")
	l.Step("permit") // all this is late
	l.Ready("identified", "")
	l.Fail("lost", 0, "again")
	names := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		names[s.Name()] = s
	}
	if len(names) != 3 || len(spans.Started()) != 3 {
		t.Fatalf("got %v, want connect, dial, hello", names)
	}
	for name, want := range map[string]string{"dial": "Unset", "hello": "Error", "connect": "Error"} {
		if got := names[name].Status(); got.Code.String() != want || strings.Contains(got.Description, "abcdefgh") {
			t.Errorf("%s: got %v, want %s without the token", name, got, want)
		}
	}
	if !trace.SpanContextFromContext(l.Context()).IsValid() {
		t.Error("lines that tell of the end have no trace")
	}
	var none *Life
	none.Step("hello")
	none.Ready("", "")
	none.Fail("", 0, "")
	if none.Context() == nil {
		t.Error("got no context")
	}
}

func BenchmarkSample(b *testing.B) {
	for name, share := range map[string]float64{"none": 0, "1%": 0.01} {
		b.Run(name, func(b *testing.B) {
			tracer, _ := recording(b, share)
			b.ReportAllocs()
			for b.Loop() {
				tracer.Sample()
			}
		})
	}
}
