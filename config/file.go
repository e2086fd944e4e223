package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileName is what the file is called when nobody names one.
const fileName = "drover.yaml"

// maxFileSize keeps a wrong path (a device, a log) from filling memory.
const maxFileSize = 1 << 20

// FindFile says which file Load reads: src.File, else the first drover.yaml in
// src.Dirs, else "" for none. It does not look inside.
func FindFile(src Source) string {
	if src.File != "" {
		return src.File
	}
	dirs := src.Dirs
	if dirs == nil {
		dirs = []string{".", "/etc/drover"}
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, fileName)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return ""
}

// readFile gives the file's bytes. Its error is "why: remedy".
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no such file: check the path")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("is a folder: name a file (a container mounts a folder where the host has no such file)")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("is larger than %d bytes: this is no configuration of drover", maxFileSize)
	}
	return data, nil
}

// readYAML takes the values out of a file's bytes, by key.
func readYAML(path string, data []byte, found *problems) map[string]layered {
	values := map[string]layered{}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // EOF: an empty file is all defaults
			found.add("", path, "%s is not valid YAML: %s", filepath.Base(path), strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return values
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		found.add("", path, "%s holds a second document or a broken end: put everything into one document", filepath.Base(path))
	}
	root := resolve(doc.Content[0])
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return values // only comments
	}
	w := walk{path: path, found: found, values: values}
	w.section("", root)
	return values
}

// walk follows the sections of one file.
type walk struct {
	path   string
	found  *problems
	values map[string]layered
}

// section reads the keys of one mapping. It goes no deeper than Config does,
// so an alias that holds itself cannot trap it.
func (w walk) section(prefix string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		name := strings.TrimSuffix(prefix, ".")
		if name == "" {
			w.found.add("", w.source(n), "%s has no keys: write them as key: value", filepath.Base(w.path))
			return
		}
		w.found.add(name, w.source(n), "is a section: write its keys indented below it")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], resolve(n.Content[i+1])
		key := prefix + name.Value
		f, known := byKey[key]
		switch {
		case seen[key]:
			w.found.add(key, w.source(name), "stands twice: keep one")
		case known && !strings.Contains(name.Value, "."):
			w.value(f, name, value)
		case isSection(key) && !strings.Contains(name.Value, "."):
			if value.ShortTag() != "!!null" { // an empty section sets nothing
				w.section(key+".", value)
			}
		default:
			// The value is not shown: under a misspelt key it may be a secret.
			w.found.add(key, w.source(name), "is not a known key: %s", keyRemedy(prefix, key))
		}
		seen[key] = true
	}
}

func (w walk) value(f field, name, value *yaml.Node) {
	v, err := f.fromYAML(value)
	switch {
	case err != nil && (f.hidden() || value.Kind != yaml.ScalarNode):
		w.found.add(f.key, w.source(name), "the value %v", err)
	case err != nil:
		w.found.add(f.key, w.source(name), "%s %v", quote(value.Value), err)
	case v != nil:
		w.values[f.key] = layered{value: v, source: w.source(name)}
	}
}

func (w walk) source(n *yaml.Node) string { return fmt.Sprintf("%s:%d", w.path, n.Line) }

// keyRemedy finds the key that was probably meant.
func keyRemedy(prefix, key string) string {
	if _, ok := byKey[key]; ok {
		return "write each part on a line of its own, indented below the one before"
	}
	if _, ok := byKey[strings.ToLower(key)]; ok {
		return "keys are in lower case, write " + strings.ToLower(key)
	}
	var candidates []string
	for _, f := range allFields {
		candidates = append(candidates, f.key)
		for i := range f.key { // sections may be misspelt too
			if f.key[i] == '.' {
				candidates = append(candidates, f.key[:i])
			}
		}
	}
	if meant := closest(key, candidates); meant != "" {
		return "did you mean " + meant + "?"
	}
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, f := range allFields {
		if last != "" && strings.HasSuffix(f.key, "."+last) {
			return "did you mean " + f.key + "?"
		}
	}
	return "remove it, or see `drover config print --default` for all keys"
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}
