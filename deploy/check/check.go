package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// check is one artefact of deploy, and the command that runs it for real.
type check struct {
	artefact string
	how      string // what the command does, for the table
	command  string // for bash, from the repository's root
	quick    string // the same in little; "" is not part of the quick run
}

// A command that lacks something which this machine cannot have ends with this exit code, and with a result that begins so. Both, since many a
// program ends with some number of its own when something is wrong.
const (
	notRun      = 77
	notRunWords = "not run: "
)

// How a check ended.
const (
	ok      = "ok"
	skipped = "not run"
	failed  = "FAILED"
)

// verdict is what came of a check.
type verdict struct {
	check
	state  string // ok, skipped or failed
	result string // the command's own words, from its last line that begins with "result: "
	took   time.Duration
	output []byte
}

// way is how checks are run.
type way struct {
	quick bool
	all   bool          // what cannot be run here has failed
	side  int           // how many run side by side
	most  time.Duration // what one may take; 0 is without end
	env   []string      // besides our own
}

// afterwards is how long a check that was asked to end may take for it.
const afterwards = 20 * time.Second

// run runs the command until it ends, or ctx or the time that it may take does: a check that hangs is one that failed, and what it printed until then says where.
func (c check) run(ctx context.Context, w way) verdict {
	line := c.command
	if w.quick {
		line = c.quick
	}
	if w.most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.most, fmt.Errorf("it had not ended after %v", w.most))
		defer cancel()
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Env = append(os.Environ(), w.env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = afterwards
	begun := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what did not hear the first signal; mostly nobody is left
		}
		err = context.Cause(ctx)
	}
	v := verdict{check: c, took: time.Since(begun), output: out.Bytes()}
	v.state, v.result = judge(err, words(out.Bytes()))
	if v.state == skipped && w.all {
		v.state, v.result = failed, notRunWords+v.result
	}
	return v
}

// judge says what the end of a command means, which said result.
func judge(err error, result string) (state, why string) {
	reason, lacks := strings.CutPrefix(result, notRunWords)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == notRun && lacks && reason != "":
		return skipped, reason
	case err != nil && result == "":
		return failed, err.Error()
	case err != nil:
		return failed, err.Error() + ": " + result
	case result == "":
		return failed, "it ended without a line that begins with result:"
	case lacks:
		return failed, fmt.Sprintf("it did not end with exit code %d: %s", notRun, result)
	}
	return ok, result
}

// words are what the last line says that begins with "result: ".
func words(output []byte) (said string) {
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "result: "); ok {
			said = text
		}
	}
	return said
}
