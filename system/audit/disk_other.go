//go:build !linux

package audit

import "errors"

func mountSmall(string, int) (undo func(), err error) {
	return nil, errors.New("mounting is done on Linux only")
}
