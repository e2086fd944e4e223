//go:build !linux

package process

import "time"

func cpuTime(int) (time.Duration, error) { return 0, ErrUnknown }

func resident(int) (int64, error) { return 0, ErrUnknown }
