package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is a file of an archive.
type entry struct {
	name string // below the archive's one folder
	mode fs.FileMode
	data []byte
}

// writeArchive writes a .tar.gz in which nothing depends on who wrote it, when and where: entries are sorted, belong to root, and have one time.
func writeArchive(file, folder string, entries []entry, at time.Time) error {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // an error that counts is told below
	zip, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zip)
	for _, e := range entries {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + e.name, Mode: int64(e.mode), Size: int64(len(e.data)), ModTime: at, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(head); err != nil {
			return err
		}
		if _, err := archive.Write(e.data); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zip.Close(), f.Close())
}

// ownFiles are the README, the changelog and the licence. Where there is no licence it says so: nobody may use what has none.
func ownFiles(root string) ([]entry, error) {
	var entries []entry
	for _, name := range []string{"README.md", "CHANGELOG.md"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name, 0o644, data})
	}
	licences, err := licenceFiles(root)
	if err != nil {
		return nil, err
	}
	if len(licences) == 0 {
		fmt.Println("note: the source tree has no LICENSE: the archives hold none")
	}
	return append(entries, licences...), nil
}
