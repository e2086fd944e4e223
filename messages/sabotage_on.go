//go:build sabotage

package messages

import "os"

var sabotaged = Sabotage(os.Getenv("DROVER_SABOTAGE"))

// Sabotaged reports whether this build breaks a promise on purpose: the one that the environment names.
func Sabotaged(s Sabotage) bool { return s == sabotaged }
