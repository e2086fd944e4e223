package process

import "errors"

// ErrUnknown says that this system does not tell what a process costs.
var ErrUnknown = errors.New("known only on Linux")
