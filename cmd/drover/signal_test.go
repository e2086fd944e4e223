package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// The test binary plays a process whose drain hangs when this is set.
const drainForever = "TEST_DRAIN_FOREVER"

func runDrainForever() {
	ctx, stop := signalContext(os.Stderr)
	defer stop()
	fmt.Println("running")
	<-ctx.Done()
	fmt.Println(context.Cause(ctx))
	select {}
}

func TestSignal_first_ends_the_context_and_second_the_process(t *testing.T) {
	for _, first := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(first.String(), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), drainForever+"=1")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			expect := func(want string) {
				if !lines.Scan() || lines.Text() != want {
					t.Errorf("got %q, want %q", lines.Text(), want)
				}
			}
			signal := func(s syscall.Signal) {
				if err := cmd.Process.Signal(s); err != nil {
					t.Error(err)
				}
			}
			expect("running")
			signal(first)
			expect("stopped by signal: " + first.String())
			signal(syscall.SIGTERM)
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("got %v, want exit code 1", err)
			}
		})
	}
}

func TestStoppedBySignal_is_success_only_after_a_signal(t *testing.T) {
	signalled, cancel := context.WithCancelCause(context.Background())
	cancel(stopped{syscall.SIGINT})
	running := context.Background()
	tests := []struct {
		name string
		ctx  context.Context
		err  error
		want bool
	}{
		{"canceled", signalled, fmt.Errorf("tail: %w", context.Canceled), true},
		{"cause", signalled, fmt.Errorf("tail: %w", context.Cause(signalled)), true},
		{"another_failure", signalled, errors.New("events left"), false},
		{"no_signal", running, context.Canceled, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := stoppedBySignal(tt.ctx, tt.err); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
