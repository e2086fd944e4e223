//go:build unix

package stream

import (
	"os"
	"syscall"
)

// unlockFile gives a lock back that closing f would not: it lives as long as the file is mapped.
func unlockFile(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
