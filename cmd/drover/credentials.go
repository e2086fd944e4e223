package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"drover/config"
)

// withCredentials adds to env what the service manager hands over as files: in the folder that CREDENTIALS_DIRECTORY names, a file
// DISCORD_TOKEN is that variable, where it is not set (systemd.exec(5), LoadCredential). So a secret stands in no unit, and in no
// environment that others can read. Files with other names are not ours. A line's end behind the value is left away, since editors put one there.
func withCredentials(env []string) ([]string, error) {
	set := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
	}
	dir := set["CREDENTIALS_DIRECTORY"]
	if dir == "" {
		return env, nil
	}
	all := slices.Clone(env)
	for _, key := range config.Keys() {
		for _, name := range key.Env {
			if set[name] != "" {
				continue
			}
			value, err := os.ReadFile(filepath.Join(dir, name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				return env, fmt.Errorf("the credential %s cannot be read: %w: see LoadCredential of the unit", name, err)
			default:
				all = append(all, name+"="+strings.TrimRight(string(value), "\r\n"))
			}
		}
	}
	return all, nil
}
