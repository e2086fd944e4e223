package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Process is a program that runs as a process of its own. It ends with this process in any case: on
// Kill, on the end of its standard input, and where the system allows it by the kernel's hand. Start makes
// it. Any goroutine may use it; a nil one has ended.
type Process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{} // closed when it has ended and its output is complete
}

// Command says what to run.
type Command struct {
	Name string // for errors
	Args []string
	Env  []string // all of it
	Dir  string
	Log  string       // file that takes its output; it is appended to
	Line func([]byte) // sees each line of standard error, which it may not keep; may be nil
}

// Start runs c. The caller kills it.
func Start(c Command) (*Process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("process: log of %s: %w", c.Name, err)
	}
	p := &Process{name: c.Name, cmd: exec.Command(c.Args[0], c.Args[1:]...), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = c.Dir, c.Env
	p.cmd.Stdout, p.cmd.Stderr = log, &lines{to: log, line: c.Line}
	p.cmd.SysProcAttr = attributes()
	// A pipe that nobody writes to: it ends when this process does, whatever the reason.
	p.stdin, err = p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("process: start %s: %w", c.Name, err)
	}
	go func() { // ends with the process, which Kill ends
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState tells
		log.Close()
	}()
	return p, nil
}

// Signal tells the process something. It may have ended.
func (p *Process) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends the process and everything that it started, and waits for it. It may be called twice.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	if p.Running() { // else its number may be another process's by now
		killGroup(p.cmd.Process)
	}
	<-p.exited
	_ = p.stdin.Close()
}

// Await waits for the end of a process that ends or was asked to, and returns its exit code.
func (p *Process) Await(within time.Duration) (code int, err error) {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-t.C:
		return 0, fmt.Errorf("process: %s did not end within %v", p.name, within)
	}
}

// Exited is closed when the process has ended and its output is complete.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// State says in words how the process ended. Call it when Exited is closed.
func (p *Process) State() string { return p.cmd.ProcessState.String() }

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
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

// CPU is the processor time, of user and system, that the process has used so far, all its threads together and
// exact to the microsecond. It fails where the process has ended, and with ErrUnknown on systems other than Linux.
func (p *Process) CPU() (time.Duration, error) {
	if !p.Running() {
		return 0, fmt.Errorf("process: CPU time of %s: it has ended", p.name)
	}
	d, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return 0, fmt.Errorf("process: CPU time of %s: %w", p.name, err)
	}
	return d, nil
}

// RSS is the memory of the process that is resident, in bytes. It fails as CPU does.
func (p *Process) RSS() (int64, error) {
	if !p.Running() {
		return 0, fmt.Errorf("process: memory of %s: it has ended", p.name)
	}
	n, err := resident(p.cmd.Process.Pid)
	if err != nil {
		return 0, fmt.Errorf("process: memory of %s: %w", p.name, err)
	}
	return n, nil
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
