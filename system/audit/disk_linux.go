package audit

import (
	"fmt"
	"syscall"
)

// mountSmall mounts a tmpfs of that many bytes on dir; undo unmounts it.
func mountSmall(dir string, bytes int) (undo func(), err error) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
		return nil, fmt.Errorf("mount a tmpfs: %w (root may)", err)
	}
	return func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}
