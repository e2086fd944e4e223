//go:build !linux

package gatewaysim

import "time"

// nap waits for about d; here it may take a millisecond.
func nap(d time.Duration) { time.Sleep(d) }
