package localdb

import "syscall"

// attributes are those of a server: the account, a group of its own, so that
// Ctrl-C reaches this process alone, and a signal for when this process is killed.
func (a account) attributes(when syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: a.credential, Setpgid: true, Pdeathsig: when}
}
