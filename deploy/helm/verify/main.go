// Command verify holds drover's chart against what drover needs: it renders the chart with each file of values, decodes everything
// strictly with Kubernetes' own types, and looks at it by rules. Then it breaks what it has looked at, and wants to see that.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tools are the programs that are run, and where things lie.
type tools struct {
	helm, kube, drover string // helm's binary, the version of Kubernetes to render for, drover's binary
	root               string // of the repository
	dir                string // of the chart; empty: the repository's
}

func (t tools) chart() string {
	if t.dir != "" {
		return t.dir
	}
	return filepath.Join(t.root, "deploy/helm/drover")
}

func main() {
	var t tools
	flag.StringVar(&t.helm, "helm", "helm", "helm's binary")
	flag.StringVar(&t.kube, "kube-version", "", "version of Kubernetes to render for")
	flag.StringVar(&t.drover, "drover", "drover", "drover's binary")
	flag.StringVar(&t.root, "root", "../../..", "root of the repository")
	flag.Parse()
	if err := verify(t); err != nil {
		fmt.Fprintln(os.Stderr, "*** helm manifests failed ***")
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func verify(t tools) error {
	keys, err := droverKeys(t)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(t.root, "deploy/helm/testdata/values/*.yaml"))
	if err != nil || len(files) < 8 {
		return fmt.Errorf("there are %d files of values, 8 are wanted: %w", len(files), err)
	}
	var wrong []string
	wrong = append(wrong, copies(t)...)
	wrong = append(wrong, mirror(t, keys)...)
	probes, limits := limits(t)
	wrong = append(wrong, limits...)
	wrong = append(wrong, reloads(t)...)
	wrong = append(wrong, example(t, keys)...)
	wrong = append(wrong, notes(t, keys)...)
	objects := 0
	for _, file := range files {
		m, err := render(t, keys, file)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", filepath.Base(file), err))
			continue
		}
		objects += len(m.objects)
		for _, w := range append(m.check(), readByDrover(t, m)...) {
			wrong = append(wrong, filepath.Base(file)+": "+w)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("  - %s", strings.Join(wrong, "\n  - "))
	}
	refused, err := breakAll(t, keys)
	if err != nil {
		return err
	}
	charts, err := breakCharts(t, keys)
	if err != nil {
		return err
	}
	fmt.Printf("result: %d objects of %d renderings decode strictly and keep every rule, %d keys mirrored, %d bounds tried; %d broken manifests and %d broken charts refused\n",
		objects, len(files), len(keys.all), probes, refused, charts)
	return nil
}
