package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// readNotes is the section of CHANGELOG.md about a version, without its heading. dev and snapshot have the section Unreleased.
func readNotes(root, version string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return "", err
	}
	title := version
	if trial(version) {
		title = "Unreleased"
	}
	notes, ok := section(string(text), title)
	switch {
	case !ok:
		return "", fmt.Errorf("CHANGELOG.md has no section \"## %s\": rename \"## Unreleased\" to it, with the date behind, and begin a new \"## Unreleased\" above", title)
	case notes == "" && trial(version): // just after a release
		return "Nothing yet.\n", nil
	case notes == "":
		return "", fmt.Errorf("CHANGELOG.md says nothing in the section \"## %s\": write there what changed", title)
	}
	return notes + "\n", nil
}

// section is what stands between the heading of second level that begins with title, and the next one. The heading may be in brackets, and
// may be followed by more, such as the date.
func section(changelog, title string) (text string, found bool) {
	heading := regexp.MustCompile(`^## \[?` + regexp.QuoteMeta(title) + `\]?(\s.*)?$`)
	var lines []string
	for line := range strings.Lines(changelog) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case heading.MatchString(line) && !found:
			found = true
		case found && strings.HasPrefix(line, "## "):
			return strings.TrimSpace(strings.Join(lines, "\n")), true
		case found:
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), found
}
