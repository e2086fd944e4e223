package telemetry_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/system/gatewaysim"
	"drover/system/telemetry"
)

// example builds the worker of docs/examples.
func example(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker")
	if out, err := exec.Command("go", "build", "-o", path, "drover/docs/examples/worker").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// eventually asks until ok says yes.
func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	deadline, again := time.NewTimer(time.Minute), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer again.Stop()
	for {
		yes, state := ok()
		if yes {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("%s: not within a minute; %s", what, state)
		}
	}
}

// One trace from Discord's socket to the worker's handler, seen at a real OTLP receiver. Drover and the worker are told where that is by
// OpenTelemetry's own variables.
func TestTrace_goes_from_the_socket_to_the_worker(t *testing.T) {
	worker := example(t)
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) { throughTheWorker(t, worker, protocol) })
	}
}

func throughTheWorker(t *testing.T, worker, protocol string) {
	c := telemetry.StartCollector(t)
	endpoint := c.HTTP
	if protocol == "grpc" {
		endpoint = c.GRPC
	}
	environ := []string{
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol,
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.5", "OTEL_BSP_SCHEDULE_DELAY=100",
	}
	t.Setenv("OTEL_SDK_DISABLED", "")
	t.Setenv("OTEL_SERVICE_NAME", "")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	node := startNode(t, append([]string{"OTEL_METRICS_EXPORTER=otlp", "OTEL_LOGS_EXPORTER=otlp"}, environ...)...)
	node.sim.SetRate(200)

	reading := exec.Command(worker)
	reading.Env = append(environ, "NATS_URL="+node.EmbeddedURL(), "PATH="+os.Getenv("PATH"))
	var said strings.Builder
	reading.Stderr = &said
	if err := reading.Start(); err != nil {
		t.Fatal(err)
	}
	continued := func() (whole, alone int) {
		spans, _ := c.Spans()
		published := map[string]telemetry.Span{}
		for _, s := range spans {
			if s.Service == "drover" && strings.HasPrefix(s.Name, "publish ") {
				published[string(s.TraceId)+string(s.SpanId)] = s
			}
		}
		for _, s := range spans {
			if s.Service != "example-worker" {
				continue
			}
			p, ok := published[string(s.TraceId)+string(s.ParentSpanId)]
			if ok && s.StartTimeUnixNano >= p.StartTimeUnixNano && strings.HasPrefix(s.Name, "process events.") {
				whole++
			} else {
				alone++
			}
		}
		return whole, alone
	}
	eventually(t, "traces from the socket to the worker", func() (bool, string) {
		whole, alone := continued()
		return whole >= 50, fmt.Sprintf("%d whole, %d alone; the worker says %q", whole, alone, "")
	})
	node.sim.SetRate(0)
	interaction := interactionToken(t, node.EmbeddedURL())
	_ = reading.Process.Signal(syscall.SIGTERM) // it exports what is left
	if err := reading.Wait(); err != nil {
		t.Errorf("the worker ended with %v: %s", err, said.String())
	}
	node.stop()
	if whole, alone := continued(); alone > 0 || whole < 50 {
		t.Errorf("got %d spans of the worker that continue one of drover's, and %d that do not", whole, alone)
	}

	spans, raw := c.Spans()
	steps := map[string]map[string]bool{} // by trace
	sampled, stored := 0, int(node.Traffic().Routed)
	for _, s := range spans {
		id := string(s.TraceId)
		if steps[id] == nil {
			steps[id] = map[string]bool{}
		}
		steps[id][s.Name] = true
		if strings.HasPrefix(s.Name, "publish ") {
			sampled++
		}
	}
	lives := 0
	for _, names := range steps {
		if names["connect"] && names["dial"] && names["hello"] && names["permit"] && names["identify"] {
			lives++
		}
	}
	if lives != 2 {
		t.Errorf("got %d whole lives of a connection, want one of each shard", lives)
	}
	if sampled < stored/4 || sampled > stored*3/4 {
		t.Errorf("got %d spans of %d events, want about half of them", sampled, stored)
	}
	secrets := []string{token, interaction}
	for _, session := range node.sim.Ledger() {
		secrets = append(secrets, session.SessionID)
	}
	for _, secret := range secrets {
		if strings.Contains(raw, secret) {
			t.Errorf("%q is in what was exported", secret)
		}
	}
}

