package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// findings collect what is wrong, so that one look shows all of it.
type findings []error

func (f *findings) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

var archiveName = regexp.MustCompile(`^(drover-(.+)-(linux|darwin)-(amd64|arm64))\.tar\.gz$`)

// verify looks at a folder as somebody who has downloaded it: it trusts nothing that release had in its memory.
func verify(ctx context.Context, root, dir string) error {
	var wrong findings
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	verifySums(&wrong, dir, files)
	expected := []string{sumsFile, notesFile}
	archives := 0
	for _, f := range files {
		name := archiveName.FindStringSubmatch(f.Name())
		if name == nil {
			continue
		}
		archives++
		expected = append(expected, f.Name(), name[1]+".cdx.json")
		if err := verifyArchive(ctx, &wrong, root, dir, name[1], name[2], target{name[3], name[4]}); err != nil {
			wrong.add("%s: %w", f.Name(), err)
		}
	}
	if archives == 0 {
		wrong.add("%s holds no archive", dir)
	}
	for _, f := range files {
		if !slices.Contains(expected, f.Name()) {
			wrong.add("%s does not belong to a release", f.Name())
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	fmt.Printf("verified %d archives in %s\n", archives, dir)
	return nil
}

func verifySums(wrong *findings, dir string, files []fs.DirEntry) {
	text, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		wrong.add("%w", err)
		return
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	for _, f := range files {
		if f.Name() == sumsFile {
			continue
		}
		sum, err := fileSum(filepath.Join(dir, f.Name()))
		switch {
		case err != nil:
			wrong.add("%w", err)
		case sums[f.Name()] == "":
			wrong.add("%s is not in %s", f.Name(), sumsFile)
		case sums[f.Name()] != sum:
			wrong.add("%s: its checksum is not the one in %s", f.Name(), sumsFile)
		}
		delete(sums, f.Name())
	}
	for name := range sums {
		wrong.add("%s is in %s, and not in the folder", name, sumsFile)
	}
}

// verifyArchive unpacks one, and compares what is in it with what the binary says of itself, and with its SBOM.
func verifyArchive(ctx context.Context, wrong *findings, root, dir, name, version string, t target) error {
	contents, err := readArchive(wrong, filepath.Join(dir, name+".tar.gz"), name)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "drover-verify-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	binary := filepath.Join(work, "drover")
	if err := os.WriteFile(binary, contents["drover"], 0o755); err != nil {
		return err
	}
	if strings.Contains(string(contents["drover"]), root+"/") {
		wrong.add("%s: the binary knows where it was built: %s", name, root)
	}
	if len(contents["THIRD-PARTY-LICENSES"]) < 10_000 {
		wrong.add("%s: THIRD-PARTY-LICENSES has %d bytes, which cannot be all", name, len(contents["THIRD-PARTY-LICENSES"]))
	}
	own, err := licenceFiles(root)
	if err != nil {
		return err
	}
	expected := []string{"drover", "README.md", "CHANGELOG.md", "THIRD-PARTY-LICENSES"}
	for _, l := range own {
		expected = append(expected, l.name)
	}
	for _, file := range completions {
		expected = append(expected, file)
	}
	if t == (target{runtime.GOOS, runtime.GOARCH}) {
		pages, err := verifyProgram(ctx, wrong, name, version, binary, contents)
		if err != nil {
			return err
		}
		expected = append(expected, pages...)
	}
	for file := range contents {
		page := strings.HasPrefix(file, "man/man1/drover") && strings.HasSuffix(file, ".1")
		if !slices.Contains(expected, file) && (!page || t == (target{runtime.GOOS, runtime.GOARCH})) {
			wrong.add("%s: %s does not belong into it", name, file)
		}
	}
	for _, file := range append(expected, "man/man1/drover.1") {
		if len(contents[file]) == 0 {
			wrong.add("%s: %s is missing or empty", name, file)
		}
	}
	return verifySBOM(ctx, wrong, root, filepath.Join(dir, name), version, binary, t)
}

// verifyProgram runs the binary, and returns the man pages that there must be.
func verifyProgram(ctx context.Context, wrong *findings, name, version, binary string, contents map[string][]byte) ([]string, error) {
	said, err := ask(ctx, binary, "version")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(said), "drover "+version+"\n") || strings.Contains(string(said), "unknown") {
		wrong.add("%s: drover version says %q: version, commit and date are not all there", name, said)
	}
	fmt.Print(string(said))
	for shell, file := range completions {
		text, err := ask(ctx, binary, "completion", shell)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(text, contents[file]) {
			wrong.add("%s: %s is not what the binary says", name, file)
		}
	}
	commands, err := commandTree(ctx, binary)
	if err != nil {
		return nil, err
	}
	var pages []string
	for _, c := range commands {
		file := "man/man1/" + c.page() + ".1"
		pages = append(pages, file)
		for _, f := range slices.Concat(c.flags, c.inherited) {
			if !bytes.Contains(contents[file], []byte(roff(f.term))) {
				wrong.add("%s: %s does not tell of %s", name, file, f.term)
			}
		}
	}
	return pages, nil
}

// readArchive returns the files below the archive's folder, and checks that nothing in it tells who packed it, when and where.
func readArchive(wrong *findings, file, folder string) (map[string][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	if !zip.ModTime.IsZero() || zip.Name != "" {
		wrong.add("%s: gzip's head has a time or a name", folder)
	}
	contents, last := map[string][]byte{}, ""
	var first *tar.Header
	for archive := tar.NewReader(zip); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return contents, nil
		}
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = head
		}
		name, ok := strings.CutPrefix(head.Name, folder+"/")
		mode := int64(0o644)
		if name == "drover" {
			mode = 0o755
		}
		switch {
		case !ok || !filepath.IsLocal(name) || head.Typeflag != tar.TypeReg:
			wrong.add("%s: %s is no file below the archive's folder", folder, head.Name)
		case head.Name <= last:
			wrong.add("%s: %s comes after %s, which is not sorted", folder, head.Name, last)
		case head.Uid != 0 || head.Gid != 0 || head.Uname != "" || head.Gname != "" || head.Mode != mode:
			wrong.add("%s: %s belongs to %d:%d and has mode %o, not 0:0 and %o", folder, name, head.Uid, head.Gid, head.Mode, mode)
		case !head.ModTime.Equal(first.ModTime):
			wrong.add("%s: %s has another time than the first file", folder, name)
		}
		last = head.Name
		if contents[name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}
