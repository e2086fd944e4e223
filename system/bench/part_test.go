package bench

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestPart_hands_out_acknowledgements_once(t *testing.T) {
	p := NewPart(2)
	server := httptest.NewServer(p.mux)
	defer server.Close()
	p.Note(3, 1<<40)
	p.Note(0, 2)
	p.Note(0, 3) // no room
	c := &client{part: server.URL}
	got, err := c.acks(t.Context())
	if err != nil || len(got) != 2 || got[0].Shard != 3 || got[0].Seq != 1<<40 || got[1].Seq != 2 || got[1].At < got[0].At || got[0].At == 0 {
		t.Errorf("got %v, %v, want two", got, err)
	}
	if got, err := c.acks(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v, want nothing twice", got, err)
	}
	p.Note(1, 4)
	if got, err := c.acks(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v, want room again", got, err)
	}
	if n, err := c.allocs(t.Context()); err != nil || n < 1 {
		t.Errorf("got %v allocations, %v, want some", n, err)
	}
}

func TestPart_writes_profiles(t *testing.T) {
	p := NewPart(0)
	server := httptest.NewServer(p.mux)
	defer server.Close()
	dir := t.TempDir()
	c := &client{part: server.URL}
	if err := c.record(t.Context(), ""); err == nil {
		t.Error("a profile ended that was never begun")
	}
	for _, to := range []string{dir, ""} {
		if err := c.record(t.Context(), to); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"cpu.pprof", "allocs.pprof", "allocs-before.pprof"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: got %v, want a profile", name, err)
		}
	}
}

func TestClient_sums_a_metric_over_its_labels(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# HELP a_total x\na_total{shard_id=\"0\",x=\"a b\"} 2\na_total{shard_id=\"1\"} 1e3\na_total_more 7\nb 5\n"))
	}))
	defer server.Close()
	c := &client{what: "drover", addr: server.Listener.Addr().String()}
	for name, want := range map[string]float64{"a_total": 1002, "b": 5} {
		if got, err := c.metric(t.Context(), name); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := c.metric(t.Context(), "c"); err == nil {
		t.Error("got a metric that is not there")
	}
}
