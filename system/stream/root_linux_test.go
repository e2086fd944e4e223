package stream

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// withoutRoot calls f with the file rights of nobody where the test runs as root, as in CI.
func withoutRoot(t *testing.T, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	const nobody = 65534
	result, dropped := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, which has no rights any more, ends with the goroutine
		err := syscall.Setfsuid(nobody)
		dropped <- err
		if err == nil {
			result <- f()
		}
	}()
	if err := <-dropped; err != nil {
		t.Fatal(err)
	}
	return <-result
}
