package gatewaysim

import (
	"syscall"
	"time"
)

// nap waits for less than a millisecond, which is as short as the runtime's own timers are while a process is idle.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // a signal ends it early, and the next one follows
}
