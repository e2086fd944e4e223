//go:build !unix

package stream

import "os"

// lockFile does nothing where there is no flock: there the operator must give each drover its own
// directory.
func lockFile(*os.File) error { return nil }
