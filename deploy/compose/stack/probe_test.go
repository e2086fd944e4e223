package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"drover/system/process"
)

// A service that has ended is neither healthy, whatever else answers at its port, nor among those that may be judged.
func TestHealthy_and_alive_tell_of_a_service_that_has_ended(t *testing.T) {
	ctx := t.Context()
	service := types.ServiceConfig{Name: "drover-1"}
	service.HealthCheck = &types.HealthCheckConfig{Test: []string{"CMD", "drover", "healthcheck"}}
	r := &processes{
		p: &types.Project{Services: types.Services{"drover-1": service}}, dir: t.TempDir(),
		programs: map[string]string{"drover": "/bin/true"}, running: map[string]*process.Process{}, done: map[string]bool{},
	}
	p, err := process.Start(process.Command{Name: "drover-1", Args: []string{"/bin/sh", "-c", "exit 2"}, Log: filepath.Join(r.dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	<-p.Exited()
	r.running["drover-1"] = p
	want := "drover-1 has ended by itself: exit status 2; see "
	if err := r.healthy(ctx, "drover-1"); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("healthy: got %v, want %s…", err, want)
	}
	if _, err := r.alive(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("alive: got %v, want %s…", err, want)
	}
	r.done["drover-1"] = true
	if n, err := r.alive(); n != 1 || err != nil {
		t.Errorf("alive: got %d, %v, want the database alone where a one-shot has ended", n, err)
	}
}