// interactionToken is one that a stored interaction has.
func interactionToken(t *testing.T, url string) (found string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	commands, err := js.Stream(t.Context(), "COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	last, err := commands.GetMsg(t.Context(), commands.CachedInfo().State.LastSeq)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`"token":"([^"]{8,})"`).FindSubmatch(last.Data)
	if m == nil {
		t.Fatalf("no token in %s", last.Data)
	}
	return string(m[1])
}

// What goes wrong before a shard serves is in its connection's trace, at the step that it had come to, and the log names the trace.
func TestTrace_tells_how_a_connection_failed_and_the_next_one_did_not(t *testing.T) {
	c := telemetry.StartCollector(t)
	t.Setenv("OTEL_SDK_DISABLED", "")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	n := startNode(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.HTTP, "OTEL_TRACES_SAMPLER_ARG=0")
	if err := n.sim.RefuseDials(gatewaysim.HostResume, gatewaysim.Dial503, gatewaysim.Limit{Count: 1}); err != nil {
		t.Fatal(err)
	}
	n.sim.CloseAll(gatewaysim.One(1), 4000, "")
	eventually(t, "resumed", func() (bool, string) { return n.sim.Counts().Resumed == 1, "" })
	eventually(t, "ready", n.ready)
	n.stop()

	spans, _ := c.Spans()
	var failed, resumed *telemetry.Span
	for i, s := range spans {
		switch {
		case strings.HasPrefix(s.Name, "publish "):
			t.Errorf("got %s: nothing is sampled", s.Name)
		case s.Name == "connect" && telemetry.Text(s, "drover.outcome") == "failed":
			failed = &spans[i]
		case s.Name == "connect" && telemetry.Text(s, "drover.outcome") == "resumed":
			resumed = &spans[i]
		}
	}
	if failed == nil || resumed == nil {
		t.Fatalf("got %d spans, want a connection that failed, and one that was resumed", len(spans))
	}
	for key, want := range map[string]string{"error.type": "dial_failed", "drover.shard_id": "1", "drover.after": "closed"} {
		if got := telemetry.Text(*failed, key); got != want {
			t.Errorf("failed: %s: got %q, want %q", key, got, want)
		}
	}
	if got := telemetry.Text(*resumed, "drover.after"); got != "dial_failed" {
		t.Errorf("resumed: drover.after: got %q, want dial_failed", got)
	}
	for _, s := range spans {
		if s.Name == "dial" && string(s.ParentSpanId) == string(failed.SpanId) && !strings.Contains(s.GetStatus().GetMessage(), "503") {
			t.Errorf("the step that failed has status %v, want one that names 503", s.GetStatus())
		}
	}
	for msg, of := range map[string]*telemetry.Span{"dial failed": failed, "shard ready": resumed} {
		if want := fmt.Sprintf(`"trace_id":"%x"`, of.TraceId); !logHas(n.log.bytes(), msg, want) {
			t.Errorf("no line %q has %s", msg, want)
		}
	}
}

// full has NATS take no event any more, and say so, until the function that it returns is called.
func full(t *testing.T, url string) (relieve func()) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(messages int64, discard jetstream.DiscardPolicy) {
		t.Helper()
		s, err := js.Stream(t.Context(), "EVENTS")
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.MaxMsgs, c.Discard = messages, discard
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	limit(1, jetstream.DiscardNew)
	return func() { limit(-1, jetstream.DiscardOld) }
}

// Nothing is sampled here: what is recorded is what was slow, or refused.
func TestTrace_records_each_publish_that_was_slow_or_failed(t *testing.T) {
	c := telemetry.StartCollector(t)
	t.Setenv("OTEL_SDK_DISABLED", "")
	n := startNode(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.HTTP, "OTEL_TRACES_SAMPLER_ARG=0", "OTEL_METRICS_EXPORTER=otlp")
	n.sim.SetRate(400)
	relieve := full(t, n.EmbeddedURL())
	unacked := func(ok func(int) bool) func() (bool, string) {
		return func() (bool, string) { got := n.Traffic().Unacked; return ok(got), fmt.Sprint(got, " unacknowledged") }
	}
	eventually(t, "refused", func() (bool, string) { return n.Traffic().Failures > 0, "" })
	eventually(t, "events wait", unacked(func(n int) bool { return n > 400 }))
	n.sim.SetRate(0)
	newest := time.Now()
	eventually(t, "all of them are slow", func() (bool, string) { return time.Since(newest) > 1500*time.Millisecond, "" })
	waiting := n.Traffic().Unacked
	relieve()
	eventually(t, "all is stored", unacked(func(n int) bool { return n == 0 }))
	n.stop()

	slow, all := c.Slower("gateway_event_route_duration_seconds", 1)
	spans, _ := c.Spans()
	alone, together, interrupted := 0, 0, 0
	for _, s := range spans {
		switch {
		case strings.HasPrefix(s.Name, "publish "):
			alone++
			if kept := telemetry.Text(s, "drover.kept"); kept != "slow" && kept != "retried" {
				t.Errorf("got %s, which was kept as %q", s.Name, kept)
			}
		case s.Name == "publishing held up":
			n, err := strconv.Atoi(telemetry.Text(s, "drover.events"))
			if err != nil {
				t.Error(err)
			}
			together += n
		case s.Name == "publishing interrupted":
			interrupted++
			if text := s.GetStatus().GetMessage(); !strings.Contains(text, "maximum messages exceeded") {
				t.Errorf("publishing interrupted: got %q, want what NATS said", text)
			}
		}
	}
	if waiting < 150 || slow < waiting || alone+together < slow || alone+together > all || alone == 0 || together == 0 || interrupted == 0 {
		t.Errorf("got %d events with a span, %d in sums and %d interruptions; %d of %d were slower than a second", alone, together, interrupted, slow, all)
	}
	t.Logf("%d of %d events were slower than a second, %d of them refused: %d have a span, %d stand in sums", slow, all, waiting, alone, together)
}

// An outage that outlasts the node is no less worth a span.
func TestTrace_records_an_interruption_that_the_node_does_not_outlive(t *testing.T) {
	c := telemetry.StartCollector(t)
	t.Setenv("OTEL_SDK_DISABLED", "")
	n := startNode(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.HTTP, "DROVER_SHUTDOWN_TIMEOUT=1s")
	full(t, n.EmbeddedURL())
	n.sim.SetRate(100)
	eventually(t, "refused", func() (bool, string) { return n.Traffic().Failures > 0, "" })
	n.sim.SetRate(0)
	n.cancel()
	if err := <-n.ended; err == nil {
		t.Error("got no error, want one that names what is unacknowledged")
	}
	n.ended <- nil // for the clean-up
	spans, _ := c.Spans()
	if !slices.ContainsFunc(spans, func(s telemetry.Span) bool { return s.Name == "publishing interrupted" }) {
		t.Errorf("got %d spans, and none of the interruption", len(spans))
	}
}

// logHas tells whether a line has both a message and a text.
func logHas(log []byte, msg, text string) bool {
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `"msg":"`+msg+`"`) && strings.Contains(line, text) {
			return true
		}
	}
	return false
}
