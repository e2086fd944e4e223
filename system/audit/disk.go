package audit

import (
	"fmt"
	"os"
)

// smallDisk gives the spool a file system of its own that is soon full. Where that is not allowed, the spool's own bound
// takes its place, and the result says so.
func smallDisk(r *run) error {
	if err := os.MkdirAll(r.spool(), 0o750); err != nil {
		return fmt.Errorf("audit: spool: %w", err)
	}
	undo, err := mountSmall(r.spool(), 2<<20)
	if err == nil {
		r.undo = append(r.undo, undo)
		return nil
	}
	note := fmt.Sprintf("no file system of its own for the spool: %v; spool.max_bytes of 1 MiB takes its place", err)
	r.result.Notes = append(r.result.Notes, note)
	r.say("%s", note)
	r.node.env = append(r.node.env, "DROVER_SPOOL_MAX_BYTES=1048576")
	return nil
}
