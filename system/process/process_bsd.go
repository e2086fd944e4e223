//go:build unix && !linux

package process

import "syscall"

// attributes give the child a group of its own, so that Ctrl-C reaches this process alone.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
