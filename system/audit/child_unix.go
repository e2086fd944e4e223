//go:build unix

package audit

import (
	"os"
	"syscall"
)

// Signals that freeze a process and let it go on.
const (
	freeze = syscall.SIGSTOP
	thaw   = syscall.SIGCONT
)

// killGroup ends a process and all that it started.
func killGroup(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // it may have ended
	_ = p.Kill()
}
