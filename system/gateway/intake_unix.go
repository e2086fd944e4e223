//go:build unix

package gateway

import (
	"io"
	"syscall"
)

// rawReads says that readSocket works here.
const rawReads = true

// readSocket reads what fd has, and does not wait: ready is false where that is nothing. The error at the end is io.EOF.
func readSocket(fd uintptr, p []byte) (n int, ready bool, err error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch err {
		case nil:
			if n == 0 {
				return 0, true, io.EOF
			}
			return n, true, nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, false, nil
		}
		return 0, true, err
	}
}
