//go:build unix

package process

import (
	"os"
	"syscall"
)

// Freeze stops a process where it stands, Thaw lets it go on. Both are 0 where the system cannot.
const (
	Freeze = syscall.SIGSTOP
	Thaw   = syscall.SIGCONT
)

// killGroup ends a process and all that it started.
func killGroup(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // it may have ended
	_ = p.Kill()
}
