package audit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// child is a program that runs as a process of its own. It ends with this process in any case: on
// kill, on the end of its standard input, and where the system allows it by the kernel's hand.
type child struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{} // closed when it has ended and its output is complete
}

// command says what to run.
type command struct {
	name string
	args []string // the program first
	env  []string // all of it
	dir  string
	log  string       // file that takes its output; it is appended to
	line func([]byte) // sees each line of standard error; may be nil
}

// start runs c. The caller kills it.
func start(c command) (*child, error) {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit: log of %s: %w", c.name, err)
	}
	p := &child{name: c.name, cmd: exec.Command(c.args[0], c.args[1:]...), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = c.dir, c.env
	p.cmd.Stdout, p.cmd.Stderr = log, &lines{to: log, line: c.line}
	p.cmd.SysProcAttr = attributes()
	// A pipe that nobody writes to: it ends when this process does, whatever the reason.
	p.stdin, err = p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("audit: start %s: %w", c.name, err)
	}
	go func() { // ends with the process, which kill ends
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState tells
		log.Close()
	}()
	return p, nil
}

// signal tells the process something. It may have ended.
func (p *child) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends the process and everything that it started, and waits for it. It may be called twice.
func (p *child) kill() {
	if p == nil {
		return
	}
	if p.running() { // else its number may be another process's by now
		killGroup(p.cmd.Process)
	}
	<-p.exited
	_ = p.stdin.Close()
}

// await waits for the end of a process that was asked to end, and returns its exit code.
func (p *child) await(within time.Duration) (code int, err error) {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-t.C:
		return 0, fmt.Errorf("audit: %s did not end within %v of SIGTERM", p.name, within)
	}
}

// running reports whether the process has not ended.
func (p *child) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// lines is a writer that also shows whole lines. The process's copying goroutine is its only user.
type lines struct {
	to   io.Writer
	line func([]byte)

	mu   sync.Mutex
	part []byte
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line != nil {
		l.part = append(l.part, b...)
		for {
			line, rest, found := bytes.Cut(l.part, []byte("\n"))
			if !found {
				break
			}
			l.line(line)
			l.part = rest
		}
	}
	return l.to.Write(b)
}
