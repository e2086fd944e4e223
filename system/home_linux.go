package system

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// home names a folder that is locked by this process, on a machine that was not started anew since: of another process that had
// it everybody knows that it has ended. Empty where that cannot be named, and then its leases run out.
//
// Containers of one host have the same boot, and a folder that was copied, with or without an image, has the file of the first
// one, whose process may live: so where the folder lies is part of its name.
func home(dir string) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // a lock ends with the machine
	if err != nil {
		return ""
	}
	path := filepath.Join(dir, "home")
	id, err := os.ReadFile(path)
	if err != nil || len(id) == 0 || len(id) > 64 {
		id = []byte(rand.Text())
		if err := os.WriteFile(path, id, 0o600); err != nil {
			return ""
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	at, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d %d", id, boot, at.Dev, at.Ino))
	return hex.EncodeToString(sum[:16])
}
