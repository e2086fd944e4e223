//go:build !unix

package process

import (
	"os"
	"syscall"
)

// Freeze and Thaw do nothing here: processes cannot be frozen. Whoever needs it compares them with 0.
const (
	Freeze = syscall.Signal(0)
	Thaw   = syscall.Signal(0)
)

func killGroup(p *os.Process) { _ = p.Kill() }

func attributes() *syscall.SysProcAttr { return nil }
