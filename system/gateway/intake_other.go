//go:build !unix

package gateway

import "errors"

// rawReads says that readSocket works here.
const rawReads = false

func readSocket(uintptr, []byte) (n int, ready bool, err error) {
	return 0, true, errors.ErrUnsupported
}
