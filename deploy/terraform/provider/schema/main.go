// Command schema writes the schema of the AWS resources that the modules use, from the classes of the npm package @cdktf/provider-aws:
//
//	go run ./schema provider-aws.tgz FOLDER > schema.json
//
// FOLDER holds the modules; every resource and data source in its .tf files is looked up. The package is under MPL-2.0, and so is what is
// derived from it: it is made on each machine and never committed.
package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: schema provider-aws.tgz FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

var used = regexp.MustCompile(`(?m)^\s*(resource|data)\s+"(aws_\w+)"`)

func run(archive, folder string) error {
	wanted := map[string]string{"package/lib/provider/index.js": "provider"}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".tf") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range used.FindAllStringSubmatch(string(text), -1) {
			dir := strings.ReplaceAll(strings.TrimPrefix(m[2], "aws_"), "_", "-")
			if m[1] == "data" {
				dir = "data-aws-" + dir
			}
			wanted["package/lib/"+dir+"/index.js"] = m[1] + " " + m[2]
		}
		return err
	})
	if err != nil {
		return err
	}
	out := schemas{Resources: map[string]*block{}, Data: map[string]*block{}}
	err = read(archive, func(name string, text string) error {
		what, ok := wanted[name]
		if !ok {
			return nil
		}
		delete(wanted, name)
		b, err := parse(text)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		switch kind, typ, _ := strings.Cut(what, " "); kind {
		case "provider":
			out.Provider = b
			b.allOptional()
		case "resource":
			out.Resources[typ] = b
		case "data":
			out.Data[typ] = b
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(wanted) > 0 {
		return fmt.Errorf("not in the package: %v", slices.Sorted(maps.Values(wanted)))
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// read calls f with every index.js of the archive.
func read(archive string, f func(name, text string) error) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for tr := tar.NewReader(unzipped); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !strings.HasSuffix(h.Name, "/index.js") {
			continue
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			return err
		}
		if err := f(h.Name, string(text)); err != nil {
			return err
		}
	}
}
