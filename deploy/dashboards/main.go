// Command dashboards writes drover's Grafana dashboards as JSON, one file each, into the folder that it is started in or that its
// only argument names. The dashboards are described in Go (fleet.go, traffic.go, node.go); ids, places and all that is the same in
// every panel come from here, so that nobody has to keep them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run .

// all are the dashboards in the order of docs/monitoring.md.
var all = []dashboard{fleet, traffic, node}

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, d := range all {
		if err := os.WriteFile(filepath.Join(dir, d.file()), d.render(), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "dashboards:", err)
			os.Exit(1)
		}
	}
}
