package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// cpuTime asks the clock that the kernel keeps for each process: /proc counts in hundredths of a second, which is a
// tenth of what a short measurement takes.
func cpuTime(pid int) (time.Duration, error) {
	// clock_getcpuclockid(3): the number of a process's clock is made of its own, and 2 asks for the scheduler's count.
	clock := uintptr(^pid)<<3 | 2
	var at syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(uint32(clock)), uintptr(unsafe.Pointer(&at)), 0); errno != 0 {
		return 0, os.NewSyscallError("clock_gettime", errno)
	}
	return time.Duration(at.Nano()), nil
}

// resident adds up the pages: the counter in status lags by up to 64 pages for each CPU.
func resident(pid int) (int64, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	if text, err := os.ReadFile(dir + "/smaps_rollup"); err == nil {
		if n, err := kilobytes(text, "Rss:"); err == nil {
			return n, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
		return 0, err
	}
	text, err := os.ReadFile(dir + "/status") // kernels before 4.14
	if err != nil {
		return 0, err
	}
	return kilobytes(text, "VmRSS:")
}

// kilobytes finds "name    123 kB" in a file of /proc and returns bytes.
func kilobytes(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		rest, found := bytes.CutPrefix(line, []byte(name))
		fields := bytes.Fields(rest)
		if !found || len(fields) != 2 {
			continue
		}
		n, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return n << 10, err
	}
	return 0, fmt.Errorf("%s is not in /proc", name)
}
