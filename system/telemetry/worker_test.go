package telemetry

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestWorker_counts_under_the_names_of_the_table(t *testing.T) {
	w, err := NewWorker("n", "1.2.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Observe(func() WorkerStatus { return WorkerStatus{Pending: 3, Unacked: 2, InHand: 1, NATSConnected: true} })
	w.Event("member.join", "applied")
	w.Event("member.join", "applied")
	w.Dead("ids")
	w.Retry("away", 5)
	w.Conflict()
	w.Applied(7, 30*time.Millisecond)
	w.Stale(4)
	answer := httptest.NewRecorder()
	w.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := answer.Body.String()
	for _, want := range []string{
		`worker_events_total{event_type="member.join",outcome="applied"} 2`, `worker_dead_letters_total{reason="ids"} 1`,
		`worker_retries_total{reason="away"} 5`, `worker_transaction_retries_total 1`, `worker_transaction_events_total 7`,
		`worker_transaction_duration_seconds_bucket{le="0.05"} 1`, `worker_transaction_duration_seconds_bucket{le="0.025"} 0`,
		`worker_communities_marked_stale_total 4`, `worker_pending_events 3`, `worker_unacked_events 2`, `worker_events_in_hand 1`,
		`worker_nats_connected 1`, `worker_database_connected 0`, `worker_build_info{go_version="`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	for _, i := range WorkerInstruments {
		if !strings.Contains(text, "# HELP "+i.Name+" "+i.Meaning) {
			t.Errorf("%s has not its meaning as help", i.Name)
		}
	}
	if strings.Contains(text, "gateway_") {
		t.Error("a worker shows metrics of a node")
	}
}
