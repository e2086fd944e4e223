package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"drover/system/process"
)

// healthy waits until the service's own health check says so.
func (r *processes) healthy(ctx context.Context, name string) error {
	s := r.p.Services[name]
	if s.HealthCheck == nil || s.HealthCheck.Disable {
		return nil
	}
	root := filepath.Join(r.dir, name, "root")
	var args []string
	for i, a := range s.HealthCheck.Test[1:] {
		if i > 0 && s.HealthCheck.Test[i] == "-p" { // pg_isready's
			addr, err := r.address(name, a)
			if err != nil {
				return err
			}
			_, a, _ = net.SplitHostPort(addr)
		}
		a, err := r.translate(s, root, a)
		if err != nil {
			return err
		}
		args = append(args, a)
	}
	env, err := r.env(s, root)
	if err != nil {
		return err
	}
	err = process.Until(ctx, patience, name+" is healthy", func() (bool, string) {
		if !r.running[name].Running() {
			return true, "" // nothing to wait for: ended says so
		}
		err := r.probe(ctx, args, env)
		if err != nil {
			return false, err.Error() + "; see " + r.log(name)
		}
		return true, ""
	})
	return errors.Join(err, r.ended(name))
}

// ended is an error where a service's process no longer runs.
func (r *processes) ended(name string) error {
	p := r.running[name]
	if p.Running() {
		return nil
	}
	if p == nil {
		return fmt.Errorf("%s was never started", name)
	}
	<-p.Exited()
	return fmt.Errorf("%s has ended by itself: %s; see %s", name, p.State(), r.log(name))
}

// probe runs a health check once. What wget would ask is asked here.
func (r *processes) probe(ctx context.Context, args, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	switch filepath.Base(args[0]) {
	case "wget":
		return get(ctx, args[len(args)-1])
	case "drover", "pg_isready":
		cmd := exec.CommandContext(ctx, r.programs[filepath.Base(args[0])], args[1:]...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w %s", args[0], err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return fmt.Errorf("no way to run the health check %q", args)
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", url, res.StatusCode)
	}
	return nil
}
