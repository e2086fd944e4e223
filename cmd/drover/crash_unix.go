//go:build unix

package main

import (
	"runtime"
	"syscall"
)

// forbidCore has the kernel write no core of this process or of those that it starts. Only the soft limit changes: whoever needs a core can
// raise it from outside, with prlimit --core. Where even that is refused, the supervisor has decided, and nobody listens yet to hear of it.
func forbidCore() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) != nil {
		return
	}
	limit.Cur = 0
	// Linux heeds the limit only for files, and still hands the core to a program where kernel.core_pattern names one. The limit of one byte
	// is its word for "not to a program either", and too little for any file.
	if runtime.GOOS == "linux" && limit.Max > 0 {
		limit.Cur = 1
	}
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
}
