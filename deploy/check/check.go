package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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

// notRun is the exit code of a command that lacks something which this machine cannot have.
const notRun = 3

// verdict is what came of a check.
type verdict struct {
	check
	state  string // "ok", "not run" or "FAILED"
	result string // the command's own words, from its last line that begins with "result: "
	took   time.Duration
	output []byte
}

// run runs the command until it ends, or ctx does.
func (c check) run(ctx context.Context, quick bool, env []string) verdict {
	line := c.command
	if quick {
		line = c.quick
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	begun := time.Now()
	err := cmd.Run()
	v := verdict{check: c, state: "ok", took: time.Since(begun), output: out.Bytes(), result: words(out.Bytes())}
	var exit *exec.ExitError
	switch {
	case err == nil && v.result == "":
		v.state, v.result = "FAILED", "it ended without a line that begins with result:"
	case errors.As(err, &exit) && exit.ExitCode() == notRun:
		v.state = "not run"
	case err != nil:
		v.state = "FAILED"
		if v.result == "" {
			v.result = err.Error()
		}
	}
	return v
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
