//go:build unix && !linux

package localdb

import "syscall"

// attributes are those of a server: the account, and a group of its own, so that
// Ctrl-C reaches this process alone.
func (a account) attributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: a.credential, Setpgid: true}
}
