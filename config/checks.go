package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func checkWord(ps *problems, key, word string, allowed ...string) {
	if slices.Contains(allowed, word) {
		return
	}
	ps.add(key, "", "%q is not one of its words: write %s", word, orList(allowed))
}

// checkEvents wants Discord's names.
func checkEvents(ps *problems, key string, names []string) {
	for _, name := range names {
		if !eventWord.MatchString(name) {
			ps.add(key, "", "%q is not an event: write Discord's name, like MESSAGE_CREATE", name)
		}
	}
}

func checkRange(ps *problems, key string, n, low, high int) {
	switch {
	case n < low:
		ps.add(key, "", "%d is below %d: write %d to %d", n, low, low, high)
	case n > high:
		ps.add(key, "", "%d is above %d: write %d to %d", n, high, low, high)
	}
}

func checkDuration(ps *problems, key string, d, low, high time.Duration) {
	switch {
	case d < low:
		ps.add(key, "", "%s is below %s: write %[2]s to %[3]s", formatDuration(d), formatDuration(low), formatDuration(high))
	case d > high:
		ps.add(key, "", "%s is above %s: write %[3]s to %[2]s", formatDuration(d), formatDuration(high), formatDuration(low))
	}
}

// checkHostPort wants host:port; the host may be empty, the port may be 0.
func checkHostPort(ps *problems, key, addr string) {
	if _, port, err := net.SplitHostPort(addr); err != nil || !validPort(port, 0) {
		ps.add(key, "", "%q is not an address: write host:port or :port, with a port from 0 to 65535", addr)
	}
}

func validPort(port string, low int) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= low && n <= 65535
}

// checkFile says now what would otherwise be said when the connection fails.
func checkFile(ps *problems, key, path string) {
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		ps.add(key, "", "%q cannot be read: check the path (seen from %s) and its rights", path, workingDir())
	case info.IsDir():
		ps.add(key, "", "%q is a folder: name the file in it", path)
	}
}

func workingDir() string {
	dir, err := filepath.Abs(".")
	if err != nil {
		return "the working directory"
	}
	return dir
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return fmt.Sprintf("%s or %s", strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
}
