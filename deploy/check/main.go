// Command check runs what lies in deploy, each artefact by the program that it is for or the nearest thing to it that a machine without
// a cloud, a registry or a container engine has, and prints a table: artefact, how it was run, result.
//
//	go run ./deploy/check            all of it: make deploy-check
//	go run ./deploy/check --quick    what takes minutes from empty caches: make deploy-check-quick
//	go run ./deploy/check --all      the same as without, but what cannot be run here has failed: make deploy-check-all
//	go run ./deploy/check helm       the artefacts whose names hold a word
//
// A check is a command that ends with 0 and a line "result: …", its own words for the table; or with 77 and "result: not run: …" where the
// machine lacks what it needs; anything else is a failure, and so is one that does not end in time.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "gotest" { // what some of the checks run
		os.Exit(goTest(os.Stdout, os.Args[2:]))
	}
	quick := flag.Bool("quick", false, "what takes minutes from empty caches")
	all := flag.Bool("all", false, "take what cannot be run here for failed")
	most := flag.Duration("most", 45*time.Minute, "how long one check may take; it is ended then, and has failed")
	side := flag.Int("j", 2, "how many checks run side by side")
	tools := flag.String("tools", ".bin", "folder for the programs that the checks install")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	folder, err := filepath.Abs(*tools)
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	self := ""
	if err == nil {
		self, err = os.Executable()
	}
	if err == nil {
		w := way{quick: *quick, all: *all, side: *side, most: *most, env: []string{"TOOLS=" + folder, "CHECK=" + self}}
		err = runAll(ctx, os.Stdout, chosen(*quick, flag.Args()), w)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploy-check:", err)
		os.Exit(1)
	}
}

// chosen are the checks of this run.
func chosen(quick bool, names []string) (out []check) {
	for _, c := range checks {
		wanted := len(names) == 0
		for _, name := range names {
			wanted = wanted || strings.Contains(strings.ToLower(c.artefact), strings.ToLower(name))
		}
		if wanted && (!quick || c.quick != "") {
			out = append(out, c)
		}
	}
	return out
}

// runAll runs checks, a few side by side, says how each ended, shows the output of those that failed, and prints the table.
func runAll(ctx context.Context, out io.Writer, list []check, w way) error {
	if len(list) == 0 {
		return fmt.Errorf("there is no such artefact; the names are in deploy/check/checks.go")
	}
	verdicts := make([]verdict, len(list))
	next, ended := make(chan int), make(chan int)
	var owned sync.WaitGroup
	for range max(w.side, 1) {
		owned.Go(func() {
			for i := range next {
				verdicts[i] = list[i].run(ctx, w)
				ended <- i
			}
		})
	}
	go func() { // ends with the list
		for i := range list {
			next <- i
		}
		close(next)
		owned.Wait()
		close(ended)
	}()
	count := map[string]int{}
	for i := range ended {
		v := verdicts[i]
		count[v.state]++
		fmt.Fprintf(out, "%s: %s after %s\n", v.artefact, v.state, v.took.Round(time.Second))
		if v.state == failed {
			fmt.Fprintf(out, "%s\n", v.output)
		}
	}
	table(out, verdicts)
	fmt.Fprintf(out, "\n%d of %d artefacts ran and are well, %d were not run, %d failed\n", count[ok], len(list), count[skipped], count[failed])
	if count[failed] > 0 {
		return fmt.Errorf("%d of %d artefacts failed", count[failed], len(list))
	}
	return nil
}

func table(w io.Writer, verdicts []verdict) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nartefact\thow it was run\ttook\tresult\n")
	for _, v := range verdicts {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s: %s\n", v.artefact, v.how, v.took.Round(time.Second), v.state, v.result)
	}
	_ = t.Flush()
}
