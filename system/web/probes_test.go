package web

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestProbes_answer_with_their_own_bodies_and_nothing_of_a_node(t *testing.T) {
	s := NewProbes(Probes{
		Addr:    "127.0.0.1:0",
		Health:  func() (bool, any) { return true, map[string]string{"status": "ok"} },
		Ready:   func() (bool, any) { return false, map[string][]string{"reasons": {"no <database>"}} },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "worker_x 1\n") }),
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }() // ends with ctx
	for _, tt := range []struct {
		path string
		code int
		want string
	}{
		{"/health", 200, `{"status":"ok"}`},
		{"/ready", 503, `reasons`},
		{"/metrics", 200, "worker_x 1"},
		{"/", 404, ""},
		{"/api/v1/shards", 404, ""},
	} {
		res, err := http.Get("http://" + s.Addr() + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != tt.code || !strings.Contains(string(body), tt.want) || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %q %v, want %d with %q", tt.path, res.StatusCode, body, err, tt.code, tt.want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v at the end, want nil", err)
	}
}
