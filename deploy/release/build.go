package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// target is a system and an architecture that there is a binary for.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

// allTargets are those of a release.
var allTargets = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"}

func parseTargets(list string) ([]target, error) {
	var targets []target
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(allTargets, name) {
			return nil, fmt.Errorf("-targets has %q: there are %s", name, strings.Join(allTargets, ", "))
		}
		system, arch, _ := strings.Cut(name, "/")
		targets = append(targets, target{system, arch})
	}
	return targets, nil
}

// release builds everything in a new folder, and puts it where out is only when it is whole.
func release(ctx context.Context, src source, targets []target, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(out), ".release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	dist, binaries := filepath.Join(work, "dist"), filepath.Join(work, "binaries")
	if err := os.Mkdir(dist, 0o755); err != nil {
		return err
	}

	// Completions and man pages are what the program says of itself, and say the same for all targets.
	host := target{runtime.GOOS, runtime.GOARCH}
	program, err := compile(ctx, src, host, binaries)
	if err != nil {
		return err
	}
	pages, err := documents(ctx, src, program)
	if err != nil {
		return err
	}
	own, err := ownFiles(src.root)
	if err != nil {
		return err
	}
	for _, t := range targets {
		start := time.Now()
		binary, err := compile(ctx, src, t, binaries)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("drover-%s-%s-%s", src.version, t.os, t.arch)
		licences, err := thirdPartyLicences(ctx, src.root, binary)
		if err != nil {
			return err
		}
		executable, err := os.ReadFile(binary)
		if err != nil {
			return err
		}
		entries := slices.Concat([]entry{{"drover", 0o755, executable}, licences}, own, pages)
		archive := filepath.Join(dist, name+".tar.gz")
		if err := writeArchive(archive, name, entries, src.time); err != nil {
			return err
		}
		if err := writeSBOM(filepath.Join(dist, name+".cdx.json"), src, binary, archive); err != nil {
			return err
		}
		fmt.Printf("built %s.tar.gz and its SBOM in %.0f s\n", name, time.Since(start).Seconds())
	}
	if err := os.WriteFile(filepath.Join(dist, notesFile), []byte(src.notes), 0o644); err != nil {
		return err
	}
	if err := writeSums(dist); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.Rename(dist, out); err != nil {
		return err
	}
	compiler, err := goOutput(ctx, src.root, "env", "GOVERSION")
	if err != nil {
		return err
	}
	// Both must be the same for whoever wants the same bytes.
	fmt.Printf("%s of %s (%s), by %s: %s\n", src.version, src.commit, src.time.Format(time.DateOnly), strings.TrimSpace(compiler), out)
	return nil
}

// compile builds drover for t, and returns the file. It knows nothing of the environment that could be seen in the binary.
func compile(ctx context.Context, src source, t target, dir string) (string, error) {
	file := filepath.Join(dir, t.os+"-"+t.arch, "drover")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	stamp := fmt.Sprintf("-s -w -X main.version=%s -X main.commit=%s -X main.date=%s", src.version, src.commit, src.time.Format(time.RFC3339))
	// Without what Go finds in git by itself: it differs between a checkout with tags and one without.
	cmd := exec.CommandContext(ctx, goCommand(), "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", stamp, "-o", file, "./cmd/drover")
	cmd.Dir = src.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off",
		"GODEBUG=", "GOFLAGS=", "GOWORK=off", "PWD="+src.root)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build for %s: %w\n%s", t, err, bytes.TrimSpace(out))
	}
	return file, nil
}

const (
	sumsFile  = "SHA256SUMS"
	notesFile = "RELEASE_NOTES.md"
)

// writeSums writes down the checksums of all files in dir, as sha256sum reads them.
func writeSums(dir string) error {
	files, err := os.ReadDir(dir) // sorted
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, f := range files {
		sum, err := fileSum(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, f.Name())
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), sums.Bytes(), 0o644)
}

func fileSum(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
