package process

import "syscall"

// attributes give the child a group of its own, so that Ctrl-C reaches this process alone, and end it
// when this process is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
