//go:build !unix

package localdb

import (
	"fmt"
	"syscall"
)

type account struct{}

func findAccount() (account, error) {
	return account{}, fmt.Errorf("localdb: %w: it runs on Unix only", ErrNotInstalled)
}

func (account) own(string) error { return nil }

func (account) attributes(syscall.Signal) *syscall.SysProcAttr { return nil }
