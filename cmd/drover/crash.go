package main

import "runtime/debug"

// crashBySignal has a panic, an error that Go cannot survive and SIGABRT (systemd's watchdog) end this process by the signal SIGABRT. Go would
// end it with exit code 2, which says "wrong configuration, do not start it again" here: a node that panicked would stay down for good.
//
// In a container drover may be process 1, which no signal of its own can end: there Go still falls back to exit code 2, and whoever runs
// containers starts them again by other rules than the exit code.
func crashBySignal() {
	debug.SetTraceback("crash")
	// What dies by SIGABRT may leave a core, and all tokens and passwords are in it. A supervisor may forbid it (LimitCORE in systemd),
	// most do not. The stacks of all goroutines, which Go writes to standard error, say more.
	forbidCore()
}
