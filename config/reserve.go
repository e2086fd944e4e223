package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Reserve says how many of the IDENTIFYs of a day are kept for shards that have not identified in it: auto, a
// share like 10%, or a number. Validate has checked it.
type Reserve string

// ReserveAuto keeps 5 % of the day's total or one for each shard, whichever is more.
const ReserveAuto Reserve = "auto"

// Of is the reserve of a bot with this many IDENTIFYs a day and shards.
func (r Reserve) Of(total, shards int) int {
	share, number, err := r.parse()
	switch {
	case err != nil || r == ReserveAuto:
		return max(total/20, shards)
	case share >= 0:
		return int(math.Ceil(float64(total) * share / 100))
	default:
		return number
	}
}

// parse reads the reserve: a share in percent, or below 0 and then the number holds; neither is used for auto. The
// error is "why: remedy".
func (r Reserve) parse() (share float64, number int, err error) {
	text := strings.TrimSpace(string(r))
	wrong := errors.New("is no reserve: write auto, a share like 10% or a number like 50")
	if r == ReserveAuto {
		return -1, 0, nil
	}
	if digits, ok := strings.CutSuffix(text, "%"); ok {
		share, err = strconv.ParseFloat(strings.TrimSpace(digits), 64)
		switch {
		case err != nil || math.IsNaN(share):
			return 0, 0, wrong
		case share < 0:
			return 0, 0, errors.New("is below 0: write 0% or more")
		case share > 100:
			return 0, 0, errors.New("is more than there is: write at most 100%")
		}
		return share, 0, nil
	}
	number, err = strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, 0, wrong
	case number < 0:
		return 0, 0, fmt.Errorf("is below 0: write 0 to %d, or auto", maxReserve)
	case number > maxReserve:
		return 0, 0, fmt.Errorf("is above %d: write 0 to %[1]d, or auto", maxReserve)
	}
	return -1, number, nil
}
