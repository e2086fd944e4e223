package main

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// licenceName is what files with conditions are called.
var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// licenceFiles are those in a folder itself, not below it.
func licenceFiles(dir string) ([]entry, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, f := range files {
		if !f.Type().IsRegular() || !licenceName.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{f.Name(), 0o644, data})
	}
	return entries, nil
}

// thirdPartyLicences is one file with the conditions of every module in the binary, and of Go: most of them ask to be handed on with it.
func thirdPartyLicences(ctx context.Context, root, binary string) (entry, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return entry{}, err
	}
	var text bytes.Buffer
	text.WriteString("drover contains the work of others, under these conditions.\n")
	goroot, err := goOutput(ctx, root, "env", "GOROOT")
	if err != nil {
		return entry{}, err
	}
	if err := addLicences(&text, "Go "+strings.TrimPrefix(info.GoVersion, "go"), strings.TrimSpace(goroot)); err != nil {
		return entry{}, err
	}
	args := []string{"list", "-mod=readonly", "-m", "-f", "{{if .Replace}}{{.Replace.Dir}}{{else}}{{.Dir}}{{end}}"}
	for _, m := range info.Deps {
		args = append(args, m.Path)
	}
	out, err := goOutput(ctx, root, args...)
	if err != nil {
		return entry{}, err
	}
	dirs := strings.Split(strings.TrimSpace(out), "\n")
	if len(dirs) != len(info.Deps) {
		return entry{}, fmt.Errorf("go list -m told of %d modules, and %s has %d", len(dirs), binary, len(info.Deps))
	}
	for i, m := range info.Deps {
		if err := addLicences(&text, m.Path+" "+actual(m).Version, dirs[i]); err != nil {
			return entry{}, err
		}
	}
	return entry{"THIRD-PARTY-LICENSES", 0o644, text.Bytes()}, nil
}

func addLicences(text *bytes.Buffer, of, dir string) error {
	licences, err := licenceFiles(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(text, "\n%s\n%s\n", strings.Repeat("=", 80), of)
	if len(licences) == 0 {
		text.WriteString("(no file with a licence in its folder)\n")
		fmt.Printf("note: no licence found for %s\n", of)
	}
	for _, l := range licences {
		fmt.Fprintf(text, "\n--- %s\n\n%s\n", l.name, bytes.TrimSpace(l.data))
	}
	return nil
}

// goCommand is the one that the Makefile was told to use.
func goCommand() string { return cmp.Or(os.Getenv("GO"), "go") }

// goOutput runs the Go command in the source tree, whose go.mod decides.
func goOutput(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, goCommand(), args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "PWD="+root)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
