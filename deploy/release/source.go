package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is what is released: a tree of files as git has it.
type source struct {
	root    string // absolute
	version string // as it is stamped, v0.1.0 or dev or snapshot
	commit  string // with -dirty if files differ from it
	time    time.Time
	notes   string // the changelog's section
}

// released is the form of a version that can be published; dev and snapshot are to try things.
var released = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

func trial(version string) bool { return version == "dev" || version == "snapshot" }

// readSource asks git, and refuses what would be published under a wrong name: files that no commit has, or a tag that is elsewhere.
func readSource(ctx context.Context, root, version string) (source, error) {
	if !trial(version) && !released.MatchString(version) {
		return source{}, fmt.Errorf("the version is %q: say VERSION=v0.1.0 for a release, or VERSION=snapshot to try it", version)
	}
	src := source{root: root, version: version}
	var err error
	// First, for it is forgotten most often and costs nothing.
	if src.notes, err = readNotes(root, version); err != nil {
		return source{}, err
	}
	if src.commit, err = git(ctx, root, "rev-parse", "--verify", "HEAD"); err != nil {
		return source{}, err
	}
	// Not the time of the build: two builds must not differ by it.
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = git(ctx, root, "log", "-1", "--format=%ct"); err != nil {
			return source{}, err
		}
	}
	epoch, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || epoch < 0 {
		return source{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: it must be a number of seconds since 1970, or unset for the commit's time", seconds)
	}
	src.time = time.Unix(epoch, 0).UTC()
	changed, err := git(ctx, root, "status", "--porcelain")
	if err != nil {
		return source{}, err
	}
	if trial(version) {
		if changed != "" {
			src.commit += "-dirty"
		}
		return src, nil
	}
	if changed != "" {
		return source{}, fmt.Errorf("%s must be built from a commit, and these files differ from it; commit them, or say VERSION=snapshot:\n%s", version, changed)
	}
	tagged, err := git(ctx, root, "tag", "--list", "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)", version)
	switch {
	case err != nil:
		return source{}, err
	case tagged == "":
		fmt.Printf("note: there is no tag %s yet; after a look at the result: git tag -a %s %s\n", version, version, src.commit)
	case tagged != src.commit:
		return source{}, fmt.Errorf("the tag %s is at %s, and the checkout at %s: check the tag out, or choose another version", version, tagged, src.commit)
	}
	return src, nil
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
